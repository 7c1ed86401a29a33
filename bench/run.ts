/**
 * `npm run bench`: measures every claim about speed and memory against its baseline in the same run, and prints one table.
 *
 * Options: `--only NAME` (may be given several times), `--rounds COUNT`, `--quick` (tiny sizes: proves that the bench works,
 * and says nothing about speed). The exit code tells whether it could measure, not whether targets were met.
 */
import { parseArgs } from 'node:util';
import { systemClock } from '../src/base/clock.ts';
import { provisionNatsServer } from '../src/broker/provision.ts';
import { isSluiceError } from '../src/errors.ts';
import { durableRow } from './durable/row.ts';
import { hitRow } from './hit/row.ts';
import { httpRow } from './http/row.ts';
import { memoryRow } from './memory/row.ts';
import { putsRow } from './puts/row.ts';
import { replayRow } from './replay/row.ts';
import type { Bench, Result, Row } from './row.ts';
import { formatTable } from './table.ts';
import { visibleRow } from './visible/row.ts';

const rows: readonly Row[] = [hitRow, putsRow, durableRow, replayRow, visibleRow, httpRow, memoryRow];

async function run(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true, default: [] },
      rounds: { type: 'string' },
      quick: { type: 'boolean', default: false },
    },
  });
  const unknown = values.only.filter((name) => !rows.some((row) => row.name === name));
  if (unknown.length > 0)
    throw new Error(`--only: no row ${unknown.join(', ')}; there are ${rows.map((row) => row.name).join(', ')}`);
  const rounds = Number(values.rounds ?? (values.quick ? 2 : 7));
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error('--rounds: must be a whole number from 1');

  const server = await provisionNatsServer({ env: process.env, clock: systemClock, log: () => undefined });
  console.error(
    `node ${process.version}, nats-server ${server.version}, ${rounds} rounds${values.quick ? ', quick: the figures mean nothing' : ''}`,
  );
  const bench: Bench = {
    rounds,
    size: (full, quick) => (values.quick ? quick : full),
    natsBinary: server.path,
  };
  const results: Result[] = [];
  for (const row of rows) {
    if (values.only.length > 0 && !values.only.includes(row.name)) continue;
    console.error(row.name);
    results.push(...(await row.measure(bench)));
  }
  console.log(formatTable(results));
}

run().catch((error: unknown) => {
  console.error(error instanceof Error && !isSluiceError(error) ? error.message : String(error));
  process.exitCode = 1;
});
