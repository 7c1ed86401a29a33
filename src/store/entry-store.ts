/**
 * The entries of one partition in memory: bounded by count and bytes, least recently used goes first.
 *
 * It holds the rules that make a copy true whatever the order of arrival: an event changes a key only above the
 * entry's revision; a clear or tag invalidation makes everything below it invalid, also what turns up later; nothing below
 * the log's floor is served. It must not know the log: positions are given. Values handed in are copied.
 */
import type { Clock } from '../base/clock.ts';
import { type Entry, type EntryPut, entryBytes, HeldEntry, type Position } from './entry.ts';
import { createRecencyList } from './recency-list.ts';
import { createValueSlabs, ownSlab } from './value-slabs.ts';

export { type Entry, type EntryPut, entryBytes, entryOverheadBytes, notDecoded } from './entry.ts';

export interface StoreLimits {
  readonly entriesMax: number;
  readonly bytesMax: number;
  /** How much longer than its expiry an entry is served, for clocks that differ. */
  readonly expiryToleranceMs?: number;
}

export interface StoreCounters {
  hits: number;
  misses: number;
  evictedByEntries: number;
  evictedByBytes: number;
  expirations: number;
  /** Entries that a clear or a tag invalidation removed. */
  invalidations: number;
  /** Entries that fell below the log's floor. */
  floored: number;
}

export interface EntryStore {
  /** The entry of a key if it is valid now; counts as use. Allocates nothing. */
  read(key: string): Entry | undefined;
  /** The same without counting, and without touching the order of use. */
  peek(key: string): Entry | undefined;
  /** Applies a put; false when a newer event of the key is known or the value is invalid already. */
  put(put: EntryPut, revision: Position, atMs: number): boolean;
  /** What `put` would keep, for a value that memory has no room for. */
  toEntry(put: EntryPut, revision: Position, atMs: number): Entry;
  /** Applies a delete; false when a newer event of the key is known. */
  remove(key: string, revision: Position): boolean;
  clear(position: Position): void;
  /** Returns the keys that became invalid by it. */
  invalidateTag(tag: string, position: Position): readonly string[];
  /** True when a clear or tag invalidation stands above the position from which such a value stems. */
  isInvalidated(basis: Position, tags: readonly string[] | undefined): boolean;
  /** Drops everything below the log's first position. */
  raiseFloor(first: Position): void;
  /** Looks at up to `count` entries that expire, and removes those that have. */
  sweepExpired(count: number): void;
  /** Forgets everything, also clears and tags, as before a replay. */
  reset(): void;
  setLimits(limits: StoreLimits): void;
  /** Valid entries in no particular order. */
  entries(): IterableIterator<Entry>;
  /** Entries held, among them some that have expired and were not swept yet. */
  readonly size: number;
  readonly bytes: number;
  readonly clearedAt: Position;
  /** True once memory limits removed an entry that the log may still hold: then a miss here is not the last word. */
  readonly hasEvicted: boolean;
  readonly counters: Readonly<StoreCounters>;
}

const neverCoarse = 2 ** 30;
const unknownCoarse = -2;

export function createEntryStore(clock: Clock, initial: StoreLimits): EntryStore {
  let limits = initial;
  let toleranceMs = limits.expiryToleranceMs ?? 0;
  const madeAtMs = clock.now();
  let nowMs = 0;
  let nowCoarse = unknownCoarse;
  let clearedAt = 0;
  let floor = 0;
  /** Tag positions below this were forgotten. */
  let tagsForgottenBelow = 0;
  let hasEvicted = false;
  let bytes = 0;
  const byKey = new Map<string, HeldEntry>();
  const order = createRecencyList<HeldEntry>();
  const values = createValueSlabs(order.at);
  const tagPositions = new Map<string, Position>();
  const byTag = new Map<string, Set<HeldEntry>>();
  const expiring = new Set<HeldEntry>();
  let sweep = expiring.values();
  const counters: StoreCounters = {
    hits: 0,
    misses: 0,
    evictedByEntries: 0,
    evictedByBytes: 0,
    expirations: 0,
    invalidations: 0,
    floored: 0,
  };

  function index(entry: HeldEntry): void {
    bytes += entry.bytes;
    if (entry.expiresAtMs !== Number.POSITIVE_INFINITY) expiring.add(entry);
    for (const tag of entry.tags ?? []) {
      const tagged = byTag.get(tag);
      if (tagged === undefined) byTag.set(tag, new Set([entry]));
      else tagged.add(entry);
    }
  }

  function keep(entry: HeldEntry, value: Uint8Array, known: HeldEntry | undefined): void {
    if (known === undefined) {
      entry.slot = order.add(entry);
    } else {
      unindex(known);
      entry.slot = known.slot;
      known.slot = 0;
      order.replace(entry.slot, entry);
      values.vacate(known);
    }
    byKey.set(entry.key, entry);
    values.place(entry, value);
    index(entry);
    makeRoom();
  }

  function forget(entry: HeldEntry): void {
    byKey.delete(entry.key);
    order.remove(entry.slot);
    entry.slot = 0;
    unindex(entry);
    values.vacate(entry);
  }

  function evict(entry: HeldEntry, counter: 'evictedByEntries' | 'evictedByBytes'): void {
    forget(entry);
    counters[counter] += 1;
    hasEvicted = true;
  }

  function makeRoom(): void {
    while (order.size > limits.entriesMax || bytes > limits.bytesMax) {
      const oldest = order.oldest();
      if (oldest === undefined) return;
      evict(oldest, order.size > limits.entriesMax ? 'evictedByEntries' : 'evictedByBytes');
    }
  }

  function unindex(entry: HeldEntry): void {
    bytes -= entry.bytes;
    if (entry.expiresAtMs !== Number.POSITIVE_INFINITY) expiring.delete(entry);
    for (const tag of entry.tags ?? []) {
      const tagged = byTag.get(tag);
      tagged?.delete(entry);
      if (tagged?.size === 0) byTag.delete(tag);
    }
  }

  /** A small integer, which the engine keeps in the object itself; a date in ms would be a number on the heap. */
  const coarse = (atMs: number): number => Math.max(-1, Math.min(neverCoarse, Math.floor((atMs - madeAtMs) / 1024)));

  /** Time stands still for at most 1 ms, so that a burst of hits asks the clock once. */
  function readClock(): void {
    nowMs = clock.now() - toleranceMs;
    nowCoarse = coarse(nowMs);
    clock.timer(1, () => {
      nowCoarse = unknownCoarse;
    });
  }

  /** The quick check decides all but the last second of a life. */
  function hasPassed(atCoarse: number, atMs: number): boolean {
    if (atCoarse === neverCoarse) return false;
    if (nowCoarse === unknownCoarse) readClock();
    return atCoarse <= nowCoarse && atMs <= nowMs;
  }

  const hasExpired = (entry: HeldEntry): boolean => hasPassed(entry.expiresCoarse, entry.expiresAtMs);

  function drop(entry: HeldEntry, counter: 'expirations' | 'floored' | 'invalidations'): void {
    counters[counter] += 1;
    forget(entry);
  }

  function isInvalidated(basis: Position, tags: readonly string[] | undefined): boolean {
    if (basis < clearedAt) return true;
    if (tags === undefined) return false;
    if (basis < tagsForgottenBelow) return true;
    return tags.some((tag) => basis < (tagPositions.get(tag) ?? 0));
  }

  function validate(entry: HeldEntry | undefined): HeldEntry | undefined {
    if (entry === undefined) return undefined;
    if (hasExpired(entry)) {
      drop(entry, 'expirations');
      return undefined;
    }
    if (entry.revision < floor) {
      drop(entry, 'floored');
      return undefined;
    }
    return entry;
  }

  return {
    counters,
    toEntry(put, revision, atMs) {
      const entry = new HeldEntry(put, revision, atMs, coarse(put.expiresAtMs));
      entry.slab = ownSlab(put.value);
      return entry;
    },
    get size() {
      return order.size;
    },
    get bytes() {
      return bytes;
    },
    get clearedAt() {
      return clearedAt;
    },
    get hasEvicted() {
      return hasEvicted;
    },
    read(key) {
      const entry = validate(byKey.get(key));
      if (entry === undefined) {
        counters.misses += 1;
        return undefined;
      }
      order.touch(entry.slot);
      counters.hits += 1;
      return entry;
    },
    peek(key) {
      return validate(byKey.get(key));
    },
    put(put, revision, atMs) {
      const { key } = put;
      const known = byKey.get(key);
      if (known !== undefined && known.revision >= revision) return false;
      const expiresCoarse = coarse(put.expiresAtMs);
      const isVoid = isInvalidated(put.basis ?? revision, put.tags) || revision < floor;
      if (isVoid || hasPassed(expiresCoarse, put.expiresAtMs)) {
        // It replaced what was there, and is not true itself.
        if (known !== undefined) forget(known);
        return false;
      }
      if (entryBytes(key, put.value.length) > limits.bytesMax) {
        // Never fits: the log still has it, this memory does not.
        if (known !== undefined) forget(known);
        hasEvicted = true;
        counters.evictedByBytes += 1;
        return false;
      }
      keep(new HeldEntry(put, revision, atMs, expiresCoarse), put.value, known);
      return true;
    },
    remove(key, revision) {
      const known = byKey.get(key);
      if (known === undefined || known.revision >= revision) return known === undefined;
      forget(known);
      return true;
    },
    clear(position) {
      if (position <= clearedAt) return;
      clearedAt = position;
      for (const entry of order.items()) if (entry.basis < position) drop(entry, 'invalidations');
      if (order.size === 0) hasEvicted = false;
    },
    invalidateTag(tag, position) {
      if (position <= (tagPositions.get(tag) ?? 0)) return [];
      tagPositions.set(tag, position);
      const invalid = [...(byTag.get(tag) ?? [])].filter((entry) => entry.basis < position);
      for (const entry of invalid) drop(entry, 'invalidations');
      return invalid.map((entry) => entry.key);
    },
    isInvalidated,
    raiseFloor(first) {
      if (first <= floor) return;
      floor = first;
      for (const [tag, position] of tagPositions) if (position < floor) tagPositions.delete(tag);
      tagsForgottenBelow = floor;
      for (const entry of order.items()) if (entry.revision < floor) drop(entry, 'floored');
    },
    sweepExpired(count) {
      for (let seen = 0; seen < count; seen += 1) {
        const next = sweep.next();
        if (next.done) {
          sweep = expiring.values();
          return;
        }
        if (hasExpired(next.value)) drop(next.value, 'expirations');
      }
    },
    reset() {
      byKey.clear();
      order.clear();
      values.clear();
      byTag.clear();
      expiring.clear();
      sweep = expiring.values();
      bytes = 0;
      tagPositions.clear();
      clearedAt = 0;
      floor = 0;
      tagsForgottenBelow = 0;
      hasEvicted = false;
    },
    setLimits(next) {
      limits = next;
      toleranceMs = limits.expiryToleranceMs ?? 0;
      for (const entry of order.items()) if (entry.bytes > limits.bytesMax) evict(entry, 'evictedByBytes');
      makeRoom();
    },
    *entries() {
      for (const entry of order.items()) if (!hasExpired(entry) && entry.revision >= floor) yield entry;
    },
  };
}
