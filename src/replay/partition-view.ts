/**
 * One partition's copy: drives the entry store from the partition's log and answers reads from memory.
 *
 * What the process learns out of order (its own acknowledged write, a value read from the log) is ahead of the follower; see
 * `ahead.ts`. Invariants: reads of a key never go back to an older event, and nothing is served that the log of now does
 * not have. It must not decide about freshness: that is the follower's knowledge.
 */
import { type Clock, every, type Timer } from '../base/clock.ts';
import type { Lifecycle } from '../base/lifecycle.ts';
import { createListeners } from '../base/listeners.ts';
import type { Random } from '../base/random.ts';
import { createSingleFlight } from '../base/single-flight.ts';
import type { WaitOptions } from '../base/waiters.ts';
import { withGetters } from '../base/with-getters.ts';
import { type BucketEvent, decodeBucketRecord, type EntryFields } from '../events/entry.ts';
import { encodeKey } from '../events/key.ts';
import type { LogRecord, Position } from '../events/record.ts';
import type { BucketSubjects } from '../events/subjects.ts';
import { createFollower, type Follower } from '../log/follower.ts';
import type { FollowerLimits, FollowerNotice, FollowerSink } from '../log/follower-options.ts';
import type { Log } from '../log/log.ts';
import { compareWithLog } from '../store/comparison.ts';
import { basisOf, type EntryPut } from '../store/entry.ts';
import { createEntryStore, type Entry, type EntryStore, type StoreLimits } from '../store/entry-store.ts';
import { createAhead } from './ahead.ts';
import { createKeyFences } from './key-fences.ts';
import { createKeyLoader, type When } from './key-loader.ts';
import { gapReason, goneReason, isSuspectGap, rolledBackReason } from './lost-events.ts';
import { createOwnInvalidations } from './own-invalidations.ts';
import { createTagCollectors, type TagCollector } from './tag-collectors.ts';

/** What changed, in log order, for watchers. `rebuilt`: what was known before is void; changes above `position` follow. */
export type Change =
  /** `entry` is undefined when the value was void on arrival: expired, or below a clear or tag invalidation. */
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

/** Made when a load from a user's source begins; tells whether its result may still be kept. */
export interface LoadFence {
  /** Position that the log had reached when the load began. */
  readonly basis: Position;
  /** True when the key was written or deleted since, or the copy was rebuilt. */
  readonly isBroken: boolean;
  /** True when that was below a position, at which the result was stored. */
  isBrokenBelow(position: Position): boolean;
  end(): void;
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
  /** True when a miss in memory proves that the log has no such entry, as far as the follower has seen it. */
  readonly isComplete: boolean;
  /** The follower has passed what is held of the key without meeting it: only the log can tell whether it stands. */
  isPassedOver(key: string): boolean;
  /** Resolves when nothing that is held was passed over. Rejects like `reached` of the follower, with `log-unavailable` if it cannot ask. */
  settled(wait?: WaitOptions): Promise<void>;
  /** Reads the entry from the log's leader and keeps it, if it is still true. */
  load(key: string): Promise<Entry | undefined>;
  /** The same, with a question that is asked after this call. */
  loadNow(key: string): Promise<Entry | undefined>;
  /** An acknowledged write of this process, sent at or after `sentAtMs` (monotonic; default: now). */
  wrote(event: BucketEvent, position: Position, sentAtMs?: number): void;
  /** Gathers the entries that invalidations of the tag remove here, until it is ended. */
  collectInvalid(tag: string): TagCollector;
  fence(key: string): LoadFence;
  /** Keeps a loaded value that may not be written to the log; it counts as old as the fence's basis. */
  keepLocally(key: string, value: Uint8Array, fields: EntryFields, fence: LoadFence): Entry | undefined;
  /** Calls back for each change in log order; returns the way to stop. */
  listen(onChange: (change: Change) => void): () => void;
  /** Calls back once, when the copy is given up: it is empty then, and tells of no change any more. */
  onStopped(callback: () => void): () => void;
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

const sweepPeriodMs = 1_000;
const sweepEntries = 20_000;

export function createPartitionView(options: PartitionViewOptions): PartitionView {
  const { log, subjects, clock } = options;
  let limits = options.store;
  const store = createEntryStore(clock, limits);
  const ahead = createAhead(clock, () => limits.bytesMax);
  const fences = createKeyFences();
  const collectors = createTagCollectors();
  const ownInvalidations = createOwnInvalidations(log);
  const loads = createSingleFlight<Entry | undefined>();
  const listeners = createListeners<Change>();
  const stopListeners = createListeners<void>();
  const counters: ViewCounters = {
    puts: 0,
    deletes: 0,
    clears: 0,
    tagInvalidations: 0,
    foreign: 0,
    unreadable: 0,
    logLoads: 0,
  };
  /** Counts rebuilds and the end: what was asked of the log in an earlier life tells nothing about this one. */
  let life = 1;
  /** Where the log stood when listeners were last told to look again. */
  let lookedAgainAt: Position = 0;
  let isStopped = false;
  let firstProblem: string | undefined;
  let sweeper: Timer | undefined;

  function emit(change: Change): void {
    // What was on its way when the log dropped it is no news for those who were told to look again.
    if (change.type !== 'rebuilt' && change.position <= lookedAgainAt) return;
    if (change.type === 'rebuilt') lookedAgainAt = change.position;
    listeners.tell(change);
  }

  const tellGone = (): void => emit({ type: 'rebuilt', position: follower.applied, reason: goneReason });

  function skip(counter: 'foreign' | 'unreadable', record: LogRecord, reason: string): void {
    counters[counter] += 1;
    firstProblem ??= `${record.subject.slice(0, 200)} at ${record.position}: ${reason}`;
  }

  function apply(record: LogRecord): void {
    const { position } = record;
    const event = decodeBucketRecord(options, record);
    ownInvalidations.met(record);
    switch (event.type) {
      case 'entry.put':
        counters.puts += 1;
        fences.mark(event.key, position);
        if (!ahead.overrules(event.key, position)) store.put(event, position, record.atMs);
        if (!listeners.isEmpty())
          emit({ type: 'put', key: event.key, position, entry: entryOf(event, position, record.atMs) });
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

  /** What the put at `position` says, whether there is room for it or not; undefined when it is void. */
  function entryOf(put: EntryPut, position: Position, atMs: number): Entry | undefined {
    const held = store.peek(put.key);
    if (held?.revision === position && !held.isLocal) return held;
    if (store.isInvalidated(basisOf(put, position), put.tags)) return undefined;
    const entry = store.toEntry(put, position, atMs);
    return store.isExpired(entry) ? undefined : entry;
  }

  function remove(key: string, position: Position): void {
    fences.mark(key, position);
    if (!ahead.overrules(key, position)) store.remove(key, position);
    emit({ type: 'delete', key, position });
  }

  function clear(position: Position): void {
    store.clear(position);
    ahead.clear(position);
  }

  function invalidateTag(tag: string, position: Position): void {
    collectors.add(tag, store.invalidateTag(tag, position));
    ahead.invalidateTag(tag, position);
  }

  /** Takes in what stands in the log at a position that the follower has not reached, or has reached by now. */
  function learn(
    key: string,
    put: EntryPut | undefined,
    position: Position,
    { atMs, askedAtMs }: When,
  ): Entry | undefined {
    fences.mark(key, position);
    if (put === undefined) store.remove(key, position);
    else store.put(put, position, atMs);
    const entry = put === undefined ? undefined : entryOf(put, position, atMs);
    if (position > follower.applied) ahead.learn(key, position, entry, askedAtMs);
    return entry;
  }

  function wroteEntry(key: string, put: EntryPut | undefined, position: Position, askedAtMs: number): void {
    if ((ahead.get(key)?.position ?? 0) > position) return;
    const atMs = clock.now();
    // Until the log tells when it stored the entry, its own limit of age counts from now.
    const endsAtMs = atMs + log.maxAgeMs;
    const known = put === undefined || put.expiresAtMs <= endsAtMs ? put : { ...put, expiresAtMs: endsAtMs };
    learn(key, known, position, { atMs, askedAtMs });
  }

  const heldAhead = (key: string): Entry | undefined => {
    const entry = ahead.get(key)?.entry;
    return entry !== undefined && !store.isExpired(entry) ? entry : undefined;
  };
  const peek = (key: string): Entry | undefined => store.peek(key) ?? heldAhead(key);

  const loader = createKeyLoader({
    log,
    subjects,
    clock,
    fences,
    ahead,
    life: () => life,
    isStopped: () => isStopped,
    applied: () => follower.applied,
    isInDoubt: () => follower.doubtAbove !== undefined,
    peek,
    store,
    learn,
    onFound: () => {
      counters.logLoads += 1;
    },
    onRolledBack: (reason) => follower.rebuild(reason),
    onGone: tellGone,
  });

  const sink: FollowerSink = {
    apply,
    rebuild(reason) {
      life += 1;
      ahead.reset();
      ownInvalidations.reset();
      loader.reset();
      store.reset();
      emit({ type: 'rebuilt', position: 0, reason });
    },
    floor(first) {
      store.raiseFloor(first);
      ahead.raiseFloor(first);
      // The store is exact by its floor; who only hears of changes must look again.
      if (isSuspectGap(follower.applied, first, follower.lagMs()))
        emit({ type: 'rebuilt', position: first - 1, reason: gapReason });
    },
    unmetSinceMs: (provenAtMs) => Math.min(ahead.unmetSinceMs(provenAtMs), loader.doubtedSinceMs()),
    verify() {
      const comparison = compareWithLog(store, clock, tellGone);
      return {
        met: comparison.met,
        end(through) {
          // What was learned ahead and passed over since must not outlive its entry in the store.
          ahead.pass(through, loader.doubt);
          return comparison.end(through);
        },
      };
    },
  };

  const follower: Follower = createFollower({
    log,
    sink,
    clock,
    random: options.random,
    ...(options.follower === undefined ? {} : { limits: options.follower }),
    ...(options.onNotice === undefined ? {} : { onNotice: options.onNotice }),
  });

  function sweep(): void {
    ahead.pass(follower.applied, loader.doubt);
    const oldest = ahead.oldest();
    // The copy is proven to hold all that was in the log after it had acknowledged this, and yet it is not there.
    if (oldest !== undefined && follower.provenAtMs > oldest.learnedAtMs) {
      follower.rebuild(rolledBackReason(oldest.position));
      return;
    }
    ownInvalidations.settle(follower.applied, (reason) => isStopped || follower.rebuild(reason));
    store.sweep(sweepEntries);
    loader.settleDoubts();
  }

  const getters = {
    firstProblem: () => firstProblem,
    isComplete: () => !isStopped && follower.isReady && follower.isWhole && !store.hasEvicted && !ahead.hasUnheld,
  };
  return withGetters<PartitionView, keyof typeof getters>(getters, {
    subjects,
    log,
    follower,
    store,
    counters,
    read: (key) => store.read(key) ?? heldAhead(key),
    peek,
    isPassedOver: loader.isPassedOver,
    settled(wait = {}) {
      ahead.pass(follower.applied, loader.doubt);
      return loader.settled(wait);
    },
    load: (key) => loads.run(key, () => loader.load(key)),
    loadNow: (key) => loads.runAfresh(key, () => loader.load(key)),
    wrote(event, position, sentAtMs = clock.monotonic()) {
      // If the follower was faster, what it has applied stands.
      if (isStopped || position <= follower.applied) return;
      follower.wrote(position);
      if (event.type === 'entry.put') wroteEntry(event.key, event, position, sentAtMs);
      else if (event.type === 'entry.deleted') wroteEntry(event.key, undefined, position, sentAtMs);
      else if (event.type === 'cache.cleared') clear(ownInvalidations.wrote(subjects.clear, position));
      else if (event.type === 'tag.invalidated')
        invalidateTag(event.tag, ownInvalidations.wrote(subjects.tagPrefix + encodeKey(event.tag).token, position));
      if (ahead.isCrowded) ahead.pass(follower.applied, loader.doubt);
    },
    collectInvalid: collectors.create,
    fence(key) {
      const basis = Math.max(follower.applied, ahead.get(key)?.position ?? 0);
      const fence = fences.create(key, basis);
      const lifeThen = life;
      return {
        basis,
        get isBroken() {
          return fence.newest > basis || life !== lifeThen;
        },
        isBrokenBelow: (position) => fence.oldest < position,
        end: fence.end,
      };
    },
    keepLocally(key, value, fields, fence) {
      if (fence.isBroken || store.isInvalidated(fence.basis, fields.tags)) return undefined;
      // Nothing that has been seen since speaks against it.
      const basis = Math.max(fence.basis, follower.wholeAt);
      if (!store.putLocal({ key, value, ...fields, basis }, basis, clock.now())) return undefined;
      // What it replaces must not come back when memory limits take it away.
      if (ahead.get(key) !== undefined) ahead.learn(key, basis, store.peek(key), clock.monotonic());
      return store.peek(key);
    },
    listen: listeners.add,
    onStopped: stopListeners.add,
    setLimits(next) {
      limits = next;
      store.setLimits(next);
    },
    async start() {
      await follower.start();
      if (!isStopped) sweeper ??= every(clock, sweepPeriodMs, sweep);
    },
    async stop() {
      if (!isStopped) {
        isStopped = true;
        life += 1;
        sweeper?.cancel();
        listeners.clear();
        ahead.reset();
        ownInvalidations.reset();
        loader.reset();
        store.reset();
        stopListeners.tell();
        stopListeners.clear();
      }
      await follower.stop();
    },
  });
}
