import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { every, pause } from '../../../src/base/clock.ts';
import { createFakeClock } from '../../../src/testing/fake-clock.ts';

describe('the fake clock', () => {
  it('stands still until it is advanced, and then moves both clocks alike', async () => {
    const clock = createFakeClock({ nowMs: 1_000_000, monotonicMs: 5 });
    assert.deepEqual([clock.now(), clock.monotonic()], [1_000_000, 5]);
    await clock.settle();
    assert.deepEqual([clock.now(), clock.monotonic()], [1_000_000, 5]);
    await clock.advance(250);
    assert.deepEqual([clock.now(), clock.monotonic()], [1_000_250, 255]);
    clock.jump(-60_000);
    assert.deepEqual([clock.now(), clock.monotonic()], [940_250, 255]);
  });

  it('fires timers in order of time, then of creation, each at its own time', async () => {
    const clock = createFakeClock({ monotonicMs: 0 });
    const fired: string[] = [];
    const note = (name: string) => () => void fired.push(`${name}@${clock.monotonic()}`);
    clock.timer(20, note('b'));
    clock.timer(10, note('a'));
    clock.timer(20, note('c'));
    clock.timer(-5, note('now'));
    clock.timer(31, note('late'));
    const gone = clock.timer(15, note('cancelled'));
    gone.cancel();
    gone.cancel();
    assert.equal(clock.timers, 5);
    await clock.advance(30);
    assert.deepEqual(fired, ['now@0', 'a@10', 'b@20', 'c@20']);
    assert.equal(clock.timers, 1);
    await clock.advance(1);
    assert.equal(fired.at(-1), 'late@31');
    assert.equal(clock.timers, 0);
  });

  it('runs timers that are made by timers, and lets promises settle in between', async () => {
    const clock = createFakeClock({ monotonicMs: 0 });
    const seen: number[] = [];
    const run = async (): Promise<void> => {
      for (let round = 0; round < 3; round += 1) {
        await pause(clock, 10);
        await Promise.resolve();
        await clock.yield();
        seen.push(clock.monotonic());
      }
    };
    const running = run();
    await clock.advance(30);
    assert.deepEqual(seen, [10, 20, 30]);
    await running;
  });

  it('repeats until cancelled', async () => {
    const clock = createFakeClock();
    let count = 0;
    const timer = every(clock, 100, () => {
      count += 1;
      if (count === 7) timer.cancel();
    });
    await clock.advance(550);
    assert.equal(count, 5);
    await clock.advance(10_000);
    assert.equal(count, 7);
    assert.equal(clock.timers, 0);
  });
});
