/**
 * Randomness that repeats: the same seed gives the same sequence on every machine, so a failure comes with the number
 * that shows it again. Mulberry32 (public domain, Tommy Ettinger): 32 bits of state, good enough for tests, for nothing else.
 */
import type { Random } from '../base/random.ts';

export interface SeededRandom extends Random {
  readonly seed: number;
  /** Uniform integer in [0, below). */
  below(below: number): number;
  /** One of the items; throws when there is none. */
  pick<Item>(items: readonly Item[]): Item;
}

export function createSeededRandom(seed: number): SeededRandom {
  let state = seed >>> 0;

  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  const below = (limit: number): number => Math.floor((next() / 2 ** 32) * limit);

  return {
    seed,
    fraction: () => next() / 2 ** 32,
    hex: (byteCount) => Array.from({ length: byteCount }, () => (next() & 0xff).toString(16).padStart(2, '0')).join(''),
    below,
    pick(items) {
      const item = items[below(items.length)];
      if (item === undefined) throw new RangeError('nothing to pick from');
      return item;
    },
  };
}
