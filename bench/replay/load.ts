/** The log that is replayed: one event for each key, made by the library itself. */
import { bytes, connect } from '../../src/index.ts';
import type { CreateSide } from '../side.ts';

export interface ReplaySetup {
  readonly url: string;
  readonly events: number;
  readonly valueBytes: number;
}

export const replayCache = 'replayed';
const putsAtOnce = 4_000;

export const replayKeyOf = (index: number): string => `user/${index.toString(36)}/session`;

/** A side with nothing to measure: its start fills the log. */
export const createSide: CreateSide<ReplaySetup> = async ({ url, events, valueBytes }) => {
  const sluice = await connect({ servers: url });
  const create = { entriesMax: 1_000, logBytesMax: 'none' };
  const cache = await sluice.open<Uint8Array>(replayCache, { codec: bytes(), create });
  const value = Buffer.alloc(valueBytes, 'x');
  for (let from = 0; from < events; from += putsAtOnce) {
    const some = Array.from({ length: Math.min(putsAtOnce, events - from) }, (_, index) => from + index);
    await Promise.all(some.map((index) => cache.put(replayKeyOf(index), value)));
  }
  await sluice.close();
  return { round: async () => ({}), stop: async () => undefined };
};
