/**
 * The short form of fuzzing: each target's corpus and a fixed number of mutations of it, from a fixed seed. `npm run fuzz` is the
 * long form; docs/fuzzing.md says how to use it.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { loadCorpus } from './corpus.ts';
import { fuzz } from './engine.ts';
import { fuzzTargets } from './targets.ts';

const seed = 1;

describe('any bytes', () => {
  for (const target of fuzzTargets) {
    it(`keep the promise of ${target.name}: ${target.promise}`, async (t) => {
      t.after(target.close ?? (() => undefined));
      const corpus = loadCorpus(target.name);
      const { cases, finding } = await fuzz(target, { seed, corpus, goesOn: (number) => number < target.cases });
      if (finding !== undefined) {
        t.diagnostic(`npm run fuzz -- --target ${target.name} --seed ${seed} --case ${finding.case}`);
        t.diagnostic(JSON.stringify(finding.bytes.toString('latin1').slice(0, 2_000)));
        throw finding.error;
      }
      assert.equal(cases, corpus.length + target.cases);
    });
  }
});
