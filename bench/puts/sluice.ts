/** Acknowledged puts through the library. The process holds a copy, so it also receives and applies what it wrote. */
import { bytes, connect } from '../../src/index.ts';
import type { CreateSide } from '../side.ts';
import { type PutsSetup, timePuts, windowMax } from './load.ts';

export const createSide: CreateSide<PutsSetup> = async (setup) => {
  const sluice = await connect({ servers: setup.url });
  const cache = await sluice.open<Uint8Array>('puts-sluice', { codec: bytes(), create: { logBytesMax: 'none' } });
  const value = Buffer.alloc(setup.valueBytes, 'x');
  return {
    round: () => timePuts(setup, windowMax, (key, done) => void cache.put(key, value).then(() => done(), done)),
    stop: () => sluice.close(),
  };
};
