/**
 * A hit in process: `CoherentCache.get` of a copy replayed from a real server, against the fastest plain cache and against a
 * cache with layers. All sides hold the same keys with the same life, and JSON objects decoded from the same bytes.
 */
import { withNatsServer } from '../nats.ts';
import { alternate, column, ratioOf, spreadOf } from '../rounds.ts';
import type { Row } from '../row.ts';
import { type RunningSide, startSide } from '../side.ts';
import type { HitSetup } from '../sides/hit-load.ts';

export const hitRow: Row = {
  name: 'hit',
  async measure(bench) {
    return withNatsServer(bench.natsBinary, async (url) => {
      const setup: HitSetup = { url, keys: bench.size(100_000, 500), gets: bench.size(2_000_000, 5_000) };
      const sides: RunningSide[] = [];
      try {
        for (const name of ['hit-sluice', 'hit-lru', 'hit-bento']) sides.push(await startSide(name, setup));
        const [ours, lru, bento] = (await alternate(sides, bench.rounds)).map((side) => column(side, 'getsPerSecond'));
        const line = (name: string, baseline: number[] = [], atLeast: number) => ({
          what: `in-process hit, ${setup.keys} keys, TTL on`,
          unit: 'gets/s',
          ours: spreadOf(ours ?? []),
          baseline: spreadOf(baseline),
          baselineName: name,
          ratio: ratioOf(ours ?? [], baseline),
          target: { atLeast },
        });
        return [line('lru-cache', lru, 0.9), line('bentocache', bento, 50)];
      } finally {
        await Promise.all(sides.map((side) => side.stop()));
      }
    });
  },
};
