/** Puts through the log, many under way, then one at a time; what differs between the sides is their server. */

import { type PutsSetup, putKeyOf, timePuts, windowMax } from '../puts/load.ts';
import { createLogPuts } from '../puts/log.ts';
import type { CreateSide } from '../side.ts';

export interface DurableSetup extends PutsSetup {
  /** Of those that are awaited one by one. */
  readonly singlePuts: number;
}

export const createSide: CreateSide<DurableSetup> = async (setup) => {
  const { put, stop } = await createLogPuts('durable', setup);

  async function timeSinglePuts(): Promise<{ p50Ms: number; p99Ms: number }> {
    const times: number[] = [];
    for (let index = 0; index < setup.singlePuts; index += 1) {
      const startedMs = performance.now();
      await put(putKeyOf(index % setup.keys));
      times.push(performance.now() - startedMs);
    }
    times.sort((a, b) => a - b);
    const quantile = (share: number): number => times[Math.floor(share * times.length)] ?? Number.NaN;
    return { p50Ms: quantile(0.5), p99Ms: quantile(0.99) };
  }

  return {
    async round() {
      const pipelined = await timePuts(setup, windowMax, (key, done) => void put(key).then(() => done(), done));
      return { ...pipelined, ...(await timeSinglePuts()) };
    },
    stop,
  };
};
