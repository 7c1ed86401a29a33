/**
 * A hit in process: `CoherentCache.get` of a copy replayed from a real server, against the fastest plain cache and against a
 * cache with layers. All sides hold the same keys with the same life, and JSON objects decoded from the same bytes. Keys are
 * asked for in turn, which the processor's caches like, and at random, where most of a hit is waiting for memory.
 */
import { withNatsServer } from '../nats.ts';
import { alternate, column, compare } from '../rounds.ts';
import type { Result, Row } from '../row.ts';
import { withSides } from '../side.ts';
import type { HitSetup } from './load.ts';

export const hitRow: Row = {
  name: 'hit',
  measure: (bench) =>
    withNatsServer(bench.natsBinary, async (url) => {
      const setup: HitSetup = { url, keys: bench.size(100_000, 500), gets: bench.size(500_000, 2_000) };
      const names = ['hit/sluice', 'hit/sluice-full', 'hit/lru', 'hit/bento'];
      const [roomy, full, lru, bento] = await withSides(names, setup, (sides) => alternate(sides, bench.rounds));
      const lines = (
        what: string,
        ours: typeof lru,
        baselineName: string,
        base: typeof lru,
        atLeast: number,
      ): Result[] =>
        (['inTurn', 'atRandom'] as const).map((order) => ({
          what: `in-process hit, ${setup.keys} keys, TTL on, ${what}${order === 'inTurn' ? 'in turn' : 'at random'}`,
          unit: 'gets/s',
          baselineName,
          target: { atLeast },
          ...compare(column(ours, order), column(base, order)),
        }));
      return [
        ...lines('', roomy, 'lru-cache', lru, 0.9),
        ...lines('', roomy, 'bentocache', bento, 50),
        ...lines('at its limit, ', full, 'lru-cache', lru, 0.9),
      ];
    }),
};
