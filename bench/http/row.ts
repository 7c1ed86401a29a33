/**
 * A hit over HTTP: the door of a cache-node against a node:http server that does nothing but answer. Servers and load are
 * processes of their own; only one server is under load at a time.
 */
import { withNatsServer } from '../nats.ts';
import { alternate, column, compare } from '../rounds.ts';
import type { Row } from '../row.ts';
import { type RunningSide, startSide, withSides } from '../side.ts';
import type { HttpSetup, LoadSetup } from './load.ts';

export const httpRow: Row = {
  name: 'http',
  measure: (bench) =>
    withNatsServer(bench.natsBinary, (nats) => {
      const setup: HttpSetup = { nats, keys: 100, valueBytes: 1_024 };
      return withSides(['http/node', 'http/bare'], setup, async (servers) => {
        const loads: RunningSide[] = [];
        try {
          for (const server of servers) {
            const { port = 0 } = await server.round();
            const load: LoadSetup = { port, keys: setup.keys, connections: 64, seconds: bench.size(3, 0.2) };
            loads.push(await startSide('http/load', load));
          }
          const [ours, bare] = await alternate(loads, bench.rounds);
          return [
            {
              what: `HTTP hit, ${setup.valueBytes} B, 64 connections`,
              unit: 'requests/s',
              baselineName: 'bare node:http',
              target: { atLeast: 0.8 },
              ...compare(column(ours, 'requestsPerSecond'), column(bare, 'requestsPerSecond')),
            },
          ];
        } finally {
          await Promise.all(loads.map((load) => load.stop()));
        }
      });
    }),
};
