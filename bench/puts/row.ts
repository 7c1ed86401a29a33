/**
 * Acknowledged puts of one process, pipelined, each with a message id, into a stream of one replica in files: through the
 * log alone and through a cache that is open, against a bare script on the wire and the client library's own publish. An open
 * cache also receives what it wrote; the script that does as much is the one that follows its own stream.
 */
import { withNatsServer } from '../nats.ts';
import { alternate, column, compare } from '../rounds.ts';
import type { Result, Row } from '../row.ts';
import { withSides } from '../side.ts';
import type { PutsSetup } from './load.ts';

const names = ['puts/log', 'puts/sluice', 'puts/bare', 'puts/following', 'puts/js'];

export const putsRow: Row = {
  name: 'puts',
  measure: (bench) =>
    withNatsServer(bench.natsBinary, async (url) => {
      const setup: PutsSetup = { url, puts: bench.size(150_000, 300), keys: bench.size(50_000, 100), valueBytes: 128 };
      const figures = await withSides(names, setup, (sides) => alternate(sides, bench.rounds));
      const [log = [], cache = [], bare = [], following = [], js = []] = figures.map((side) =>
        column(side, 'putsPerSecond'),
      );
      const line = (what: string, ours: number[], baselineName: string, base: number[], atLeast: number): Result => ({
        what: `acknowledged puts, ${setup.valueBytes} B, ${what}`,
        unit: 'puts/s',
        baselineName,
        target: { atLeast },
        ...compare(ours, base),
      });
      return [
        line('Log.append', log, 'bare publish', bare, 0.85),
        line('Log.append', log, 'js.publish', js, 2),
        line('CoherentCache.put', cache, 'bare publish', bare, 0.85),
        line('CoherentCache.put', cache, 'bare publish and follow', following, 0.85),
        line('CoherentCache.put', cache, 'js.publish', js, 2),
      ];
    }),
};
