/**
 * The price of durability: the same puts through the log into a server that syncs each write to the disk
 * (`sync_interval: always`) and into one with its defaults; many under way, and one at a time.
 */
import { withNatsServer } from '../nats.ts';
import { alternate, column, compare } from '../rounds.ts';
import type { Result, Row } from '../row.ts';
import { withSides } from '../side.ts';
import type { DurableSetup } from './puts.ts';

const always = 'sync_interval: always';

export const durableRow: Row = {
  name: 'durable',
  measure: (bench) =>
    withNatsServer(bench.natsBinary, (usualUrl) =>
      withNatsServer(
        bench.natsBinary,
        async (alwaysUrl) => {
          const sizes = {
            keys: 1_000,
            valueBytes: 128,
            puts: bench.size(10_000, 50),
            singlePuts: bench.size(1_000, 10),
          };
          const begin = (url: string): DurableSetup => ({ ...sizes, url });
          const figures = await withSides(['durable/puts'], begin(alwaysUrl), (ours) =>
            withSides(['durable/puts'], begin(usualUrl), (base) => alternate([...ours, ...base], bench.rounds)),
          );
          const line = (what: string, unit: string, figure: string): Result => ({
            what: `${what}, ${sizes.valueBytes} B, ${always}`,
            unit,
            baselineName: 'default',
            target: undefined,
            ...compare(column(figures[0], figure), column(figures[1], figure)),
          });
          return [
            line('acknowledged puts, pipelined', 'puts/s', 'putsPerSecond'),
            line('one put at a time, p50', 'ms', 'p50Ms'),
            line('one put at a time, p99', 'ms', 'p99Ms'),
          ];
        },
        always,
      ),
    ),
};
