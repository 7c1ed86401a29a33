/** The follower's exact behaviour in time, on a log in memory and a fake clock. What holds for every log is in its contract. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { defaultFollowerLimits, type FollowerOptions } from '../../../src/log/follower-options.ts';
import type { LogBounds } from '../../../src/log/log.ts';
import { createMemoryLog, type MemoryLog } from '../../../src/log/memory-log.ts';
import { createFakeClock, type FakeClock } from '../../../src/testing/fake-clock.ts';
import { createSeededRandom } from '../../../src/testing/seeded-random.ts';
import { type Copy, makeCopy } from '../../contract/follower-contract.ts';

interface Scene {
  readonly clock: FakeClock;
  readonly log: MemoryLog;
  readonly copy: Copy;
  append(key: string): Promise<number>;
}

async function begin(
  options: Partial<FollowerOptions> = {},
  wrap: (log: MemoryLog) => MemoryLog = (log) => log,
): Promise<Scene> {
  const clock = createFakeClock();
  const log = createMemoryLog({ name: 'log', clock });
  const copy = makeCopy(
    { log: wrap(log) },
    { clock, random: createSeededRandom(1), ...options, limits: { ...defaultFollowerLimits, ...options.limits } },
  );
  await copy.follower.start();
  await clock.settle();
  return {
    clock,
    log,
    copy,
    append: async (key) => (await log.append({ subject: key, fields: '', data: Buffer.from(key) })).position,
  };
}

describe('a follower in time', () => {
  it('is proven again by each heartbeat, and grows old to the millisecond when they end', async () => {
    const { clock, log, copy } = await begin();
    assert.equal(copy.follower.lagMs(), 0);
    await clock.advance(499);
    assert.equal(copy.follower.lagMs(), 499);
    await clock.advance(1);
    assert.equal(copy.follower.lagMs(), 0);
    await clock.advance(10_000);
    assert.ok(copy.follower.lagMs() <= 500);
    assert.equal(copy.follower.counters.reopened, 0);
    const { isAvailable } = log;
    assert.equal(isAvailable, true);
    log.isAvailable = false;
    log.silence();
    const before = copy.follower.lagMs();
    await clock.advance(7_000);
    assert.equal(copy.follower.lagMs(), before + 7_000);
  });

  it('makes a new reader after silence, never two, and misses nothing', async () => {
    const { clock, log, copy, append } = await begin();
    log.silence();
    const position = await append('a');
    await clock.advance(defaultFollowerLimits.silenceMs);
    assert.equal(copy.follower.applied, 0);
    assert.equal(log.openReaders, 1);
    await clock.advance(defaultFollowerLimits.silenceMs / 2 + defaultFollowerLimits.retryFirstMs);
    assert.equal(copy.follower.applied, position);
    assert.equal(log.openReaders, 1);
    assert.deepEqual(
      copy.notices.filter(({ what }) => what === 'ended').map(({ reason }) => /silent for \d+ ms/.test(reason)),
      [true],
    );
  });

  it('is not deceived by a reader that beats but stands on a replica that is cut off', async () => {
    const { clock, log, copy, append } = await begin();
    await append('a');
    await clock.settle();
    log.freeze();
    const position = await append('b');
    const { silenceMs } = defaultFollowerLimits;
    await clock.advance(silenceMs * 1.5);
    assert.equal(copy.follower.applied, 1);
    assert.ok(copy.follower.lagMs() >= silenceMs * 1.5, `${copy.follower.lagMs()}`);
    assert.equal(copy.follower.lagEvents, 1);
    await clock.advance(silenceMs * 1.5);
    assert.equal(copy.follower.applied, position, 'another reader was made');
    assert.ok(copy.notices.some(({ what, reason }) => what === 'ended' && reason.startsWith('stuck at 1')));
    assert.ok(copy.follower.lagMs() <= silenceMs);
  });

  it('backs off while the log cannot be reached, within its limits', async () => {
    const { clock, log, copy } = await begin();
    let attempts = 0;
    const base = log.bounds;
    log.bounds = (signal) => {
      attempts += 1;
      return base(signal);
    };
    log.isAvailable = false;
    log.disconnect();
    await clock.advance(60_000);
    // At most one in half the longest wait, once the first short waits are over; at least one in the longest.
    const least = 60_000 / defaultFollowerLimits.retryMaxMs;
    assert.ok(attempts >= least && attempts <= 2 * least + 15, `${attempts} attempts in a minute`);
    log.isAvailable = true;
    await clock.advance(defaultFollowerLimits.retryMaxMs);
    assert.ok(copy.follower.lagMs() <= 500);
  });

  it('does not take an answer for a roll-back that was on its way while more came in', async () => {
    let release: (() => void) | undefined;
    const { clock, copy, append } = await begin({}, (log) => ({
      ...log,
      async bounds(signal) {
        const bounds = await log.bounds(signal);
        if (release === undefined && bounds.last === 1) await new Promise<void>((resolve) => (release = resolve));
        return bounds;
      },
    }));
    await append('a');
    const latest = copy.follower.latest();
    await clock.settle();
    await append('b');
    await append('c');
    await clock.settle();
    assert.equal(copy.follower.applied, 3);
    assert.ok(release !== undefined);
    release();
    assert.equal(await latest, 3, 'the log is asked once more');
    await clock.advance(1_000);
    assert.equal(copy.follower.counters.rebuilds, 0);
    assert.equal(copy.follower.applied, 3);
  });

  it('is proven by an answer that the copy has overtaken once the log was shown to have what came in meanwhile', async () => {
    const held: (() => void)[] = [];
    let isHeld = false;
    const { clock, copy, append } = await begin({}, (log) => ({
      ...log,
      open: (from, events, options) =>
        log.open(from, { ...events, idle: (...args) => isHeld || events.idle(...args) }, options),
      async bounds(signal) {
        const bounds = await log.bounds(signal);
        if (isHeld) await new Promise<void>((resolve) => held.push(resolve));
        return bounds;
      },
    }));
    await append('a');
    await clock.advance(1_200);
    const lagMs = copy.follower.lagMs();
    assert.ok(lagMs > 0 && lagMs < 500, `${lagMs}`);
    isHeld = true;
    const latest = copy.follower.latest();
    await clock.settle();
    await append('b');
    await clock.settle();
    held.shift()?.();
    await clock.settle();
    assert.equal(
      copy.follower.lagMs(),
      lagMs,
      'what came in may be gone again: an answer that does not know it proves nothing',
    );
    await append('c');
    await clock.settle();
    assert.equal(held.length, 1, 'the log was asked once more');
    held.shift()?.();
    assert.equal(await latest, 2);
    assert.equal(copy.follower.lagMs(), 0, 'also when that answer was overtaken');
  });

  it('is not proven by an answer from below its copy when the log has lost what a paused process reads', async () => {
    const buffered: (() => void)[] = [];
    let isPaused = false;
    const whenAwake = (act: () => void): void => (isPaused ? void buffered.push(act) : act());
    const { clock, log, copy, append } = await begin({}, (memory) => ({
      ...memory,
      open: (from, events, options) =>
        memory.open(
          from,
          {
            record: (...args) => whenAwake(() => events.record(...args)),
            idle: (...args) => whenAwake(() => events.idle(...args)),
            alive: () => whenAwake(() => events.alive()),
            ended: (reason) => whenAwake(() => events.ended(reason)),
          },
          options,
        ),
    }));
    await append('a');
    await clock.advance(1_200);
    isPaused = true;
    await append('lost');
    await clock.settle();
    log.rollBack(1);
    const lagMs = copy.follower.lagMs();
    const latest = copy.follower.latest();
    buffered.shift()?.();
    assert.deepEqual([...copy.values.keys()], ['a', 'lost']);
    await clock.settle();
    assert.equal(copy.follower.lagMs() >= lagMs, true, `${copy.follower.lagMs()}`);
    isPaused = false;
    for (const act of buffered) act();
    await clock.advance(1_000);
    assert.equal(await latest, 1);
    assert.deepEqual([...copy.values.keys()], ['a']);
    assert.equal(copy.rebuilds.length, 1);
  });

  it('ignores an answer that a newer one has overtaken', async () => {
    const slow: (() => void)[] = [];
    let isSlow = false;
    const { clock, log, copy, append } = await begin({}, (base) => ({
      ...base,
      async bounds(signal): Promise<LogBounds> {
        const bounds = await base.bounds(signal);
        if (isSlow) await new Promise<void>((resolve) => slow.push(resolve));
        return bounds;
      },
    }));
    for (const key of ['a', 'b', 'c']) await append(key);
    await clock.settle();
    isSlow = true;
    const old = copy.follower.latest();
    await clock.advance(1);
    isSlow = false;
    log.recreate();
    await append('new');
    await clock.advance(200);
    assert.deepEqual([...copy.values.keys()], ['new']);
    assert.equal(copy.rebuilds.length, 1);
    assert.equal(slow.length, 1);
    for (const go of slow) go();
    await clock.advance(200);
    assert.equal(await old, 1, 'it gets the newer answer');
    assert.equal(copy.rebuilds.length, 1);
    assert.deepEqual([...copy.values.keys()], ['new']);
    assert.deepEqual(copy.floors, [1, 1]);
  });

  it('starts anew when the machine slept longer than deletes are remembered, which only the wall clock tells', async () => {
    const { clock, log, copy, append } = await begin();
    await append('a');
    await clock.settle();
    log.isAvailable = false;
    log.disconnect();
    clock.jump(25 * 3_600_000);
    await log.purge().catch(() => undefined);
    log.isAvailable = true;
    await log.purge({ subject: 'a' });
    await append('b');
    await clock.advance(100);
    assert.deepEqual(copy.rebuilds, ['away longer than tombstones are kept']);
    assert.deepEqual([...copy.values.keys()], ['b']);
  });

  it('goes on after a long sleep during which nothing was written', async () => {
    const { clock, log, copy, append } = await begin();
    await append('a');
    await clock.settle();
    log.isAvailable = false;
    log.disconnect();
    clock.jump(25 * 3_600_000);
    log.isAvailable = true;
    await clock.advance(100);
    assert.deepEqual(copy.rebuilds, []);
    assert.deepEqual([...copy.values.keys()], ['a']);
  });

  it('notices a roll-back though the log has grown beyond it and the message that it applied last was replaced', async () => {
    const rebuilds: string[] = [];
    const { clock, log, copy, append } = await begin({
      onNotice: ({ what, reason }) => what === 'rebuild' && rebuilds.push(reason),
    });
    for (const key of ['a', 'b', 'lost']) await append(key);
    await clock.advance(1_000);
    assert.equal(copy.follower.applied, 3);
    log.rollBack(1);
    for (const key of ['c', 'c', 'c', 'c']) await append(key);
    await clock.advance(5_000);
    assert.equal(copy.follower.applied, 5);
    assert.equal(rebuilds.length, 1, rebuilds.join());
    assert.match(rebuilds[0] ?? '', /the message at 3 is gone/);
  });

  it('notices a roll-back when another message stands where one was that it applied', async () => {
    const rebuilds: string[] = [];
    const { clock, log, append } = await begin({
      onNotice: ({ what, reason }) => what === 'rebuild' && rebuilds.push(reason),
    });
    for (const key of ['a', 'b', 'c']) await append(key);
    await clock.advance(1_000);
    log.rollBack(1);
    for (const key of ['d', 'b', 'c', 'c']) await append(key);
    await clock.advance(5_000);
    assert.deepEqual(rebuilds, ['the log was rolled back: another message stands at 2']);
  });

  it('proves nothing by a log whose messages it has not compared', async () => {
    const { clock, log, copy, append } = await begin({}, (memory) => ({
      ...memory,
      name: memory.name,
      bounds: (signal) => memory.bounds(signal),
      latest: () => new Promise(() => undefined),
    }));
    await append('a');
    await clock.advance(1_000);
    const before = copy.follower.lagMs();
    assert.ok(before <= 500, `${before}`);
    log.disconnect();
    await clock.advance(4_000);
    assert.ok(copy.follower.lagMs() >= before + 4_000, `${copy.follower.lagMs()}`);
  });

  it('proves nothing by an answer that it had overtaken before the log was compared', async () => {
    const waiting: (() => void)[] = [];
    const held = new Set<'bounds' | 'latest'>();
    const late = async <Answer>(what: 'bounds' | 'latest', answer: Answer): Promise<Answer> => {
      if (held.has(what)) await new Promise<void>((resolve) => waiting.push(resolve));
      return answer;
    };
    const { clock, log, copy, append } = await begin({}, (memory) => ({
      ...memory,
      bounds: async (signal) => late('bounds', await memory.bounds(signal)),
      latest: async (subject, signal) => late('latest', await memory.latest(subject, signal)),
      // A reader that cannot tell how far the leader is.
      open: (from, events, options) => memory.open(from, { ...events, idle: () => events.alive() }, options),
    }));
    await append('a');
    await clock.advance(2_000);
    held.add('latest');
    log.disconnect();
    await clock.advance(200);
    held.add('bounds');
    const heldFromMs = clock.monotonic();
    await clock.advance(2_000);
    assert.equal(waiting.length, 2, 'the comparison and a question');
    await append('b');
    await clock.settle();
    assert.equal(copy.follower.applied, 2);
    for (const resume of waiting.splice(0).reverse()) resume();
    await clock.settle();
    assert.ok(copy.follower.provenAtMs < heldFromMs, 'as of the answer before the reader was opened');
    assert.ok(copy.follower.provenAtMs > heldFromMs - 200, 'which was about this same log');
  });

  it('leaves no timer behind', async () => {
    const { clock, log, copy, append } = await begin();
    await append('a');
    const waiting = [copy.follower.reached(9, { waitMs: 60_000 }), copy.follower.ready({ waitMs: 60_000 })];
    const settled = Promise.allSettled(waiting);
    await clock.settle();
    await copy.follower.stop();
    await settled;
    assert.equal(log.openReaders, 0);
    assert.equal(clock.timers, 0);
  });
});
