/** Node B: a copy of the cache in another process. A put is visible when a read here gives its value. */
import { bytes, connect } from '../../src/index.ts';
import type { CreateSide } from '../side.ts';
import { createLatencyCollector, type VisibleSetup } from './load.ts';
import { visibleCache } from './sluice-writer.ts';

export const createSide: CreateSide<VisibleSetup> = async (setup) => {
  const sluice = await connect({ servers: setup.url });
  const cache = await sluice.open<Uint8Array>(visibleCache, { codec: bytes() });
  const collector = createLatencyCollector(setup);
  cache.onChange((change) => {
    if (change.type !== 'put') return;
    const value = cache.get(change.key);
    if (value === undefined) throw new Error(`${change.key}: told of, and not there`);
    collector.arrived(value);
  });
  return { round: collector.turn, stop: () => sluice.close() };
};
