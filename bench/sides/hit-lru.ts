/** In-process hits of a bare lru-cache with its time-to-live. */
import { LRUCache } from 'lru-cache';
import type { CreateSide } from '../side.ts';
import { bytesOf, decode, type HitSetup, keyOf, lifeMs, orderOf, type Product, timeGets } from './hit-load.ts';

export const createSide: CreateSide<HitSetup> = async (setup) => {
  const cache = new LRUCache<string, Product>({ max: setup.keys, ttl: lifeMs });
  for (let index = 0; index < setup.keys; index += 1) cache.set(keyOf(index), decode(bytesOf(index)));
  const order = orderOf(setup);
  return {
    round: () =>
      timeGets(setup, order, (asked) => {
        let found = 0;
        for (const key of asked) {
          const product = cache.get(key);
          if (product !== undefined && product.id >= 0) found += 1;
        }
        return found;
      }),
    stop: async () => undefined,
  };
};
