/**
 * What a history knows of the log: every change with a known position, told by its writer or read from the log itself, and the
 * writes that may have changed something at a position nobody knows.
 */
import type { Position } from '../../events/record.ts';
import { type History, isWrite, type LogObservation, partitionOf, type WriteOperation } from './record.ts';

export interface Change {
  readonly kind: 'put' | 'delete' | 'clear' | 'tag';
  readonly partition: number;
  readonly position: Position;
  readonly key: string | undefined;
  readonly value: string | undefined;
  readonly tag: string | undefined;
  readonly tags: readonly string[];
  readonly basis: Position | undefined;
  readonly expiresAt: number;
  /** It cannot have been seen before. */
  readonly start: number;
  /** Everybody may count on it from here on. */
  readonly end: number;
  readonly record: WriteOperation | LogObservation;
}

export interface Timeline {
  readonly partitions: readonly number[];
  /** In order of positions. */
  changes(partition: number): readonly Change[];
  /** Puts and deletes of the key, and what is wider and may concern it, in order of positions. */
  changesOfKey(partition: number, key: string): readonly Change[];
  at(partition: number, position: Position): Change | undefined;
  /** Writes of the key (or wider) that may have been applied, but nobody knows where. */
  unplaced(partition: number, key: string): readonly WriteOperation[];
  /** All puts of the key, whatever their outcome. */
  puts(partition: number, key: string): readonly PutFacts[];
  /** The revision of what was read, if it was not told: that of the only put of that value. */
  revisionOf(read: SeenEntry, partition: number): Position | undefined;
}

export interface SeenEntry {
  readonly key: string;
  readonly value?: string | null | undefined;
  readonly revision?: Position | undefined;
}

export interface PutFacts {
  readonly value: string;
  readonly revision: Position | undefined;
  readonly start: number;
  readonly isFailed: boolean;
  readonly record: WriteOperation | LogObservation;
}

const never = Number.POSITIVE_INFINITY;
const keyName = (partition: number, key: string): string => JSON.stringify([partition, key]);

function changeOfWrite(write: WriteOperation, position: Position): Change {
  return {
    kind: write.type === 'invalidate' ? 'tag' : write.type,
    partition: partitionOf(write),
    position,
    key: 'key' in write ? write.key : undefined,
    value: write.type === 'put' ? write.value : undefined,
    tag: write.type === 'invalidate' ? write.tag : undefined,
    tags: write.type === 'put' ? (write.tags ?? []) : [],
    basis: write.type === 'put' ? write.basis : undefined,
    expiresAt: write.type === 'put' ? (write.expiresAt ?? never) : never,
    start: write.start,
    end: write.end,
    record: write,
  };
}

function changeOfLog(record: LogObservation): Change {
  const isPut = record.event === 'put';
  return {
    kind: record.event,
    partition: partitionOf(record),
    position: record.position,
    key: 'key' in record ? record.key : undefined,
    value: isPut ? record.value : undefined,
    tag: record.event === 'tag' ? record.tag : undefined,
    tags: isPut ? (record.tags ?? []) : [],
    basis: isPut ? record.basis : undefined,
    expiresAt: isPut ? (record.expiresAt ?? never) : never,
    start: record.at ?? Number.NEGATIVE_INFINITY,
    end: record.at ?? never,
    record,
  };
}

function listIn<Key, Item>(lists: Map<Key, Item[]>, key: Key): Item[] {
  let list = lists.get(key);
  if (list === undefined) lists.set(key, (list = []));
  return list;
}

export function buildTimeline(history: History): Timeline {
  const byPartition = new Map<number, Map<Position, Change>>();
  const unplaced = new Map<number, WriteOperation[]>();
  const puts = new Map<string, PutFacts[]>();
  const note = (change: Change): void => {
    const changes = byPartition.get(change.partition) ?? new Map<Position, Change>();
    byPartition.set(change.partition, changes);
    // The writer knows more of it than the log; of two writers the first is as good as any (see `one-winner`).
    if (!changes.has(change.position)) changes.set(change.position, change);
  };
  for (const record of history) {
    if (!isWrite(record)) continue;
    const partition = partitionOf(record);
    if (record.type === 'put')
      listIn(puts, keyName(partition, record.key)).push({
        value: record.value,
        revision: record.outcome === 'ok' ? record.revision : undefined,
        start: record.start,
        isFailed: record.outcome === 'failed',
        record,
      });
    if (record.outcome === 'failed') continue;
    if (record.outcome === 'ok' && record.revision !== undefined) note(changeOfWrite(record, record.revision));
    else listIn(unplaced, partition).push(record);
  }
  for (const record of history) {
    if (record.type !== 'log') continue;
    const change = changeOfLog(record);
    if (record.event === 'put' && byPartition.get(change.partition)?.has(record.position) !== true)
      listIn(puts, keyName(change.partition, record.key)).push({
        value: record.value,
        revision: record.position,
        start: change.start,
        isFailed: false,
        record,
      });
    note(change);
  }
  const ordered = new Map(
    [...byPartition].map(([partition, changes]) => [
      partition,
      [...changes.values()].sort((one, other) => one.position - other.position),
    ]),
  );
  const ofKeys = new Map<string, Change[]>();
  return {
    partitions: [...ordered.keys()].sort((one, other) => one - other),
    changes: (partition) => ordered.get(partition) ?? [],
    changesOfKey(partition, key) {
      const name = keyName(partition, key);
      let changes = ofKeys.get(name);
      if (changes === undefined) {
        changes = (ordered.get(partition) ?? []).filter((change) => change.key === undefined || change.key === key);
        ofKeys.set(name, changes);
      }
      return changes;
    },
    at: (partition, position) => byPartition.get(partition)?.get(position),
    unplaced: (partition, key) =>
      (unplaced.get(partition) ?? []).filter((write) => !('key' in write) || write.key === key),
    puts: (partition, key) => puts.get(keyName(partition, key)) ?? [],
    revisionOf({ key, value, revision }, partition) {
      if (revision !== undefined || value === null || value === undefined) return revision;
      const same = (puts.get(keyName(partition, key)) ?? []).filter((put) => put.value === value && !put.isFailed);
      return same.length === 1 ? same[0]?.revision : undefined;
    },
  };
}

/** Whether `change` ends or replaces an entry of its key that was put at `revision`. */
export function ends(timeline: Timeline, change: Change, revision: Position): boolean {
  const put = timeline.at(change.partition, revision);
  if (change.kind === 'put' || change.kind === 'delete') return change.position > revision;
  const isBelow = (put?.basis ?? revision) < change.position;
  if (change.kind === 'clear') return isBelow;
  return isBelow && put?.kind === 'put' && change.tag !== undefined && put.tags.includes(change.tag);
}

/** An entry or a miss, as a read, a copy or a watcher shows it. */
export interface Shown extends SeenEntry {
  readonly partition: number;
  readonly start: number;
  readonly end: number;
}

/** A change that is due and that what is shown does not reflect; undefined: there is none that is certain. */
export function missedChange(timeline: Timeline, shown: Shown, isDue: (change: Change) => boolean): Change | undefined {
  const { partition, key, value } = shown;
  const changes = timeline.changesOfKey(partition, key);
  if (value !== null && value !== undefined) {
    const revision = timeline.revisionOf(shown, partition);
    if (revision === undefined) return undefined;
    for (let index = changes.length - 1; index >= 0; index -= 1) {
      const change = changes[index];
      if (change === undefined || change.position <= revision) break;
      if (isDue(change) && ends(timeline, change, revision)) return change;
    }
    return undefined;
  }
  // A miss: nothing that was due may have been put, unless something newer can have ended it.
  for (let index = changes.length - 1; index >= 0; index -= 1) {
    const change = changes[index];
    if (change === undefined) break;
    if (change.kind !== 'put') {
      if (change.start <= shown.end && mayEndSome(timeline, change, key)) return undefined;
    } else if (change.expiresAt <= shown.end || (change.basis !== undefined && change.start <= shown.end)) {
      if (change.start <= shown.end) return undefined;
    } else if (isDue(change)) return mayBeEndedUnseen(timeline, shown) ? undefined : change;
  }
  return undefined;
}

/** A tag invalidation ends an entry of the key only if one carries the tag, also one of which nobody knows what became of it. */
function mayEndSome(timeline: Timeline, change: Change, key: string): boolean {
  if (change.kind !== 'tag') return true;
  const tag = change.tag ?? '';
  return (
    timeline.changesOfKey(change.partition, key).some((other) => other.tags.includes(tag)) ||
    timeline.unplaced(change.partition, key).some((write) => write.type === 'put' && (write.tags ?? []).includes(tag))
  );
}

function mayBeEndedUnseen(timeline: Timeline, { partition, key, end }: Shown): boolean {
  return timeline
    .unplaced(partition, key)
    .some(
      (write) =>
        write.start <= end && (write.type !== 'put' || write.expiresAt !== undefined || write.basis !== undefined),
    );
}
