/**
 * A cache: routes each key to its partition, reads from this process's copy where there is one, else from another node,
 * else from the log; writes go straight to the log. It must not know transports: other nodes are an interface.
 */
import type { Clock } from '../base/clock.ts';
import type { WaitOptions } from '../base/waiters.ts';
import { SluiceError } from '../errors.ts';
import type { CacheDeclaration } from '../events/control.ts';
import { type BucketEvent, encodeClear, encodeDelete, encodePut, encodeTagInvalidation } from '../events/entry.ts';
import { validateKey } from '../events/key.ts';
import type { LogWrite, Position } from '../events/record.ts';
import type { BucketSubjects } from '../events/subjects.ts';
import type { Appended, Log } from '../log/log.ts';
import { partitionOf } from '../placement/partition.ts';
import { type LogBucket, readEntry } from '../replay/log-read.ts';
import type { PartitionView } from '../replay/partition-view.ts';
import type { Entry } from '../store/entry-store.ts';
import type {
  CacheService,
  Found,
  KeyPage,
  ListedKey,
  ListOptions,
  PartitionPositions,
  PutOptions,
  ReadOptions,
  ReadResult,
  RemoteReader,
  WriteOptions,
  Written,
} from './cache-service.ts';
import { appendIf } from './conditional-append.ts';
import {
  appendOptions,
  checkConditions,
  checkList,
  checkValue,
  completeContentType,
  completeTags,
  expiryOf,
} from './demands.ts';
import { mergePages, pageOf } from './key-page.ts';
import { removeEntries } from './log-clean-up.ts';

/** One partition as this process sees it: always its log, and a copy where it holds one. */
export interface PartitionAccess extends LogBucket {
  readonly view: PartitionView | undefined;
}

export interface CacheOptions {
  readonly name: string;
  readonly settings: CacheDeclaration;
  /** Index = partition. The view of a partition may come and go. */
  readonly partitions: readonly PartitionAccess[];
  readonly clock: Clock;
  /** Node or client id, written into each event. */
  readonly origin: string;
  readonly remote?: RemoteReader | undefined;
  /** What to do on a miss when memory limits have removed entries. */
  readonly onMiss: 'log' | 'none';
  /** Bound of waits for a position or for freshness. */
  readonly waitMs: number;
  readonly tombstoneHorizonMs: number;
  /** Given background work: the change itself is in the log already, and what is left to do is tidying up. */
  readonly inBackground?: (what: string, work: Promise<void>) => void;
}

export function createCache(options: CacheOptions): CacheService {
  const { name, settings, clock, origin, partitions } = options;

  function locate(key: string): { readonly partition: number; readonly access: PartitionAccess } {
    const partition = partitionOf(validateKey(key), settings.partitions);
    const access = partitions[partition];
    if (access === undefined) throw new SluiceError('internal', `${name}: partition ${partition} has no log`);
    return { partition, access };
  }

  async function get(key: string, read: ReadOptions = {}): Promise<ReadResult> {
    const { partition, access } = locate(key);
    const { view } = access;
    if (view?.follower.isReady) {
      const isDemanding = await satisfy(view, read);
      // While it waited, the copy may have been given up or begun anew; then it must not answer for the log.
      if (access.view === view && view.follower.isReady)
        return readLocal(view, key, isDemanding && (!view.follower.isWhole || view.isPassedOver(key)));
    }
    const answer = await options.remote?.get(partition, key, read);
    return answer === undefined ? readFromLog(access, key, read) : judgeAgain(answer);
  }

  /** An answer may have been on its way for long, and the entry's life may be over. */
  const judgeAgain = (answer: ReadResult): ReadResult =>
    (answer.found?.expiresAtMs ?? Number.POSITIVE_INFINITY) <= clock.now() ? { ...answer, found: undefined } : answer;

  async function readLocal(view: PartitionView, key: string, mustAsk: boolean): Promise<ReadResult> {
    // The log's leader, asked now, knows all that the follower has seen.
    const position = mustAsk ? view.follower.applied : view.follower.wholeAt;
    let entry = mustAsk ? await view.loadNow(key) : view.read(key);
    if (!mustAsk && entry === undefined && options.onMiss === 'log' && !view.isComplete) entry = await view.load(key);
    return { found: entry, position: Math.max(position, entry?.revision ?? 0) };
  }

  /** Waits until the copy is as new as the reader demands; all its demands share one bound. False when there are none. */
  async function satisfy(view: PartitionView, read: ReadOptions): Promise<boolean> {
    const { consistency, minPosition, maxStalenessMs, signal } = read;
    if (consistency === undefined && minPosition === undefined && maxStalenessMs === undefined) return false;
    const endsAtMs = clock.monotonic() + (read.waitMs ?? options.waitMs);
    const wait = (): WaitOptions => ({ waitMs: Math.max(0, endsAtMs - clock.monotonic()), signal });
    if (minPosition !== undefined) await view.follower.reached(minPosition, wait());
    if (consistency === 'latest') await view.follower.latest(wait());
    if (maxStalenessMs !== undefined) await view.follower.fresh(maxStalenessMs, wait());
    return true;
  }

  /** The log's leader knows every acknowledged write, so its answer meets any demand that it can meet at all. */
  async function readFromLog(access: PartitionAccess, key: string, read: ReadOptions): Promise<ReadResult> {
    const { log } = access;
    const minPosition = read.minPosition ?? 0;
    const { last } = minPosition > 0 ? await log.bounds(read.signal) : { last: 0 };
    if (last < minPosition) {
      throw new SluiceError(
        'stale',
        `${log.name}: the log ends at ${last}, before the demanded position ${minPosition}`,
        {
          details: { log: log.name, applied: last, position: minPosition },
        },
      );
    }
    const entry = await readEntry(access, key, clock, read.signal);
    if (entry === undefined) return { found: undefined, position: last };
    return { found: toFound(entry.put, entry.position, entry.atMs), position: Math.max(last, entry.position) };
  }

  // Thousands of writes wait for an answer at a time. What each keeps until then is what the garbage collector carries about, so
  // these two are no `async` functions: one of those keeps all that it ever named.

  function put(key: string, value: Uint8Array, write: PutOptions = {}): Promise<Written> {
    try {
      const { partition, access } = locate(key);
      checkValue(name, value, settings.valueBytesMax);
      checkConditions(write);
      const nowMs = clock.now();
      const expiresAtMs = expiryOf(write.ttlMs ?? settings.ttlMs, nowMs);
      const isEnding = access.log.honoursTtl && expiresAtMs !== Number.POSITIVE_INFINITY;
      const event = {
        type: 'entry.put' as const,
        key,
        value,
        expiresAtMs,
        tags: completeTags(write.tags),
        contentType: completeContentType(write.contentType),
        basis: undefined,
        origin,
        natsTtlMs: isEnding ? expiresAtMs - nowMs : undefined,
      };
      const appending = append(access, key, encodePut(access.subjects, key, value, event), write);
      return finish(appending, access, event, partition);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  function remove(key: string, write: WriteOptions = {}): Promise<Written> {
    try {
      const { partition, access } = locate(key);
      checkConditions(write);
      const natsTtlMs = access.log.honoursTtl ? options.tombstoneHorizonMs : undefined;
      const appending = append(access, key, encodeDelete(access.subjects, key, origin, natsTtlMs), write);
      return finish(appending, access, { type: 'entry.deleted', key }, partition);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  function finish(
    appending: Promise<Appended>,
    access: PartitionAccess,
    event: BucketEvent,
    partition: number,
  ): Promise<Written> {
    const sentAtMs = clock.monotonic();
    return appending.then(({ position }) => {
      access.view?.wrote(event, position, sentAtMs);
      return { revision: position, partition };
    });
  }

  function append(
    { log, subjects, view }: PartitionAccess,
    key: string,
    message: LogWrite,
    write: PutOptions,
  ): Promise<Appended> {
    if (!write.ifAbsent && write.ifRevision === undefined) return log.append(message, appendOptions(write));
    return appendIf({ name, log, subjects, clock, clearedAt: view?.store.clearedAt ?? 0 }, key, message, write);
  }

  function inBackground(access: PartitionAccess, work: Promise<void>): void {
    if (options.inBackground === undefined) work.catch(() => undefined);
    else options.inBackground(`clean-up of ${access.log.name}`, work);
  }

  async function onAllPartitions(
    change: (access: PartitionAccess) => Promise<Position>,
  ): Promise<Map<number, Position>> {
    for (const { subjects, log } of partitions) requireOwnSubjects(subjects, log);
    return new Map(
      await Promise.all(
        partitions.map(async (access, partition): Promise<[number, Position]> => [partition, await change(access)]),
      ),
    );
  }

  async function clear(write: WriteOptions = {}): Promise<PartitionPositions> {
    return onAllPartitions(async (access) => {
      const { log, subjects, view } = access;
      const isAlone = log.subjects.every((subject) => subjects.all.includes(subject));
      const event = encodeClear(subjects, origin, log.allowsRollup && isAlone);
      const { position } = await log.append(event, appendOptions(write));
      view?.wrote({ type: 'cache.cleared' }, position);
      return position;
    });
  }

  async function invalidateTags(tags: readonly string[], write: WriteOptions = {}): Promise<PartitionPositions> {
    const wanted = completeTags(tags);
    if (wanted === undefined) throw new SluiceError('bad-request', 'tags: must name at least one tag');
    const newest = new Map<number, Position>();
    for (const tag of wanted) {
      const positions = await onAllPartitions((access) => invalidateTag(access, tag, write));
      for (const [partition, position] of positions)
        newest.set(partition, Math.max(position, newest.get(partition) ?? 0));
    }
    return newest;
  }

  async function invalidateTag(access: PartitionAccess, tag: string, write: WriteOptions): Promise<Position> {
    const { log, subjects, view } = access;
    const invalid = view?.collectInvalid(tag);
    try {
      const { position } = await log.append(encodeTagInvalidation(subjects, tag, origin), appendOptions(write));
      view?.wrote({ type: 'tag.invalidated', tag }, position);
      const found = invalid?.entries ?? [];
      inBackground(
        access,
        removeEntries(access, found, (key, ifRevision) => remove(key, { ifRevision })),
      );
      return position;
    } finally {
      invalid?.end();
    }
  }

  async function list(wanted: ListOptions): Promise<KeyPage> {
    checkList(wanted);
    const pages = await Promise.all(
      partitions.map(async ({ view, log }, partition) => {
        if (view?.follower.isReady) return listView(view, wanted);
        const page = await options.remote?.list(partition, wanted);
        if (page === undefined) throw new SluiceError('not-ready', `${log.name}: no node that holds it is ready`);
        return page;
      }),
    );
    return mergePages(pages, wanted.limit);
  }

  return { name, settings, get, put, delete: remove, clear, invalidateTags, list };
}

/** A page of the keys that one copy holds. */
export function listView(view: PartitionView, wanted: ListOptions): KeyPage {
  return pageOf(listed(view), wanted, !view.store.hasEvicted);
}

function* listed(view: PartitionView): Iterable<ListedKey> {
  for (const entry of view.store.entries())
    yield { key: entry.key, revision: entry.revision, bytes: entry.value.length };
}

function toFound(
  put: Pick<Entry, 'value' | 'expiresAtMs' | 'tags' | 'contentType'>,
  revision: Position,
  atMs: number,
): Found {
  return {
    value: put.value,
    revision,
    atMs,
    expiresAtMs: put.expiresAtMs,
    tags: put.tags,
    contentType: put.contentType,
  };
}

/** A bucket made by others listens on its keys alone; clears and tags would have no stream to live in. */
function requireOwnSubjects(subjects: BucketSubjects, log: Log): void {
  if (log.subjects.some((subject) => subject === subjects.all[1] || subject === '>')) return;
  throw new SluiceError(
    'unsupported',
    `${log.name}: this bucket was not made by Sluice and does not listen on ${subjects.all[1]}; add that subject to its stream to clear it or to invalidate tags`,
  );
}
