/**
 * One partition's copy: drives the entry store from the partition's log and answers reads from memory.
 *
 * What the process learns out of order (its own acknowledged write, a value read from the log) is ahead of the follower. It
 * is kept, deletes as tombstones, until the follower has passed it: otherwise an older event that is still on its way
 * would bring back what was just replaced, and reads in one process would go backwards.
 */
import { type Clock, every, type Timer } from '../base/clock.ts';
import type { Lifecycle } from '../base/lifecycle.ts';
import type { Random } from '../base/random.ts';
import { createSingleFlight } from '../base/single-flight.ts';
import { type BucketContext, type BucketEvent, decodeBucketRecord, type EntryFields } from '../events/entry.ts';
import type { LogRecord, Position } from '../events/record.ts';
import type { BucketSubjects } from '../events/subjects.ts';
import {
  createFollower,
  type Follower,
  type FollowerLimits,
  type FollowerNotice,
  type FollowerSink,
} from '../log/follower.ts';
import type { Log } from '../log/log.ts';
import { createEntryStore, type Entry, type EntryStore, type StoreLimits } from '../store/entry-store.ts';
import { readEntry } from './log-read.ts';

/** What changed, in log order, for watchers. `rebuilt`: the log started anew; what was known before is void. */
export type Change =
  | { readonly type: 'put'; readonly key: string; readonly position: Position; readonly entry: Entry | undefined }
  | { readonly type: 'delete'; readonly key: string; readonly position: Position }
  | { readonly type: 'clear'; readonly position: Position }
  | { readonly type: 'tag'; readonly tag: string; readonly position: Position }
  | { readonly type: 'rebuilt'; readonly position: Position; readonly reason: string };

export interface ViewCounters {
  puts: number;
  deletes: number;
  clears: number;
  tagInvalidations: number;
  /** Messages on the bucket's subjects that mean nothing to Sluice. */
  foreign: number;
  /** Newest events of a key that could not be understood: the key reads as absent. */
  unreadable: number;
  /** Misses that were found in the log after all. */
  logLoads: number;
}

export interface PartitionView extends Lifecycle {
  readonly subjects: BucketSubjects;
  readonly log: Log;
  readonly follower: Follower;
  readonly store: EntryStore;
  readonly counters: Readonly<ViewCounters>;
  /** The first thing that could not be understood, for people. */
  readonly firstProblem: string | undefined;
  /** The entry from memory, what is ahead of the follower included. Synchronous. */
  read(key: string): Entry | undefined;
  peek(key: string): Entry | undefined;
  /** True when a miss in memory proves that the log has no such entry. */
  readonly isComplete: boolean;
  /** Reads the entry from the log's leader and keeps it, if it is still true. */
  load(key: string): Promise<Entry | undefined>;
  /** An acknowledged write of this process. Returns the keys that a tag invalidation made invalid here. */
  wrote(event: BucketEvent, position: Position): readonly string[];
  /** A loaded value that may not be written to the log; it counts as old as `basis`. */
  keepLocally(key: string, value: Uint8Array, fields: EntryFields, basis: Position): Entry | undefined;
  /** Calls back for each change in log order; returns the way to stop. */
  listen(onChange: (change: Change) => void): () => void;
  setLimits(limits: StoreLimits): void;
}

export interface PartitionViewOptions {
  readonly log: Log;
  readonly subjects: BucketSubjects;
  readonly clock: Clock;
  readonly random: Random;
  readonly store: StoreLimits;
  readonly follower?: Partial<FollowerLimits>;
  readonly onNotice?: (notice: FollowerNotice) => void;
}

interface Ahead {
  readonly position: Position;
  /** undefined: deleted. */
  readonly entry: Entry | undefined;
}

/** Above this, what the follower has passed is forgotten one by one rather than all at once. */
const aheadSweepAt = 10_000;
const sweepPeriodMs = 1_000;
const sweepEntries = 20_000;

export function createPartitionView(options: PartitionViewOptions): PartitionView {
  const { log, subjects, clock } = options;
  const store = createEntryStore(clock, options.store);
  const context: BucketContext = { subjects, maxAgeMs: log.maxAgeMs };
  const ahead = new Map<string, Ahead>();
  const loads = createSingleFlight<Entry | undefined>();
  /** Keys being loaded → position of the newest event of the key that was applied meanwhile. */
  const loading = new Map<string, Position>();
  const listeners = new Set<(change: Change) => void>();
  const counters: ViewCounters = {
    puts: 0,
    deletes: 0,
    clears: 0,
    tagInvalidations: 0,
    foreign: 0,
    unreadable: 0,
    logLoads: 0,
  };
  let newestAhead = 0;
  let firstProblem: string | undefined;
  let sweeper: Timer | undefined;

  function emit(change: Change): void {
    for (const listener of [...listeners]) listener(change);
  }

  function skip(counter: 'foreign' | 'unreadable', record: LogRecord, reason: string): void {
    counters[counter] += 1;
    firstProblem ??= `${record.subject.slice(0, 200)} at ${record.position}: ${reason}`;
  }

  /** True when something newer than `position` is known of the key. */
  function isOverruled(key: string, position: Position): boolean {
    const known = ahead.get(key);
    if (known === undefined) return false;
    if (position < known.position) return true;
    ahead.delete(key);
    return false;
  }

  function apply(record: LogRecord): void {
    const { position } = record;
    const event = decodeBucketRecord(context, record);
    switch (event.type) {
      case 'entry.put':
        counters.puts += 1;
        if (loading.size > 0 && loading.has(event.key)) loading.set(event.key, position);
        if (ahead.size === 0 || !isOverruled(event.key, position)) store.put(event, position, record.atMs);
        if (listeners.size > 0) emit({ type: 'put', key: event.key, position, entry: current(event.key, position) });
        return;
      case 'entry.unreadable':
        skip('unreadable', record, event.reason);
        remove(event.key, position);
        return;
      case 'entry.deleted':
        counters.deletes += 1;
        remove(event.key, position);
        return;
      case 'cache.cleared':
        counters.clears += 1;
        clear(position);
        emit({ type: 'clear', position });
        return;
      case 'tag.invalidated':
        counters.tagInvalidations += 1;
        invalidateTag(event.tag, position);
        emit({ type: 'tag', tag: event.tag, position });
        return;
      case 'foreign':
        skip('foreign', record, event.reason);
    }
  }

  /** The entry that the event at `position` has set, unless it is not held or has been replaced already. */
  function current(key: string, position: Position): Entry | undefined {
    const entry = store.peek(key);
    return entry?.revision === position ? entry : undefined;
  }

  function remove(key: string, position: Position): void {
    if (loading.size > 0 && loading.has(key)) loading.set(key, position);
    if (ahead.size === 0 || !isOverruled(key, position)) store.remove(key, position);
    emit({ type: 'delete', key, position });
  }

  function clear(position: Position): void {
    store.clear(position);
    for (const [key, known] of ahead) {
      if (known.entry !== undefined && known.entry.basis < position)
        ahead.set(key, { position: known.position, entry: undefined });
    }
  }

  function invalidateTag(tag: string, position: Position): readonly string[] {
    const invalid = store.invalidateTag(tag, position);
    for (const [key, { position: at, entry }] of ahead) {
      if (entry !== undefined && entry.basis < position && entry.tags?.includes(tag))
        ahead.set(key, { position: at, entry: undefined });
    }
    return invalid;
  }

  /** Remembers what is known of a key above the follower's position. */
  function remember(key: string, position: Position): void {
    if (position <= follower.applied) return;
    const known = ahead.get(key);
    if (known !== undefined && known.position >= position) return;
    ahead.set(key, { position, entry: current(key, position) });
    newestAhead = Math.max(newestAhead, position);
  }

  function forgetPassed(): void {
    if (ahead.size === 0) return;
    if (follower.applied >= newestAhead) ahead.clear();
    else if (ahead.size > aheadSweepAt) {
      for (const [key, { position }] of ahead) if (position <= follower.applied) ahead.delete(key);
    }
  }

  function aheadEntry(key: string): Entry | undefined {
    const entry = ahead.get(key)?.entry;
    return entry !== undefined && entry.expiresAtMs > clock.now() ? entry : undefined;
  }

  const sink: FollowerSink = {
    apply,
    rebuild(reason) {
      ahead.clear();
      newestAhead = 0;
      store.reset();
      emit({ type: 'rebuilt', position: 0, reason });
    },
    floor: (first) => store.raiseFloor(first),
  };

  const follower: Follower = createFollower({
    log,
    sink,
    clock,
    random: options.random,
    ...(options.follower === undefined ? {} : { limits: options.follower }),
    ...(options.onNotice === undefined ? {} : { onNotice: options.onNotice }),
  });

  async function loadEntry(key: string): Promise<Entry | undefined> {
    loading.set(key, 0);
    try {
      const found = await readEntry(log, context, key, clock.now());
      const newest = loading.get(key) ?? 0;
      // The follower or this process's own write went past what the log's leader answered.
      const known = ahead.get(key);
      if (known !== undefined && known.position >= (found?.position ?? 0)) return known.entry;
      if (found === undefined || newest >= found.position) return store.peek(key);
      counters.logLoads += 1;
      if (store.put(found.put, found.position, found.atMs)) {
        remember(key, found.position);
        return store.peek(key);
      }
      // Either something newer is known here, or the value is true and there is no room for it.
      const basis = found.put.basis ?? found.position;
      return (
        store.peek(key) ??
        (store.isInvalidated(basis, found.put.tags) ? undefined : store.toEntry(found.put, found.position, found.atMs))
      );
    } finally {
      loading.delete(key);
    }
  }

  return {
    subjects,
    log,
    follower,
    store,
    counters,
    get firstProblem() {
      return firstProblem;
    },
    get isComplete() {
      return follower.isReady && !store.hasEvicted;
    },
    read(key) {
      return store.read(key) ?? (ahead.size === 0 ? undefined : aheadEntry(key));
    },
    peek(key) {
      return store.peek(key) ?? (ahead.size === 0 ? undefined : aheadEntry(key));
    },
    load: (key) => loads.run(key, () => loadEntry(key)),
    wrote(event, position) {
      let invalid: readonly string[] = [];
      switch (event.type) {
        case 'entry.put': {
          const known = ahead.get(event.key);
          if (known !== undefined && known.position > position) return invalid;
          if (loading.has(event.key)) loading.set(event.key, position);
          store.put(event, position, clock.now());
          remember(event.key, position);
          break;
        }
        case 'entry.deleted': {
          const known = ahead.get(event.key);
          if (known !== undefined && known.position > position) return invalid;
          if (loading.has(event.key)) loading.set(event.key, position);
          store.remove(event.key, position);
          remember(event.key, position);
          break;
        }
        case 'cache.cleared':
          clear(position);
          break;
        case 'tag.invalidated':
          invalid = invalidateTag(event.tag, position);
          break;
        default:
      }
      forgetPassed();
      return invalid;
    },
    keepLocally(key, value, fields, basis) {
      if (ahead.has(key) || (follower.applied > basis && store.peek(key) !== undefined)) return store.peek(key);
      store.put({ key, value, ...fields, basis }, Math.max(1, basis), clock.now());
      return store.peek(key);
    },
    listen(onChange) {
      listeners.add(onChange);
      return () => listeners.delete(onChange);
    },
    setLimits: (limits) => store.setLimits(limits),
    async start() {
      await follower.start();
      sweeper ??= every(clock, sweepPeriodMs, () => {
        forgetPassed();
        store.sweepExpired(sweepEntries);
      });
    },
    async stop() {
      sweeper?.cancel();
      await follower.stop();
      listeners.clear();
    },
  };
}
