/** Replay by the library: from `open` of a cache in a new process until the copy is complete. */
import { bytes, connect } from '../../src/index.ts';
import type { CreateSide } from '../side.ts';
import { type ReplaySetup, replayCache } from './load.ts';

export const createSide: CreateSide<ReplaySetup> = async ({ url, events }) => {
  const sluice = await connect({ servers: url });
  return {
    async round() {
      const startedMs = performance.now();
      const cache = await sluice.open<Uint8Array>(replayCache, {
        codec: bytes(),
        create: false,
        entriesMax: 2 * events,
        bytesMax: 16 * 1024 ** 3,
      });
      const seconds = (performance.now() - startedMs) / 1_000;
      if (cache.size !== events) throw new Error(`${cache.size} of ${events} entries are there`);
      return { eventsPerSecond: events / seconds };
    },
    stop: () => sluice.close(),
  };
};
