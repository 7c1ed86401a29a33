/** In-process hits of Sluice: the values are in the log, and this process has replayed them. */
import { connect, json } from '../../src/index.ts';
import type { CreateSide, Side } from '../side.ts';
import { createGetTimer, type HitSetup, keyOf, lifeMs, type Product, productOf } from './load.ts';

const putsAtOnce = 2_000;

/** A cache that may hold a million entries: it is a tenth full. */
export const createSide: CreateSide<HitSetup> = (setup) => createHits(setup, 'products', 1_000_000);

export async function createHits(setup: HitSetup, cacheName: string, entriesMax: number): Promise<Side> {
  await fill(setup, cacheName, entriesMax);
  const sluice = await connect({ servers: setup.url });
  const cache = await sluice.open<Product>(cacheName, { codec: json<Product>() });
  // Values are decoded at their first use, which is not what is measured.
  for (let index = 0; index < setup.keys; index += 1) cache.get(keyOf(index));
  const ask = (order: readonly string[]): number => {
    let found = 0;
    for (const key of order) {
      const product = cache.get(key);
      if (product !== undefined && product.id >= 0) found += 1;
    }
    return found;
  };
  return { round: createGetTimer(setup, ask), stop: () => sluice.close() };
}

async function fill({ url, keys }: HitSetup, cacheName: string, entriesMax: number): Promise<void> {
  const sluice = await connect({ servers: url });
  const cache = await sluice.open<Product>(cacheName, { codec: json<Product>(), create: { entriesMax } });
  for (let from = 0; from < keys; from += putsAtOnce) {
    const some = Array.from({ length: Math.min(putsAtOnce, keys - from) }, (_, index) => from + index);
    await Promise.all(some.map((index) => cache.put(keyOf(index), productOf(index), { ttlMs: lifeMs })));
  }
  await sluice.close();
}
