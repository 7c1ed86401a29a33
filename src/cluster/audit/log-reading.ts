/**
 * The log's side of an audit, in two ways: all keys of a partition by one replay, or chosen keys by one read each. Both obey
 * what clears, tags and the floor have made void, and neither looks at a clock: what has expired is still told.
 */
import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import { decodeBucketRecord } from '../../events/entry.ts';
import { encodeKey } from '../../events/key.ts';
import type { LogRecord, Position } from '../../events/record.ts';
import { createFollower } from '../../log/follower.ts';
import type { PartitionAccess } from '../../service/cache.ts';
import { basisOf } from '../../store/entry.ts';
import { createKeyIndex } from '../key-index.ts';
import type { HeldKey, Reading } from './compare.ts';
import { entryChecksum, isInShare, type KeyShare } from './entry-checksum.ts';
import type { Pacer } from './pacer.ts';

export interface LogCosts {
  /** Messages that replays read. */
  records: number;
  /** Bytes of values in them. */
  bytes: number;
  /** Reads of one message each. */
  gets: number;
}

export interface ReadTools {
  readonly clock: Clock;
  readonly random: Random;
  readonly pacer: Pacer;
  readonly costs: LogCosts;
  readonly signal: AbortSignal;
}

/** A log that delivers nothing for so long is not waited for. */
const replayLimitMs = 600_000;
const getsAtOnce = 16;
const never = Number.NEGATIVE_INFINITY;

/** Every key of the share, by a replay up to where the log stands. */
export async function replayKeys(access: PartitionAccess, share: KeyShare, tools: ReadTools): Promise<Reading> {
  const { clock, random, costs, signal } = tools;
  const index = createKeyIndex(access, {
    checksum: entryChecksum,
    keeps: (key) => isInShare(key, share),
  });
  const sink = {
    ...index.sink,
    apply(record: LogRecord) {
      costs.records += 1;
      costs.bytes += record.data.length;
      index.sink.apply(record);
    },
  };
  const follower = createFollower({ log: access.log, sink, clock, random });
  await follower.start();
  try {
    await follower.ready({ waitMs: replayLimitMs, signal });
  } finally {
    await follower.stop();
  }
  const entries = new Map<string, HeldKey>();
  for (const { key, revision, checksum = '', expiresAtMs } of index.entries(never))
    entries.set(key, { revision, checksum, expiresAtMs });
  return { entries, at: follower.applied };
}

/** What the log's leader has of one key. */
export interface KeyTruth {
  readonly held: HeldKey | undefined;
  /** A copy that has applied this position knows all that led to it. */
  readonly position: Position;
}

/** Reads the keys one by one, then what may have made them void: whatever was in the log before the call is obeyed. */
export async function readTruth(
  access: PartitionAccess,
  keys: readonly string[],
  { pacer, costs, signal }: ReadTools,
): Promise<Map<string, KeyTruth>> {
  const { log, subjects } = access;
  const records = new Map<string, LogRecord | undefined>();
  const latest = (subject: string): Promise<LogRecord | undefined> => {
    costs.gets += 1;
    return log.latest(subject, signal);
  };
  await inParallel(keys, getsAtOnce, async (key) => {
    await pacer.take(1);
    records.set(key, await latest(subjects.keyPrefix + encodeKey(key).token));
  });
  const overruling = new Map<string, Promise<Position>>();
  const newestOf = (subject: string): Promise<Position> => {
    let position = overruling.get(subject);
    if (position === undefined) {
      position = latest(subject).then((record) => record?.position ?? 0);
      overruling.set(subject, position);
    }
    return position;
  };
  const truths = new Map<string, KeyTruth>();
  await inParallel(keys, getsAtOnce, async (key) => {
    const record = records.get(key);
    if (record === undefined) return void truths.set(key, { held: undefined, position: 0 });
    const event = decodeBucketRecord(access, record);
    const { position } = record;
    if (event.type !== 'entry.put' || event.key !== key) return void truths.set(key, { held: undefined, position });
    const tags = event.tags ?? [];
    const subjectsAbove = [subjects.clear, ...tags.map((tag) => subjects.tagPrefix + encodeKey(tag).token)];
    const newest = Math.max(...(await Promise.all(subjectsAbove.map(newestOf))));
    const isVoid = newest > basisOf(event, position);
    const held = { revision: position, checksum: entryChecksum(event, position), expiresAtMs: event.expiresAtMs };
    truths.set(key, { held: isVoid ? undefined : held, position: Math.max(position, newest) });
  });
  return truths;
}

async function inParallel<Item>(
  items: readonly Item[],
  atOnce: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const rest = items.values();
  const worker = async (): Promise<void> => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
}
