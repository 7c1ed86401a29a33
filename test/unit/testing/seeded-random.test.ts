import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createSeededRandom } from '../../../src/testing/seeded-random.ts';

describe('seeded randomness', () => {
  it('repeats for the same seed, on every machine, and differs for another', () => {
    const draw = (seed: number): number[] => {
      const random = createSeededRandom(seed);
      return Array.from({ length: 5 }, () => random.below(1_000_000));
    };
    assert.deepEqual(draw(1), draw(1));
    assert.notDeepEqual(draw(1), draw(2));
    assert.deepEqual(draw(42), [601_103, 448_290, 852_465, 669_734, 174_813]);
    assert.equal(createSeededRandom(7).seed, 7);
  });

  it('is even enough, and within its bounds', () => {
    const random = createSeededRandom(99);
    const buckets = new Array<number>(10).fill(0);
    for (let index = 0; index < 20_000; index += 1) {
      const fraction = random.fraction();
      assert.ok(fraction >= 0 && fraction < 1);
      const bucket = random.below(10);
      buckets[bucket] = (buckets[bucket] ?? Number.NaN) + 1;
    }
    for (const count of buckets) assert.ok(count > 1_800 && count < 2_200, `${buckets}`);
  });

  it('makes hex of the asked length and picks only what is there', () => {
    const random = createSeededRandom(3);
    assert.match(random.hex(8), /^[0-9a-f]{16}$/);
    assert.notEqual(random.hex(8), random.hex(8));
    const picked = new Set(Array.from({ length: 100 }, () => random.pick(['a', 'b', 'c'])));
    assert.deepEqual([...picked].toSorted(), ['a', 'b', 'c']);
    assert.throws(() => random.pick([]), RangeError);
  });
});
