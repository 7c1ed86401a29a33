/**
 * The entries of one partition in memory: bounded by count and bytes, least recently used goes first.
 *
 * It holds the rules that make a copy true whatever the order of arrival: an event changes a key only above the
 * entry's revision; a clear or tag invalidation makes everything below it invalid, also what turns up later; nothing below
 * the log's floor is served. It must not know the log: positions are given. Values handed in are copied. Keys and order of
 * use are lru-cache's; decoded values that need no look at their entry are shown beside it.
 */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../base/clock.ts';
import { withGetters } from '../base/with-getters.ts';
import { createCoarseTime, neverCoarse } from './coarse-time.ts';
import { type Entry, type EntryPut, endOf, HeldEntry, isSameEvent, type Position } from './entry.ts';
import { createInvalidations } from './invalidations.ts';
import { createShownValues, type Shown } from './shown-values.ts';
import { createTagIndex } from './tag-index.ts';
import { createValueSlabs, ownSlab } from './value-slabs.ts';

export { type Entry, type EntryPut, entryBytes, entryOverheadBytes, tagOverheadBytes } from './entry.ts';

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
  /**
   * Values that may be read without asking anything else, by key; what is not here may still be read. Such a hit is not counted,
   * and is no use: values are shown only while the store is less than half full, and what is in use later is read again before
   * anything has to go.
   */
  readonly shown: ReadonlyMap<string, Shown | undefined>;
  /** Shows a value as long as its entry is valid and nothing else needs to be asked at a hit; or leaves it. */
  show(entry: Entry, value: Shown): void;
  /** The same as `read` without counting, and without touching the order of use. */
  peek(key: string): Entry | undefined;
  /**
   * Applies a put; false when a newer event of the key is known, the value is invalid already, or there is no room for it.
   * Told again of the revision that it holds, it takes over what is said this time: the log's word follows one's own.
   */
  put(put: EntryPut, revision: Position, atMs: number): boolean;
  /** Keeps a loaded value that is not in the log, as old as `basis`; false like `put`. */
  putLocal(put: EntryPut, basis: Position, atMs: number): boolean;
  /** What `put` would keep, for a value that memory has no room for. */
  toEntry(put: EntryPut, revision: Position, atMs: number): Entry;
  /** Applies a delete; false when a newer event of the key is known. */
  remove(key: string, revision: Position): boolean;
  clear(position: Position): void;
  /** Returns the entries that became invalid by it. */
  invalidateTag(tag: string, position: Position): readonly Entry[];
  /** True when a clear or tag invalidation stands above the position from which such a value stems. */
  isInvalidated(basis: Position, tags: readonly string[] | undefined): boolean;
  /** True when an entry of any store has expired by this one's clock and tolerance. */
  isExpired(entry: Entry): boolean;
  /** Ends everything below the log's first position. Cheap: a log that is written to moves its floor all the time. */
  raiseFloor(first: Position): void;
  /** Removes what has sunk below the floor, and what has expired of up to `count` entries that expire; to be called now and then. */
  sweep(count: number): void;
  /** Forgets everything, also clears and tags, as before a replay. */
  reset(): void;
  setLimits(limits: StoreLimits): void;
  /** Valid entries in no particular order. */
  entries(): IterableIterator<Entry>;
  /** Entries held, among them some that have expired or sunk and were not swept yet. */
  readonly size: number;
  readonly bytes: number;
  readonly clearedAt: Position;
  /** True once memory limits removed an entry that the log may still hold: then a miss here is not the last word. */
  readonly hasEvicted: boolean;
  readonly counters: Readonly<StoreCounters>;
}

/** Handed to the library with each look and each entry, which else makes an object each time. */
const asUsual = {};
const sized = { size: 1 };

export function createEntryStore(clock: Clock, initial: StoreLimits): EntryStore {
  let limits = initial;
  const time = createCoarseTime(clock);
  time.setLag(limits.expiryToleranceMs ?? 0);
  let floor = 0;
  /** Nothing that is held sinks before the floor is above it. */
  let lowest = Number.POSITIVE_INFINITY;
  /** No entry's revision is above it. */
  let newest = 0;
  let hasEvicted = false;
  let isCrowded = false;
  let bytes = 0;
  /** What the last `lru.set` has put out: known without a look of its own, which in a large map is a wait for memory. */
  let replaced: HeldEntry | undefined;
  // It is given no `max`, for it would reserve memory for so many entries at once; room is made by `makeRoom`, which knows why an
  // entry must go.
  const createLru = (): LRUCache<string, HeldEntry> =>
    new LRUCache({
      maxSize: Number.MAX_SAFE_INTEGER,
      dispose(entry, _key, reason) {
        if (reason === 'set') replaced = entry;
      },
    });
  let lru = createLru();
  const shown = createShownValues(clock, time, (key) => lru.peek(key, asUsual));
  const values = createValueSlabs((key) => lru.peek(key));
  const invalidations = createInvalidations();
  const tags = createTagIndex();
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
    if (entry.endsAtMs !== undefined) expiring.add(entry);
    tags.add(entry);
  }

  function keep(entry: HeldEntry, value: Uint8Array): void {
    replaced = undefined;
    lru.set(entry.key, entry, sized);
    if (replaced !== undefined) {
      shown.replaced(replaced);
      release(replaced);
    }
    values.place(entry, value);
    lowest = Math.min(lowest, heldFrom(entry));
    index(entry);
    makeRoom();
  }

  /** Only once the key has it no more: a slab that is emptied by it asks who still lives there. */
  function release(entry: HeldEntry): void {
    unindex(entry);
    values.vacate(entry);
  }

  function forget(entry: HeldEntry): void {
    shown.hide(entry);
    lru.delete(entry.key);
    release(entry);
  }

  /** Entries held now. A copy, because the library's own iterator does not survive removals. */
  const held = (): HeldEntry[] => [...lru.values()];

  function evict(entry: HeldEntry, counter: 'evictedByEntries' | 'evictedByBytes'): void {
    if (hasExpired(entry)) {
      drop(entry, 'expirations');
      return;
    }
    forget(entry);
    counters[counter] += 1;
    // The log never had a local value.
    if (!entry.isLocal) hasEvicted = true;
  }

  function empty(): void {
    // Its own `clear` tells of each entry, and keeps the memory of all.
    lru = createLru();
    shown.hideAll();
    values.clear();
    tags.clear();
    expiring.clear();
    sweep = expiring.values();
    lowest = Number.POSITIVE_INFINITY;
    bytes = 0;
  }

  const isFilledTo = (share: number): boolean =>
    lru.size > share * limits.entriesMax || bytes > share * limits.bytesMax;

  function makeRoom(): void {
    if (!isCrowded && isFilledTo(1 / 2)) {
      isCrowded = true;
      shown.hideAll();
    }
    while (lru.size > limits.entriesMax || bytes > limits.bytesMax) {
      const [oldest] = lru.rvalues();
      if (oldest === undefined) return;
      evict(oldest, lru.size > limits.entriesMax ? 'evictedByEntries' : 'evictedByBytes');
    }
  }

  function unindex(entry: HeldEntry): void {
    bytes -= entry.bytes;
    if (entry.endsAtMs !== undefined) expiring.delete(entry);
    tags.remove(entry);
  }

  /** The quick check decides all but the last second of a life; only then is the date read, which would allocate a number. */
  function hasExpired(entry: HeldEntry): boolean {
    if (entry.expiresCoarse === neverCoarse) return false;
    return entry.expiresCoarse <= time.now() && entry.expiresAtMs <= time.nowMs();
  }

  function drop(entry: HeldEntry, counter: 'expirations' | 'floored' | 'invalidations'): void {
    counters[counter] += 1;
    forget(entry);
  }

  /** What a clear or a tag has ended is removed at once; what expires or sinks below the floor is met here or swept. */
  function validate(entry: HeldEntry | undefined): HeldEntry | undefined {
    if (entry === undefined) return undefined;
    if (entry.revision < floor && isSunk(entry)) {
      drop(entry, 'floored');
      return undefined;
    }
    if (hasExpired(entry)) {
      drop(entry, 'expirations');
      return undefined;
    }
    return entry;
  }

  /** Below the floor a message is no longer in the log. A local value has none; it ends with what its basis has seen. */
  const heldFrom = ({ isLocal, revision }: HeldEntry): Position => (isLocal ? revision + 1 : revision);
  const isSunk = (entry: HeldEntry): boolean => heldFrom(entry) < floor;

  const heldOf = (put: EntryPut, revision: Position, atMs: number, isLocal = false): HeldEntry =>
    new HeldEntry(put, revision, atMs, time.toCoarse(put.expiresAtMs), isLocal);

  /** Keeps what is true and has room, in place of what the key has now, which it ends in any case. */
  function admit(entry: HeldEntry, value: Uint8Array): boolean {
    const isTrue = !invalidations.isInvalidated(entry.basis, entry.tags) && !isSunk(entry) && !hasExpired(entry);
    if (isTrue && entry.bytes <= limits.bytesMax) {
      keep(entry, value);
      return true;
    }
    const known = lru.peek(entry.key, asUsual);
    if (known !== undefined) forget(known);
    if (isTrue) {
      // Never fits: the log still has it, this memory does not.
      if (!entry.isLocal) hasEvicted = true;
      counters.evictedByBytes += 1;
    }
    return false;
  }

  /** The same event again: the log's own times count, and if it says something else altogether, that is what is true. */
  function confirm(known: HeldEntry, put: EntryPut, atMs: number): boolean {
    if (!isSameEvent(known, put)) return admit(heldOf(put, known.revision, atMs), put.value);
    known.atMs = atMs;
    if (known.expiresAtMs !== put.expiresAtMs) {
      expiring.delete(known);
      shown.hide(known);
      known.endsAtMs = endOf(put);
      known.expiresCoarse = time.toCoarse(put.expiresAtMs);
      if (known.endsAtMs !== undefined) expiring.add(known);
    }
    return true;
  }

  const getters = {
    size: () => lru.size,
    bytes: () => bytes,
    clearedAt: () => invalidations.clearedAt,
    hasEvicted: () => hasEvicted,
  };
  return withGetters<EntryStore, keyof typeof getters>(getters, {
    counters,
    shown: shown.values,
    toEntry(put, revision, atMs) {
      const entry = heldOf(put, revision, atMs);
      entry.slab = ownSlab(put.value);
      return entry;
    },
    read(key) {
      const entry = validate(lru.get(key, asUsual));
      if (entry === undefined) counters.misses += 1;
      else counters.hits += 1;
      return entry;
    },
    show({ key, revision }, value) {
      if (isCrowded && isFilledTo(1 / 4)) return;
      isCrowded = false;
      const entry = lru.peek(key, asUsual);
      // A local value ends by a rule of its own.
      if (entry?.revision === revision && !entry.isLocal) shown.show(entry, value);
    },
    peek(key) {
      return validate(lru.peek(key, asUsual));
    },
    put(put, revision, atMs) {
      if (revision > newest) {
        // The usual case: whatever the key has is older.
        newest = revision;
        return admit(heldOf(put, revision, atMs), put.value);
      }
      const known = lru.peek(put.key, asUsual);
      if (known === undefined || known.revision < revision) return admit(heldOf(put, revision, atMs), put.value);
      return known.revision === revision && !known.isLocal && confirm(known, put, atMs);
    },
    putLocal(put, basis, atMs) {
      if (basis > newest) newest = basis;
      const known = lru.peek(put.key, asUsual);
      if (known !== undefined && known.revision > basis) return false;
      // The log goes on having what this one hides.
      if (known !== undefined && !known.isLocal) hasEvicted = true;
      return admit(heldOf(put, basis, atMs, true), put.value);
    },
    remove(key, revision) {
      const known = lru.peek(key, asUsual);
      if (known === undefined) return true;
      // A local value is younger than its basis.
      if (known.revision > revision || (known.isLocal && known.revision === revision)) return false;
      forget(known);
      return true;
    },
    clear(position) {
      if (!invalidations.clear(position)) return;
      const survivors: HeldEntry[] = [];
      for (const entry of lru.values()) if (entry.basis >= position) survivors.push(entry);
      if (survivors.length === 0) {
        // The usual case, and with a million entries far quicker than one by one.
        counters.invalidations += lru.size;
        empty();
        hasEvicted = false;
        return;
      }
      for (const entry of held()) if (entry.basis < position) drop(entry, 'invalidations');
    },
    invalidateTag(tag, position) {
      if (!invalidations.invalidateTag(tag, position)) return [];
      const invalid = tags.carriers(tag).filter((entry) => entry.basis < position);
      for (const entry of invalid) drop(entry, 'invalidations');
      return invalid;
    },
    isInvalidated: invalidations.isInvalidated,
    isExpired: ({ expiresAtMs }) => expiresAtMs <= time.nowMs(),
    raiseFloor(first) {
      if (first <= floor) return;
      floor = first;
      invalidations.forgetBelow(floor);
      shown.raiseFloor(floor, newest);
    },
    sweep(count) {
      if (lowest < floor) {
        lowest = Number.POSITIVE_INFINITY;
        for (const entry of held()) {
          if (isSunk(entry)) drop(entry, 'floored');
          else lowest = Math.min(lowest, heldFrom(entry));
        }
      }
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
      empty();
      invalidations.reset();
      shown.reset();
      newest = 0;
      floor = 0;
      hasEvicted = false;
    },
    setLimits(next) {
      limits = next;
      time.setLag(limits.expiryToleranceMs ?? 0);
      shown.hideAll();
      for (const entry of held()) if (entry.bytes > limits.bytesMax) evict(entry, 'evictedByBytes');
      makeRoom();
    },
    *entries() {
      for (const entry of held())
        if (lru.peek(entry.key) === entry && !isSunk(entry) && !hasExpired(entry)) yield entry;
    },
  });
}
