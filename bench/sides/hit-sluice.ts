/** In-process hits of Sluice: the values are in the log, this process has replayed them. */
import { connect, json } from '../../src/index.ts';
import type { CreateSide } from '../side.ts';
import { type HitSetup, keyOf, lifeMs, orderOf, type Product, productOf, timeGets } from './hit-load.ts';

const cacheName = 'products';
const putsAtOnce = 2_000;

export const createSide: CreateSide<HitSetup> = async (setup) => {
  await fill(setup);
  const sluice = await connect({ servers: setup.url });
  const cache = await sluice.open<Product>(cacheName, { codec: json<Product>() });
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
    stop: () => sluice.close(),
  };
};

async function fill({ url, keys }: HitSetup): Promise<void> {
  const sluice = await connect({ servers: url });
  const cache = await sluice.open<Product>(cacheName, { codec: json<Product>(), create: { entriesMax: 1_000_000 } });
  for (let from = 0; from < keys; from += putsAtOnce) {
    const some = Array.from({ length: Math.min(putsAtOnce, keys - from) }, (_, index) => from + index);
    await Promise.all(some.map((index) => cache.put(keyOf(index), productOf(index), { ttlMs: lifeMs })));
  }
  await sluice.close();
}
