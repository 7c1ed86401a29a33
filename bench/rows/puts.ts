/**
 * Acknowledged puts of one process, pipelined, each with a message id, into a stream of one replica in files: through the
 * library and through its log alone, against a bare script on the wire and against the client library's own publish.
 */
import { withNatsServer } from '../nats.ts';
import { alternate, column, ratioOf, spreadOf } from '../rounds.ts';
import type { Result, Row } from '../row.ts';
import { type RunningSide, startSide } from '../side.ts';
import type { PutsSetup } from '../sides/puts-load.ts';

export const putsRow: Row = {
  name: 'puts',
  async measure(bench) {
    return withNatsServer(bench.natsBinary, async (url) => {
      const setup: PutsSetup = {
        url,
        puts: bench.size(200_000, 500),
        keys: bench.size(50_000, 100),
        valueBytes: 128,
      };
      const sides: RunningSide[] = [];
      try {
        for (const name of ['puts-sluice', 'puts-log', 'puts-bare', 'puts-js'])
          sides.push(await startSide(name, setup));
        const rates = (await alternate(sides, bench.rounds)).map((side) => column(side, 'putsPerSecond'));
        const [library = [], log = [], bare = [], js = []] = rates;
        const line = (what: string, ours: number[], baselineName: string, base: number[], atLeast: number): Result => ({
          what: `acknowledged puts, ${setup.valueBytes} B, ${what}`,
          unit: 'puts/s',
          ours: spreadOf(ours),
          baseline: spreadOf(base),
          baselineName,
          ratio: ratioOf(ours, base),
          target: { atLeast },
        });
        return [
          line('Log.append', log, 'bare publish', bare, 0.85),
          line('CoherentCache.put', library, 'bare publish', bare, 0.85),
          line('Log.append', log, 'js.publish', js, 2),
          line('CoherentCache.put', library, 'js.publish', js, 2),
        ];
      } finally {
        await Promise.all(sides.map((side) => side.stop()));
      }
    });
  },
};
