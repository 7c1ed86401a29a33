/** The teeth of the simulation: errors written into the core, each of which it must find within the stated number of seeds. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createMutatedCore, type MutatedCore } from '../mutated-core.ts';
import type { Mutation } from '../mutations.ts';

export function testMutations(mutations: readonly Mutation[]): void {
  describe('an error in the core', () => {
    let core: MutatedCore;
    before(() => {
      core = createMutatedCore();
    });
    after(() => core.remove());

    it('is not found where there is none', () => {
      assert.equal(core.run(undefined, 10), undefined);
    });

    for (const mutation of mutations) {
      it(`is found within ${mutation.seeds} seeds: ${mutation.name}`, () => {
        const found = core.run(mutation, mutation.seeds);
        assert.ok(found !== undefined, `not found: ${mutation.what}`);
      });
    }
  });
}
