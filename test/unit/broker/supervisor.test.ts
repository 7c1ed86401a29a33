/** The supervisor's decisions on a fake clock: when it starts again, when it does not, in which order it stops. */
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import type { Clock } from '../../../src/base/clock.ts';
import { createLineSplitter, type Runnable } from '../../../src/broker/process/child-command.ts';
import type { ProcessExit } from '../../../src/broker/process/child-life.ts';
import { onParentGone } from '../../../src/broker/process/process-ties.ts';
import { type ChildStatus, createSupervisor, type Supervisor } from '../../../src/broker/supervisor.ts';
import { isSluiceError, SluiceError } from '../../../src/errors.ts';

/** Time that moves only when told. */
class ManualClock implements Clock {
  private time = 0;
  private readonly timers = new Set<{ at: number; fire: () => void }>();
  now(): number {
    return this.time;
  }
  monotonic(): number {
    return this.time;
  }
  timer(delayMs: number, fire: () => void): { cancel(): void } {
    const timer = { at: this.time + delayMs, fire };
    this.timers.add(timer);
    return { cancel: () => this.timers.delete(timer) };
  }
  yield(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }
  get waitsMs(): number[] {
    return [...this.timers].map(({ at }) => at - this.time).sort((a, b) => a - b);
  }
  async advance(ms: number): Promise<void> {
    this.time += ms;
    for (const timer of [...this.timers].filter(({ at }) => at <= this.time)) {
      this.timers.delete(timer);
      timer.fire();
    }
    await this.yield();
  }
}

/** A runnable whose end the test decides. */
class ScriptedRunnable implements Runnable {
  starts = 0;
  /** What the next starts do; without one they succeed. */
  readonly startErrors: (SluiceError | undefined)[] = [];
  private readonly listeners: ((exit: ProcessExit) => void)[] = [];
  private readonly onStop: () => void;
  private isUp = false;
  constructor(onStop: () => void = () => undefined) {
    this.onStop = onStop;
  }
  async start(): Promise<{ readonly pid: number }> {
    this.starts += 1;
    const error = this.startErrors.shift();
    if (error !== undefined) throw error;
    this.isUp = true;
    return { pid: 1_000 + this.starts };
  }
  async stop(): Promise<void> {
    this.onStop();
    if (this.isUp) this.end({ code: 0, signal: null, isExpected: true });
  }
  onExit(listener: (exit: ProcessExit) => void): void {
    this.listeners.push(listener);
  }
  end(exit: ProcessExit): void {
    this.isUp = false;
    for (const listener of this.listeners) listener(exit);
  }
}

const crash: ProcessExit = { code: null, signal: 'SIGKILL', isExpected: false };

describe('the supervisor', () => {
  let clock: ManualClock;
  let lines: string[];
  let states: string[];
  let supervisor: Supervisor;

  beforeEach(() => {
    clock = new ManualClock();
    lines = [];
    states = [];
    supervisor = createSupervisor({
      clock,
      // The longest wait of each step: no jitter to think of.
      random: { fraction: () => 1, hex: () => '' },
      log: (line) => lines.push(line),
      onState: ({ name, state, restarts }: ChildStatus) => states.push(`${name} ${state} ${restarts}`),
    });
  });

  it('starts a crashed process again after 200 ms, and tells of each state', async () => {
    const runnable = new ScriptedRunnable();
    const child = supervisor.keep('node-1', runnable);
    await child.running();
    assert.equal(child.status.pid, 1_001);
    runnable.end(crash);
    await clock.yield();
    assert.equal(child.status.state, 'backing-off');
    assert.equal(child.status.pid, undefined);
    assert.equal(child.status.problem, 'ended (signal SIGKILL)');
    await clock.advance(199);
    assert.equal(runnable.starts, 1);
    await clock.advance(1);
    await child.running();
    assert.equal(child.status.pid, 1_002);
    await supervisor.stop();
    assert.deepEqual(states, [
      'node-1 starting 0',
      'node-1 running 0',
      'node-1 backing-off 0',
      'node-1 starting 1',
      'node-1 running 1',
      'node-1 stopped 1',
    ]);
    assert.deepEqual(lines, ['node-1: ended (signal SIGKILL); starting again in 0.2 s']);
  });

  it('waits longer after each crash, ten seconds at most, and is patient anew after 30 s of health', async () => {
    const runnable = new ScriptedRunnable();
    const child = supervisor.keep('node-1', runnable);
    const waits: number[] = [];
    const crashOnce = async (): Promise<void> => {
      await child.running();
      runnable.end(crash);
      await clock.yield();
      const waitMs = clock.waitsMs[0] ?? 0;
      waits.push(waitMs);
      await clock.advance(waitMs);
    };
    for (let count = 0; count < 8; count += 1) await crashOnce();
    assert.deepEqual(waits, [200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
    await child.running();
    await clock.advance(29_999);
    await crashOnce();
    assert.equal(waits.at(-1), 10_000);
    await child.running();
    await clock.advance(30_000);
    await crashOnce();
    assert.equal(waits.at(-1), 200);
    await supervisor.stop();
    assert.deepEqual(clock.waitsMs, [], 'a timer is left');
  });

  it('tries again when a start fails, but not when a setting is wrong', async () => {
    const runnable = new ScriptedRunnable();
    runnable.startErrors.push(
      new SluiceError('in-use', 'port 7401 is in use'),
      new SluiceError('bad-config', 'bad ttl'),
    );
    const child = supervisor.keep('node-1', runnable);
    await clock.yield();
    assert.deepEqual([child.status.state, child.status.problem], ['backing-off', 'port 7401 is in use']);
    const running = assert.rejects(child.running(), (error) => isSluiceError(error, 'bad-config'));
    await clock.advance(200);
    await running;
    assert.equal(child.status.state, 'stopped');
    assert.equal(lines.at(-1), 'node-1: bad ttl; not started again');
    await supervisor.stop();
    assert.equal(runnable.starts, 2);
  });

  it('does not start again what ended well, or because a setting is wrong', async () => {
    for (const code of [0, 78]) {
      const runnable = new ScriptedRunnable();
      const child = supervisor.keep(`ends-${code}`, runnable);
      await child.running();
      runnable.end({ code, signal: null, isExpected: false });
      await clock.yield();
      assert.equal(child.status.state, 'stopped');
      await assert.rejects(child.running(), (error) => isSluiceError(error, 'closed'));
      await clock.advance(60_000);
      assert.equal(runnable.starts, 1);
    }
    await supervisor.stop();
  });

  it('stops in reverse order of adding, and starts nothing meanwhile', async () => {
    const order: string[] = [];
    const runnables = ['nats-server', 'node-1', 'node-2'].map((name) => {
      const runnable = new ScriptedRunnable(() => order.push(name));
      supervisor.keep(name, runnable);
      return runnable;
    });
    await clock.yield();
    // One is down and about to be started again: that must not happen any more.
    runnables[1]?.end(crash);
    await clock.yield();
    await Promise.all([supervisor.stop(), supervisor.stop()]);
    await clock.advance(60_000);
    assert.deepEqual(order, ['node-2', 'node-1', 'nats-server']);
    assert.deepEqual(
      supervisor.children.map(({ name, state }) => `${name} ${state}`),
      ['nats-server stopped', 'node-1 stopped', 'node-2 stopped'],
    );
    assert.equal(runnables[1]?.starts, 1);
    assert.throws(
      () => supervisor.keep('late', new ScriptedRunnable()),
      (error) => isSluiceError(error, 'closed'),
    );
  });

  it('goes on stopping the others when one cannot be stopped', async () => {
    const first = new ScriptedRunnable();
    supervisor.keep('first', first);
    supervisor.keep('second', {
      start: () => Promise.reject(new SluiceError('broker-unavailable', 'never')),
      stop: () => Promise.reject(new Error('stuck')),
      onExit: () => undefined,
    });
    await clock.yield();
    await supervisor.stop();
    assert.deepEqual(lines.at(-1), 'second: stuck');
    assert.equal(supervisor.children[0]?.state, 'stopped');
  });
});

describe('the lines of a child', () => {
  it('come whole, whatever the pieces are in which they arrive', () => {
    const line = fc.string({ maxLength: 20 }).map((text) => text.replace(/[\r\n]/g, ''));
    fc.assert(
      fc.property(fc.array(line), fc.array(fc.integer({ min: 1, max: 9 })), (expected, sizes) => {
        const text = expected.map((each) => `${each}\n`).join('');
        const seen: string[] = [];
        const feed = createLineSplitter((each) => seen.push(each));
        let from = 0;
        for (const size of sizes) {
          feed(text.slice(from, from + size));
          from += size;
        }
        feed(text.slice(from));
        assert.deepEqual(seen, expected);
      }),
    );
  });

  it('are cut when they are over-long, so that a child without line ends fills no memory', () => {
    const seen: string[] = [];
    const feed = createLineSplitter((line) => seen.push(line));
    feed('x'.repeat(40_000));
    feed('y\r\n');
    assert.deepEqual(
      seen.map((line) => line.length),
      [16_384, 16_384, 40_000 - 2 * 16_384 + 1],
    );
  });
});

describe('a supervised child', () => {
  it('learns once that its parent is gone when its standard input ends', async () => {
    const stdin = new PassThrough();
    let calls = 0;
    onParentGone({ env: { SLUICE_SUPERVISED: '1' }, stdin }, () => {
      calls += 1;
    });
    stdin.write('anything');
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(calls, 0);
    stdin.end();
    await new Promise((resolve) => stdin.once('close', resolve));
    assert.equal(calls, 1);
  });

  it('does not look at the standard input of a process that nobody supervises', async () => {
    const stdin = new PassThrough();
    onParentGone({ env: {}, stdin }, () => assert.fail('must not be called'));
    stdin.end();
    stdin.resume();
    await new Promise((resolve) => stdin.once('close', resolve));
  });
});
