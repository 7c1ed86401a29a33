/** The register checker against one that tries everything, on thousands of small histories; and at its full size. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { History } from '../../../src/testing/history/record.ts';
import { checkRegister, judgeRegister } from '../../../src/testing/register/check-register.ts';
import { createSeededRandom } from '../../../src/testing/seeded-random.ts';
import { isLinearizableByForce } from '../../support/brute-force-register.ts';
import { distort, makeHistory } from '../../support/random-history.ts';

const smallHistory = fc.record({
  seed: fc.nat(),
  operations: fc.integer({ min: 2, max: 7 }),
  processes: fc.integer({ min: 1, max: 4 }),
  values: fc.constantFrom(2, 3, undefined),
  withRevisions: fc.boolean(),
  unknownPercent: fc.constantFrom(0, 20, 40),
  isRich: fc.boolean(),
  distortions: fc.constantFrom(0, 1, 2, 4, 6),
});

describe('the register checker', () => {
  it('agrees with trying everything', () => {
    const verdicts = { true: 0, false: 0 };
    const check = fc.property(smallHistory, ({ seed, distortions, ...options }) => {
      const random = createSeededRandom(seed);
      let history: History = makeHistory(random, { ...options, keys: 1 });
      for (let count = 0; count < distortions; count += 1) history = distort(random, history as never);
      fc.pre(history.some((record) => 'key' in record));
      const expected = isLinearizableByForce(history);
      const { verdict, findings } = judgeRegister(history);
      verdicts[`${expected}`] += 1;
      assert.equal(verdict, expected ? 'holds' : 'broken');
      for (const { explained, misfits } of findings) {
        // What it shows is true by itself: the explained part has an order, and there is something that does not fit.
        assert.ok(isLinearizableByForce(explained));
        assert.ok(misfits.length > 0);
      }
    });
    fc.assert(check, { numRuns: 4_000 });
    assert.ok(verdicts.true > 500 && verdicts.false > 500, JSON.stringify(verdicts));
  });

  it('accepts every history of a register, of many keys and processes', () => {
    const check = fc.property(fc.nat(), fc.boolean(), fc.boolean(), (seed, withRevisions, isRich) => {
      const random = createSeededRandom(seed);
      const options = { operations: 300, keys: 4, processes: 6, withRevisions, unknownPercent: 5, isRich };
      assert.deepEqual(checkRegister(makeHistory(random, options)), []);
    });
    fc.assert(check, { numRuns: 200 });
  });

  it('decides where eight clients of a key overlap, with lost answers, clears and tags', () => {
    for (const withRevisions of [true, false]) {
      const history = makeHistory(createSeededRandom(8), {
        operations: 20_000,
        keys: 10,
        processes: 80,
        hasOwnKeys: true,
        span: 600,
        withRevisions,
        unknownPercent: 3,
        invalidationsPerMille: 10,
        isRich: false,
      });
      const { verdict, operations, states } = judgeRegister(history);
      assert.equal(verdict, 'holds');
      assert.ok(states < 2 * operations, `${states} states for ${operations} operations`);
    }
  });

  it('decides 100,000 operations of 50 keys, looking at few states for each', () => {
    for (const withRevisions of [true, false]) {
      const history = makeHistory(createSeededRandom(7), {
        operations: 100_000,
        keys: 50,
        processes: 20,
        withRevisions,
        unknownPercent: 3,
        isRich: false,
      });
      const { verdict, keys, operations, states } = judgeRegister(history);
      assert.deepEqual([verdict, keys], ['holds', 50]);
      assert.ok(operations > 95_000 && states < 2 * operations, `${states} states for ${operations} operations`);
      const victim = history.findIndex((operation) => operation.type === 'read' && operation.start > 500_000);
      const wrong = history.map((operation, index) =>
        index === victim ? { ...operation, value: 'never written' } : operation,
      );
      const report = judgeRegister(wrong);
      assert.equal(report.verdict, 'broken');
      assert.deepEqual(
        report.findings.map(({ misfits }) => misfits.includes(wrong[victim] as never)),
        [true],
      );
    }
  });
});
