/**
 * The checkers against a simulated cluster that keeps every promise, where they must find nothing, and against the same histories
 * with one planted fault, which they must find. Each history comes with the seed that repeats it.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { checkHistory, checks, describeFindings } from '../../../src/testing/check-history.ts';
import type { CheckName } from '../../../src/testing/history/finding.ts';
import { createSeededRandom } from '../../../src/testing/seeded-random.ts';
import { faults } from '../../support/planted-faults.ts';
import { simulateCluster } from '../../support/simulated-cluster.ts';

const clusterOf = (seed: number, steps: number) => simulateCluster(createSeededRandom(seed), steps);

describe('a cluster that keeps every promise', () => {
  it('has no finding of any checker', () => {
    const check = fc.property(fc.nat(), fc.integer({ min: 20, max: 600 }), (seed, steps) => {
      assert.equal(describeFindings(checkHistory(clusterOf(seed, steps))), '');
    });
    fc.assert(check, { numRuns: 400 });
  });

  it('is not an easy one: everything that histories can tell occurs in it', () => {
    const seen = new Map<string, number>();
    const note = (name: string): void => void seen.set(name, (seen.get(name) ?? 0) + 1);
    for (let seed = 0; seed < 100; seed += 1)
      for (const record of clusterOf(seed, 400)) {
        note('outcome' in record ? `${record.type} ${record.outcome}` : record.type);
        if (record.type === 'watch') note(`watch ${record.event}`);
        for (const [field, value] of Object.entries(record)) if (value !== undefined) note(field);
      }
    const writes = ['put', 'delete', 'clear', 'invalidate'];
    for (const name of [
      ...writes.flatMap((type) => ['ok', 'failed', 'unknown'].map((outcome) => `${type} ${outcome}`)),
      ...['opened', 'put', 'delete', 'clear', 'tag', 'progress', 'closed', 'reset'].map((event) => `watch ${event}`),
      ...['ifAbsent', 'ifRevision', 'conflict', 'basis', 'expiresAt', 'tags', 'minPosition', 'maxStalenessMs', 'lagMs'],
      ...['resumes', 'prefix', 'reset', 'log', 'state', 'member'],
    ])
      assert.ok((seen.get(name) ?? 0) >= 5, `${name}: ${seen.get(name) ?? 0}`);
  });
});

describe('a planted fault', () => {
  it('is there for each check', () => assert.deepEqual(Object.keys(faults).sort(), Object.keys(checks).sort()));

  for (const [name, kinds] of Object.entries(faults))
    for (const [kind, plant] of Object.entries(kinds))
      it(`is found by ${name}: ${kind}`, () => {
        let planted = 0;
        const check = fc.property(fc.nat(), (seed) => {
          const history = plant(clusterOf(seed, 200));
          if (history === undefined) return;
          planted += 1;
          const [finding] = checks[name as CheckName](history);
          assert.equal(finding?.verdict, 'broken');
          assert.equal(finding?.check, name);
        });
        fc.assert(check, { numRuns: 60 });
        assert.ok(planted >= 5, `${planted} of 60 histories had a place for it`);
      });
});
