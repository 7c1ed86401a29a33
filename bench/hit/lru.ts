/** In-process hits of a bare lru-cache with its time-to-live. */
import { LRUCache } from 'lru-cache';
import type { CreateSide } from '../side.ts';
import { bytesOf, createGetTimer, decode, type HitSetup, keyOf, lifeMs, type Product } from './load.ts';

export const createSide: CreateSide<HitSetup> = async (setup) => {
  const cache = new LRUCache<string, Product>({ max: setup.keys, ttl: lifeMs });
  for (let index = 0; index < setup.keys; index += 1) cache.set(keyOf(index), decode(bytesOf(index)));
  const ask = (order: readonly string[]): number => {
    let found = 0;
    for (const key of order) {
      const product = cache.get(key);
      if (product !== undefined && product.id >= 0) found += 1;
    }
    return found;
  };
  return { round: createGetTimer(setup, ask), stop: async () => undefined };
};
