/** In-process hits of bentocache's memory layer, set to keep values as they are, which is its fastest way. */
import { BentoCache, bentostore } from 'bentocache';
import { memoryDriver } from 'bentocache/drivers/memory';
import type { CreateSide } from '../side.ts';
import { bytesOf, createGetTimer, decode, type HitSetup, keyOf, lifeMs, type Product } from './load.ts';

export const createSide: CreateSide<HitSetup> = async (setup) => {
  const bento = new BentoCache({
    default: 'memory',
    stores: { memory: bentostore().useL1Layer(memoryDriver({ maxItems: setup.keys, serialize: false })) },
  });
  for (let index = 0; index < setup.keys; index += 1)
    await bento.set({ key: keyOf(index), value: decode(bytesOf(index)), ttl: lifeMs });
  const ask = async (order: readonly string[]): Promise<number> => {
    let found = 0;
    for (const key of order) {
      const product = await bento.get<Product>({ key });
      if (product !== undefined && product !== null && product.id >= 0) found += 1;
    }
    return found;
  };
  return { round: createGetTimer(setup, ask, 0.2), stop: () => bento.disconnectAll() };
};
