import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createFreshness } from '../../../src/log/copy/freshness.ts';
import { createFakeClock } from '../../../src/testing/fake-clock.ts';

describe('freshness', () => {
  it('knows nothing at first, and grows old from each proof on', async () => {
    const clock = createFakeClock();
    const freshness = createFreshness(clock);
    assert.equal(freshness.lagMs(), Number.POSITIVE_INFINITY);
    freshness.prove(clock.monotonic());
    assert.equal(freshness.lagMs(), 0);
    await clock.advance(700);
    assert.equal(freshness.lagMs(), 700);
    freshness.prove(clock.monotonic() - 300);
    assert.equal(freshness.lagMs(), 300);
    freshness.prove(clock.monotonic() - 500);
    assert.equal(freshness.lagMs(), 300, 'an older proof proves nothing new');
    freshness.prove(Number.NEGATIVE_INFINITY);
    assert.equal(freshness.lagMs(), 300);
    freshness.forget();
    assert.equal(freshness.lagMs(), Number.POSITIVE_INFINITY);
  });

  it('takes a head as proof once it is reached, as of the moment of the question', async () => {
    const clock = createFakeClock();
    const freshness = createFreshness(clock);
    freshness.reached(5);
    freshness.expect(5, clock.monotonic());
    assert.equal(freshness.lagMs(), 0, 'reached already');
    await clock.advance(100);
    freshness.expect(8, clock.monotonic());
    await clock.advance(50);
    freshness.expect(9, clock.monotonic());
    await clock.advance(10);
    freshness.reached(7);
    assert.equal(freshness.lagMs(), 160);
    freshness.reached(8);
    assert.equal(freshness.lagMs(), 60);
    freshness.reached(20);
    assert.equal(freshness.lagMs(), 10);
    freshness.expect(30, clock.monotonic());
    freshness.forget();
    freshness.reached(30);
    assert.equal(freshness.lagMs(), Number.POSITIVE_INFINITY, 'what was expected of the old state is void');
  });

  it('counts time that only the wall clock has seen', async () => {
    const clock = createFakeClock();
    const freshness = createFreshness(clock);
    freshness.prove(clock.monotonic());
    await clock.advance(1_000);
    assert.equal(freshness.isOlderThan(1_000), false);
    assert.equal(freshness.isOlderThan(999), true);
    clock.jump(3_600_000);
    assert.equal(freshness.isOlderThan(3_600_000), true);
    assert.equal(freshness.lagMs(), 1_000);
    clock.jump(-7_200_000);
    assert.equal(freshness.isOlderThan(1_000), false);
    assert.equal(freshness.isOlderThan(999), true, 'a clock set back makes nothing younger');
  });

  it('never claims to be younger than the truth, whatever happens in whatever order', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('write' as const), count: fc.integer({ min: 1, max: 3 }) }),
      fc.record({ kind: fc.constant('ask' as const), count: fc.constant(0) }),
      fc.record({ kind: fc.constant('answer' as const), count: fc.constant(0) }),
      fc.record({ kind: fc.constant('apply' as const), count: fc.integer({ min: 1, max: 5 }) }),
      fc.record({ kind: fc.constant('wait' as const), count: fc.integer({ min: 1, max: 500 }) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 200 }), async (steps) => {
        const clock = createFakeClock();
        const freshness = createFreshness(clock);
        /** When each position was stored. */
        const storedAtMs = [Number.NEGATIVE_INFINITY];
        const questions: { askedAtMs: number; head: number }[] = [];
        let applied = 0;
        for (const { kind, count } of steps) {
          if (kind === 'write') for (let each = 0; each < count; each += 1) storedAtMs.push(clock.monotonic());
          if (kind === 'wait') await clock.advance(count);
          if (kind === 'ask') questions.push({ askedAtMs: clock.monotonic(), head: storedAtMs.length - 1 });
          if (kind === 'answer') {
            const answer = questions.shift();
            if (answer !== undefined) freshness.expect(answer.head, answer.askedAtMs);
          }
          if (kind === 'apply') {
            applied = Math.min(storedAtMs.length - 1, applied + count);
            freshness.reached(applied);
          }
          const missing = storedAtMs[applied + 1];
          if (missing !== undefined) assert.ok(freshness.lagMs() >= clock.monotonic() - missing);
        }
      }),
      { numRuns: 100 },
    );
  });
});
