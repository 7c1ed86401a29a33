/** log: the journal reader. Who did what, in the control log or in the log of a cache. */
import { setMaxListeners } from 'node:events';
import { Option } from 'commander';
import { readDuration } from '../../config/units.ts';
import type { LogRecord, Position } from '../../events/record.ts';
import type { Log } from '../../log/log.ts';
import { connectionNotes, connectionOptions, withCache, withSession } from '../command/connection.ts';
import type { Call, CommandSpec } from '../command/context.ts';
import { countOption, hasOption, refuseOption, textOption } from '../command/options.ts';
import type { ExitName } from '../exit-code.ts';
import { describeControl } from './describe-control.ts';
import { describeEntry } from './describe-entry.ts';
import { readJournal } from './journal.ts';
import { formatLine, type JournalLine, lineJson } from './journal-line.ts';
import { findPosition } from './start-position.ts';

export const logCommand: CommandSpec = {
  usage: 'log',
  summary: 'the journal: who did what, event by event, in the control log or in that of a cache',
  endsItself: true,
  options: [
    new Option('--cache <name>', 'the log of this cache [the control log]'),
    new Option('--from <position>', 'begin at this position'),
    new Option('--since <time>', 'begin at this time: a duration ago (10m, 24h), or ISO 8601'),
    new Option('--limit <count>', 'end after so many events'),
    new Option('--follow', 'go on with new events until Ctrl-C'),
    new Option('--values', 'with the values of puts'),
    ...connectionOptions(),
  ],
  notes: `The log of a cache holds the newest event of each key; the control log holds all down to the audit horizon. The author is "-"
where the event names none (other KV clients). A partitioned cache has one log per partition: --from applies to each, and
they are shown together in the order of time. Exit code 0 at Ctrl-C. ${connectionNotes}`,
  async run(call) {
    const cacheName = textOption(call.given, 'cache');
    const start = parseStart(call);
    if (cacheName === undefined) {
      return withSession(call, (session) => {
        const { cluster } = session.options;
        const describe = (record: LogRecord): JournalLine => describeControl(cluster, record);
        return showLogs(call, [{ log: session.control.log, bucket: undefined, describe }], start);
      });
    }
    const hasValues = hasOption(call.given, 'values');
    return withCache(call, cacheName, ({ host }) => {
      const isSingle = host.partitions.length === 1;
      const sources = host.partitions.map(({ log, subjects }): Source => {
        const bucket = isSingle ? undefined : subjects.bucket;
        const style = { context: { subjects, log }, bucket, hasValues };
        return { log, bucket, describe: (record) => describeEntry(style, record) };
      });
      return showLogs(call, sources, start);
    });
  },
};

interface Source {
  readonly log: Log;
  readonly bucket: string | undefined;
  readonly describe: (record: LogRecord) => JournalLine;
}

/** Where to begin: a position, a time, or undefined for the beginning. */
type Start = { readonly from: Position } | { readonly sinceMs: number } | undefined;

function parseStart({ given, clock }: Pick<Call, 'given' | 'clock'>): Start {
  const from = countOption(given, 'from', 1);
  const since = textOption(given, 'since');
  if (since === undefined) return from === undefined ? undefined : { from };
  if (from !== undefined) return refuseOption('since', since, 'only one of --from and --since can be given');
  return { sinceMs: parseSince(since, clock.now()) };
}

/** Throws `bad-request`. */
export function parseSince(text: string, nowMs: number): number {
  const agoMs = readDuration(text);
  if (agoMs !== undefined) return nowMs - agoMs;
  const atMs = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(atMs)) {
    return refuseOption('since', text, 'must be a duration such as 10m or 24h, or a time such as 2026-07-31T10:00:00Z');
  }
  return atMs;
}

async function showLogs(call: Call, sources: readonly Source[], start: Start): Promise<ExitName> {
  const { terminal, given, signal } = call;
  const limit = countOption(given, 'limit', 1) ?? Number.POSITIVE_INFINITY;
  const isFollowing = hasOption(given, 'follow');
  const stop = new AbortController();
  const stopSignal = AbortSignal.any([stop.signal, signal]);
  setMaxListeners(0, stopSignal);
  const held: { line: JournalLine; bucket: string | undefined }[] = [];
  // Several logs are shown in the order of time, so nothing is shown before all of them have been read.
  let unread = sources.length > 1 ? sources.length : 0;
  let shown = 0;

  function show(line: JournalLine, bucket: string | undefined): void {
    if (shown >= limit) return;
    shown += 1;
    if (terminal.isJson) terminal.printJson(lineJson(line));
    else terminal.print(formatLine(line, bucket));
    if (shown === limit) stop.abort();
  }

  function release(): void {
    unread -= 1;
    if (unread !== 0) return;
    held.sort((a, b) => a.line.atMs - b.line.atMs);
    for (const { line, bucket } of held.splice(0)) show(line, bucket);
  }

  await Promise.all(
    sources.map(async ({ log, bucket, describe }) => {
      const from = await startOf(log, start, call);
      await readJournal(
        { ...call, signal: stopSignal },
        {
          log,
          from,
          follow: isFollowing ? stopSignal : undefined,
          onRecord(record) {
            if (start !== undefined && 'sinceMs' in start && record.atMs < start.sinceMs) return;
            const line = describe(record);
            if (unread > 0) held.push({ line, bucket });
            else show(line, bucket);
          },
          onRemark: terminal.note,
          onEnd: release,
        },
      );
    }),
  );
  return signal.aborted && !isFollowing ? 'interrupted' : 'ok';
}

/** The position to begin at. What was asked for and is gone is said. */
async function startOf(log: Log, start: Start, { clock, signal, terminal }: Call): Promise<Position> {
  if (start !== undefined && 'sinceMs' in start) return findPosition(log, clock, start.sinceMs, signal);
  const from = start?.from ?? 1;
  const { first } = await log.bounds(signal);
  if (start !== undefined && from < first)
    terminal.note(`${log.name}: the events from ${from} to ${first - 1} are no longer in the log`);
  return from;
}
