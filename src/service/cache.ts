/**
 * A cache: routes each key to its partition, reads from this process's copy where there is one, else from another node,
 * else from the log; writes go straight to the log. It must not know transports: other nodes are an interface.
 */
import type { Clock } from '../base/clock.ts';
import { isSluiceError, SluiceError } from '../errors.ts';
import type { CacheDeclaration } from '../events/control.ts';
import {
  type BucketEvent,
  encodeClear,
  encodeDelete,
  encodePut,
  encodeTagInvalidation,
  validateContentType,
  validateTags,
} from '../events/entry.ts';
import { encodeKey, validateKey } from '../events/key.ts';
import type { LogWrite, Position } from '../events/record.ts';
import type { BucketSubjects } from '../events/subjects.ts';
import type { Appended, Log } from '../log/log.ts';
import { partitionOf } from '../placement/partition.ts';
import { readEntry, readKeyState } from '../replay/log-read.ts';
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
import { mergePages, pageOf } from './key-page.ts';

/** One partition as this process sees it: always its log, and a copy where it holds one. */
export interface PartitionAccess {
  readonly subjects: BucketSubjects;
  readonly log: Log;
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
  /** Told of background work that failed; the change itself is in the log already. */
  readonly onProblem?: (what: string, error: unknown) => void;
}

const createAttempts = 8;
const purgesAtOnce = 4;

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
    if (view?.follower.isReady) return readLocal(view, key, read);
    const answer = await options.remote?.get(partition, key, read);
    return answer ?? readFromLog(access, key, read);
  }

  async function readLocal(view: PartitionView, key: string, read: ReadOptions): Promise<ReadResult> {
    await satisfy(view, read);
    let entry = view.read(key);
    if (entry === undefined && options.onMiss === 'log' && !view.isComplete) entry = await view.load(key);
    return { found: entry, position: Math.max(view.follower.applied, entry?.revision ?? 0) };
  }

  /** Waits until the copy is as new as the reader demands. */
  async function satisfy(view: PartitionView, read: ReadOptions): Promise<void> {
    const { consistency, minPosition, maxStalenessMs } = read;
    if (consistency === undefined && minPosition === undefined && maxStalenessMs === undefined) return;
    const wait = { waitMs: read.waitMs ?? options.waitMs, signal: read.signal };
    if (minPosition !== undefined) await view.follower.reached(minPosition, wait);
    if (consistency === 'latest') await view.follower.latest(wait);
    if (maxStalenessMs !== undefined) await view.follower.fresh(maxStalenessMs, wait);
  }

  /** The log's leader knows every acknowledged write, so its answer meets any demand that it can meet at all. */
  async function readFromLog(access: PartitionAccess, key: string, read: ReadOptions): Promise<ReadResult> {
    const { log, subjects } = access;
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
    const entry = await readEntry(log, { subjects, maxAgeMs: log.maxAgeMs }, key, clock.now(), read.signal);
    if (entry === undefined) return { found: undefined, position: last };
    return { found: toFound(entry.put, entry.position, entry.atMs), position: Math.max(last, entry.position) };
  }

  async function put(key: string, value: Uint8Array, write: PutOptions = {}): Promise<Written> {
    const { partition, access } = locate(key);
    if (value.length > settings.valueBytesMax) {
      throw new SluiceError(
        'too-large',
        `value: ${value.length} bytes; cache ${name} takes at most ${settings.valueBytesMax}`,
        {
          details: { field: 'value', bytes: value.length, bytesMax: settings.valueBytesMax },
        },
      );
    }
    if (write.ifAbsent && write.ifRevision !== undefined) {
      throw new SluiceError('bad-request', 'ifAbsent and ifRevision: only one of both can be demanded');
    }
    const fields = {
      expiresAtMs: expiryOf(write.ttlMs ?? settings.ttlMs),
      tags: write.tags === undefined || write.tags.length === 0 ? undefined : validateTags(write.tags),
      contentType: write.contentType === undefined ? undefined : validateContentType(write.contentType),
      basis: undefined,
    };
    const natsTtlMs =
      access.log.honoursTtl && fields.expiresAtMs !== Number.POSITIVE_INFINITY
        ? fields.expiresAtMs - clock.now()
        : undefined;
    const message = encodePut(access.subjects, key, value, { ...fields, origin, natsTtlMs });
    const appended = await append(access, key, message, write);
    access.view?.wrote({ type: 'entry.put', key, value, ...fields }, appended.position);
    return { revision: appended.position, partition };
  }

  function expiryOf(ttlMs: number | null): number {
    if (ttlMs === null) return Number.POSITIVE_INFINITY;
    if (!Number.isFinite(ttlMs) || ttlMs <= 0) {
      throw new SluiceError('bad-request', `ttl: ${ttlMs} ms; must be a positive duration`, {
        details: { field: 'ttl', value: ttlMs },
      });
    }
    return Math.ceil(clock.now() + ttlMs);
  }

  async function remove(key: string, write: WriteOptions = {}): Promise<Written> {
    const { partition, access } = locate(key);
    const natsTtlMs = access.log.honoursTtl ? options.tombstoneHorizonMs : undefined;
    const appended = await append(access, key, encodeDelete(access.subjects, key, origin, natsTtlMs), write);
    access.view?.wrote({ type: 'entry.deleted', key }, appended.position);
    return { revision: appended.position, partition };
  }

  async function append(access: PartitionAccess, key: string, message: LogWrite, write: PutOptions): Promise<Appended> {
    const { log } = access;
    const common = { signal: write.signal, deadlineMs: write.deadlineMs };
    if (write.ifAbsent) return appendIfAbsent(access, key, message, write);
    if (write.ifRevision === undefined) return log.append(message, definedOnly(common));
    try {
      return await log.append(message, definedOnly({ ...common, expected: write.ifRevision }));
    } catch (error) {
      if (isSluiceError(error, 'position-conflict')) throw await conflictOf(access, key, error);
      throw error;
    }
  }

  /** Creates an entry where the log has none that is valid: nothing, a tombstone, or one that expired or was cleared. */
  async function appendIfAbsent(
    access: PartitionAccess,
    key: string,
    message: LogWrite,
    write: PutOptions,
  ): Promise<Appended> {
    const { log, subjects } = access;
    let expected: Position = 0;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await log.append(message, definedOnly({ signal: write.signal, deadlineMs: write.deadlineMs, expected }));
      } catch (error) {
        if (!isSluiceError(error, 'position-conflict')) throw error;
        const state = await readKeyState(log, { subjects, maxAgeMs: log.maxAgeMs }, key, clock.now(), write.signal);
        if (state.entry !== undefined || attempt === createAttempts) throw await conflictOf(access, key, error);
        expected = state.position;
      }
    }
  }

  /** The conflict, with the revision that stands in the way (null: the key does not exist). */
  async function conflictOf(access: PartitionAccess, key: string, cause: SluiceError): Promise<SluiceError> {
    const { log, subjects } = access;
    const state = await readKeyState(log, { subjects, maxAgeMs: log.maxAgeMs }, key, clock.now()).catch(
      () => undefined,
    );
    const current = state?.entry?.position ?? null;
    return new SluiceError(
      'position-conflict',
      `${name}: ${JSON.stringify(key.slice(0, 64))} has ${current === null ? 'no entry' : `revision ${current}`}`,
      {
        cause,
        details: { ...cause.details, current: state === undefined ? undefined : current },
      },
    );
  }

  async function onAllPartitions(
    message: (subjects: BucketSubjects) => LogWrite,
    event: BucketEvent,
    write: WriteOptions,
    cleanUp: (access: PartitionAccess, position: Position, invalid: readonly string[]) => Promise<void>,
  ): Promise<PartitionPositions> {
    for (const { subjects, log } of partitions) requireOwnSubjects(subjects, log);
    const positions = new Map<number, Position>();
    await Promise.all(
      partitions.map(async (access, partition) => {
        const { position } = await access.log.append(
          message(access.subjects),
          definedOnly({ signal: write.signal, deadlineMs: write.deadlineMs }),
        );
        const invalid = access.view?.wrote(event, position) ?? [];
        positions.set(partition, position);
        cleanUp(access, position, invalid).catch((error: unknown) =>
          options.onProblem?.(`clean-up of ${access.log.name}`, error),
        );
      }),
    );
    return positions;
  }

  async function clear(write: WriteOptions = {}): Promise<PartitionPositions> {
    return onAllPartitions(
      (subjects) => encodeClear(subjects, origin),
      { type: 'cache.cleared' },
      write,
      async ({ log, subjects }, position) =>
        void (await log.purge({ subject: `${subjects.keyPrefix}>`, below: position })),
    );
  }

  async function invalidateTags(tags: readonly string[], write: WriteOptions = {}): Promise<PartitionPositions> {
    if (tags.length === 0) throw new SluiceError('bad-request', 'tags: must name at least one tag');
    const newest = new Map<number, Position>();
    for (const tag of validateTags(tags)) {
      const positions = await onAllPartitions(
        (subjects) => encodeTagInvalidation(subjects, tag, origin),
        { type: 'tag.invalidated', tag },
        write,
        removeFromLog,
      );
      for (const [partition, position] of positions)
        newest.set(partition, Math.max(position, newest.get(partition) ?? 0));
    }
    return newest;
  }

  /** Removes what became invalid from the stream too, so that other KV clients see the same. */
  async function removeFromLog(
    { log, subjects }: PartitionAccess,
    position: Position,
    keys: readonly string[],
  ): Promise<void> {
    const queue = [...keys];
    const worker = async (): Promise<void> => {
      for (let key = queue.pop(); key !== undefined; key = queue.pop()) {
        await log.purge({ subject: subjects.keyPrefix + encodeKey(key).token, below: position });
      }
    };
    await Promise.all(Array.from({ length: purgesAtOnce }, worker));
  }

  async function list(wanted: ListOptions): Promise<KeyPage> {
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

type Defined<Fields> = { [Name in keyof Fields]: Exclude<Fields[Name], undefined> };

/** Leaves out what is undefined, as exact optional properties want it. */
function definedOnly<Fields extends object>(fields: Fields): Partial<Defined<Fields>> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<
    Defined<Fields>
  >;
}
