/**
 * Thousands of short scripts, each with its mishaps. What fails is shown with the command that repeats it and the shortest script
 * that still fails.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { generateScript } from '../generate.ts';
import { runScript } from '../run.ts';
import { shrinkScript } from '../shrink.ts';

const seedsAtOnce = 100;

async function runSeeds(from: number, through: number): Promise<void> {
  for (let seed = from; seed <= through; seed += 1) {
    const script = generateScript(seed);
    const result = await runScript(script);
    if (result.fault === undefined) continue;
    const shrunk = await shrinkScript(script, result);
    assert.fail(
      `seed ${seed} at ${result.fault.atMs} ms: ${result.fault.what}\nagain: npm run simulate -- --seed ${seed}\n` +
        `shorter: ${shrunk.result.fault?.what}\n${JSON.stringify(shrunk.script)}`,
    );
  }
}

/** Tests of the seeds `from` to `through`, a hundred at a time. */
export function testSeeds(from: number, through: number): void {
  describe('a simulated cluster', () => {
    for (let first = from; first <= through; first += seedsAtOnce) {
      const last = Math.min(through, first + seedsAtOnce - 1);
      it(`keeps its promises in the runs of the seeds ${first} to ${last}`, () => runSeeds(first, last));
    }
  });
}
