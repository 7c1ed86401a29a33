/** Node A: puts at a steady pace through the library. */
import { bytes, connect } from '../../src/index.ts';
import type { CreateSide } from '../side.ts';
import { keysInTurn, pace, stampedValue, type VisibleSetup } from './load.ts';

export const visibleCache = 'visible';

export const createSide: CreateSide<VisibleSetup> = async (setup) => {
  const sluice = await connect({ servers: setup.url });
  const cache = await sluice.open<Uint8Array>(visibleCache, { codec: bytes() });
  return {
    async round() {
      let acknowledged = 0;
      await new Promise<void>((resolve, reject) => {
        const count = (): void => {
          acknowledged += 1;
          if (acknowledged === setup.messages) resolve();
        };
        void pace(setup, (index) => {
          cache.put(`key-${index % keysInTurn}`, stampedValue(setup.valueBytes)).then(count, reject);
        });
      });
      return {};
    },
    stop: () => sluice.close(),
  };
};
