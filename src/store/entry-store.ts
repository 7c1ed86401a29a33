/**
 * The entries of one partition in memory: bounded by count and bytes, least recently used goes first.
 *
 * It holds the rules that make a copy true whatever the order of arrival: an event changes a key only above the
 * entry's revision; a clear or tag invalidation makes everything below it invalid, also what turns up later; nothing below
 * the log's floor is served. It must not know the log: positions are given. Values handed in are copied.
 */
import type { Clock } from '../base/clock.ts';
import { createRecencyList } from './recency-list.ts';

/** Place of an event in the partition's log. */
type Position = number;

/** Marks a value that was not decoded yet; no codec can return it. */
export const notDecoded: unique symbol = Symbol('not decoded');

export interface Entry {
  // The first fields share a cache line with the object's head; they are all that a hit reads.
  /** `expiresAtMs` in whole units of 1.024 s since the store was made, rounded down: a small integer for a quick check. */
  readonly expiresCoarse: number;
  /** Place in the store's order of use; 0: not held. */
  slot: number;
  /** Position of the event that set it. */
  readonly revision: Position;
  /** The value as the process's own codec sees it, decoded once per revision. */
  decoded: unknown;
  readonly value: Uint8Array;
  readonly key: string;
  /** Position up to which its writer had seen the log; the revision itself unless it was loaded from a source. */
  readonly basis: Position;
  /** ms since 1970 UTC; Infinity: never. */
  readonly expiresAtMs: number;
  /** When the log stored it. */
  readonly atMs: number;
  readonly tags: readonly string[] | undefined;
  readonly contentType: string | undefined;
  /** What it counts for against `bytesMax`. */
  readonly bytes: number;
}

/** What a put brings. */
export interface EntryPut {
  readonly key: string;
  readonly value: Uint8Array;
  readonly expiresAtMs: number;
  readonly tags: readonly string[] | undefined;
  readonly contentType: string | undefined;
  readonly basis: Position | undefined;
}

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

/**
 * What an entry costs beside its key and value: the entry object, the typed array and its buffer, the slots of the map and of
 * the recency list. Measured by `bench/memory.ts`; see docs/performance.md.
 */
export const entryOverheadBytes = 400;

/** Bytes of an entry as counted against the limit. Keys count two bytes a character, as the engine may store them. */
export const entryBytes = (key: string, valueBytes: number): number => valueBytes + 2 * key.length + entryOverheadBytes;

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
  const byKey = new Map<string, Entry>();
  const order = createRecencyList<Entry>();
  const tagPositions = new Map<string, Position>();
  const byTag = new Map<string, Set<Entry>>();
  const expiring = new Set<Entry>();
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

  function toEntry(put: EntryPut, revision: Position, atMs: number): Entry {
    return {
      expiresCoarse: coarse(put.expiresAtMs),
      slot: 0,
      revision,
      decoded: notDecoded,
      value: ownCopy(put.value),
      key: put.key,
      basis: put.basis ?? revision,
      expiresAtMs: put.expiresAtMs,
      atMs,
      tags: put.tags,
      contentType: put.contentType,
      bytes: entryBytes(put.key, put.value.length),
    };
  }

  function index(entry: Entry): void {
    bytes += entry.bytes;
    if (entry.expiresAtMs !== Number.POSITIVE_INFINITY) expiring.add(entry);
    for (const tag of entry.tags ?? []) {
      const tagged = byTag.get(tag);
      if (tagged === undefined) byTag.set(tag, new Set([entry]));
      else tagged.add(entry);
    }
  }

  function keep(entry: Entry): void {
    const known = byKey.get(entry.key);
    if (known === undefined) {
      entry.slot = order.add(entry);
    } else {
      unindex(known);
      entry.slot = known.slot;
      known.slot = 0;
      order.replace(entry.slot, entry);
    }
    byKey.set(entry.key, entry);
    index(entry);
    makeRoom();
  }

  function forget(entry: Entry): void {
    byKey.delete(entry.key);
    order.remove(entry.slot);
    entry.slot = 0;
    unindex(entry);
  }

  function evict(entry: Entry, counter: 'evictedByEntries' | 'evictedByBytes'): void {
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

  function unindex(entry: Entry): void {
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
  function hasExpired(entry: Entry): boolean {
    if (entry.expiresCoarse === neverCoarse) return false;
    if (nowCoarse === unknownCoarse) readClock();
    return entry.expiresCoarse <= nowCoarse && entry.expiresAtMs <= nowMs;
  }

  function drop(entry: Entry, counter: 'expirations' | 'floored' | 'invalidations'): void {
    counters[counter] += 1;
    forget(entry);
  }

  function isInvalidated(basis: Position, tags: readonly string[] | undefined): boolean {
    if (basis < clearedAt) return true;
    if (tags === undefined) return false;
    if (basis < tagsForgottenBelow) return true;
    return tags.some((tag) => basis < (tagPositions.get(tag) ?? 0));
  }

  function validate(entry: Entry | undefined): Entry | undefined {
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
    toEntry,
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
      const entry = toEntry(put, revision, atMs);
      if (isInvalidated(entry.basis, put.tags) || revision < floor || hasExpired(entry)) {
        // It replaced what was there, and is not true itself.
        if (known !== undefined) forget(known);
        return false;
      }
      if (entry.bytes > limits.bytesMax) {
        // Never fits: the log still has it, this memory does not.
        if (known !== undefined) forget(known);
        hasEvicted = true;
        counters.evictedByBytes += 1;
        return false;
      }
      keep(entry);
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

/** A copy with memory of its own: neither a slice of a receive buffer nor a piece of a shared pool. */
function ownCopy(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(bytes.length);
  copy.set(bytes);
  return copy;
}
