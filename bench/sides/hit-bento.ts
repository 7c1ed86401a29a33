/** In-process hits of bentocache's memory layer, set to keep values as they are, which is its fastest way. */
import { BentoCache, bentostore } from 'bentocache';
import { memoryDriver } from 'bentocache/drivers/memory';
import type { CreateSide } from '../side.ts';
import { bytesOf, decode, type HitSetup, keyOf, lifeMs, orderOf, type Product, timeGets } from './hit-load.ts';

export const createSide: CreateSide<HitSetup> = async (setup) => {
  const bento = new BentoCache({
    default: 'memory',
    stores: { memory: bentostore().useL1Layer(memoryDriver({ maxItems: setup.keys, serialize: false })) },
  });
  for (let index = 0; index < setup.keys; index += 1)
    await bento.set({ key: keyOf(index), value: decode(bytesOf(index)), ttl: lifeMs });
  const order = orderOf(setup).slice(0, Math.max(1_000, Math.round(setup.gets / 10)));
  return {
    // A tenth of the gets: each is slow enough to be timed well all the same.
    round: () =>
      timeGets({ ...setup, gets: order.length }, order, async (asked) => {
        let found = 0;
        for (const key of asked) {
          const product = await bento.get<Product>({ key });
          if (product !== undefined && product !== null && product.id >= 0) found += 1;
        }
        return found;
      }),
    stop: () => bento.disconnectAll(),
  };
};
