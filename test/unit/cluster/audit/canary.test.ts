/** Canary keys, the spread of what they measured, and the pace of an audit. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { canaryKey, spreadOf } from '../../../../src/cluster/audit/canary.ts';
import { createPacer } from '../../../../src/cluster/audit/pacer.ts';
import { partitionOf } from '../../../../src/placement/partition.ts';
import { createFakeClock } from '../../../../src/testing/fake-clock.ts';

describe('a canary', () => {
  it('has a key in every partition, the first of its kind', () => {
    assert.equal(canaryKey(0, 1), 'sluice-canary/0');
    for (let partition = 0; partition < 64; partition += 1) {
      const key = canaryKey(partition, 64);
      assert.match(key, /^sluice-canary\/\d+$/);
      assert.equal(partitionOf(key, 64), partition);
    }
  });

  it('is summed up by nearest ranks, and a copy that did not see it in time is the worst', () => {
    const samples = Array.from({ length: 100 }, (_, index) => 100 - index);
    assert.deepEqual(spreadOf(samples), { count: 100, p50Ms: 50, p99Ms: 99, maxMs: 100 });
    assert.deepEqual(spreadOf([3]), { count: 1, p50Ms: 3, p99Ms: 3, maxMs: 3 });
    assert.equal(spreadOf([1, Number.POSITIVE_INFINITY]).maxMs, Number.POSITIVE_INFINITY);
  });
});

describe('the pace', () => {
  it('is kept, and a pause saves up no more than a second of work', async () => {
    const clock = createFakeClock();
    const pacer = createPacer(clock, 100);
    let done = 0;
    const work = async (): Promise<void> => {
      for (; done < 1_000; done += 1) await pacer.take(10);
    };
    await clock.advance(3_600_000);
    const working = work();
    await clock.settle();
    assert.ok(done <= 11, `${done} at once`);
    const before = done;
    await clock.advance(2_000);
    assert.ok(Math.abs(done - before - 20) <= 1, `${done - before} in two seconds`);
    await clock.advance(200_000);
    await working;
  });

  it('is none without a limit', async () => {
    await createPacer(createFakeClock(), Number.POSITIVE_INFINITY).take(1e12);
  });
});
