/**
 * The keys of a partition without their values: what is needed to list them, to find those that carry a tag, or to compare a
 * copy with the log. It
 * obeys the same rules as a copy with values (clear, tags, basis, floor, expiry), and has no limits of memory of its own:
 * a million keys take some 200 MB.
 */
import { type BucketContext, decodeBucketRecord } from '../events/entry.ts';
import type { LogRecord, Position } from '../events/record.ts';
import type { FollowerSink } from '../log/follower-options.ts';
import { basisOf, type EntryPut } from '../store/entry.ts';

export interface IndexedKey {
  readonly key: string;
  readonly revision: Position;
  readonly atMs: number;
  readonly bytes: number;
  readonly expiresAtMs: number;
  readonly tags: readonly string[] | undefined;
  readonly contentType: string | undefined;
  /** Set where the index was asked to make checksums. */
  readonly checksum?: string;
}

export interface KeyIndexOptions {
  /** Keys to keep. Default: all. */
  readonly keeps?: (key: string) => boolean;
  /** Makes the checksum of an entry from its put. Default: none. */
  readonly checksum?: (put: EntryPut, revision: Position) => string;
}

export interface KeyIndex {
  readonly sink: FollowerSink;
  readonly size: number;
  /** Entries that are valid at that time, in no order. */
  entries(nowMs: number): Iterable<IndexedKey>;
  get(key: string): IndexedKey | undefined;
  /** Keys whose newest message is a put that a tag invalidation has made void and that is still in the log, with its revision. */
  readonly invalidated: ReadonlyMap<string, Position>;
}

interface Held extends IndexedKey {
  readonly basis: Position;
}

export function createKeyIndex(context: BucketContext, options: KeyIndexOptions = {}): KeyIndex {
  const { keeps, checksum } = options;
  const held = new Map<string, Held>();
  const invalidated = new Map<string, Position>();
  const tagPositions = new Map<string, Position>();
  let clearedAt = 0;

  function put(entry: Held): void {
    const isVoidByTag = entry.tags?.some((tag) => (tagPositions.get(tag) ?? 0) > entry.basis) ?? false;
    held.delete(entry.key);
    invalidated.delete(entry.key);
    if (isVoidByTag) invalidated.set(entry.key, entry.revision);
    else if (entry.basis >= clearedAt) held.set(entry.key, entry);
  }

  function remove(key: string): void {
    held.delete(key);
    invalidated.delete(key);
  }

  function clear(position: Position): void {
    clearedAt = position;
    for (const { key, basis } of held.values()) if (basis < position) held.delete(key);
  }

  function invalidate(tag: string, position: Position): void {
    tagPositions.set(tag, position);
    for (const { key, basis, tags, revision } of held.values()) {
      if (basis >= position || tags?.includes(tag) !== true) continue;
      held.delete(key);
      invalidated.set(key, revision);
    }
  }

  function apply(record: LogRecord): void {
    const { position, atMs } = record;
    const event = decodeBucketRecord(context, record);
    switch (event.type) {
      case 'entry.put': {
        const { key, expiresAtMs, tags, contentType } = event;
        if (keeps?.(key) === false) return;
        const basis = basisOf(event, position);
        const bytes = event.value.length;
        const made = checksum === undefined ? {} : { checksum: checksum(event, position) };
        put({ key, revision: position, atMs, bytes, expiresAtMs, tags, contentType, basis, ...made });
        return;
      }
      case 'entry.deleted':
      case 'entry.unreadable':
        remove(event.key);
        return;
      case 'cache.cleared':
        clear(position);
        return;
      case 'tag.invalidated':
        invalidate(event.tag, position);
        return;
      case 'foreign':
    }
  }

  return {
    invalidated,
    get: (key) => held.get(key),
    get size() {
      return held.size;
    },
    *entries(nowMs) {
      for (const entry of held.values()) if (entry.expiresAtMs > nowMs) yield entry;
    },
    sink: {
      apply,
      rebuild() {
        held.clear();
        invalidated.clear();
        tagPositions.clear();
        clearedAt = 0;
      },
      floor(first) {
        for (const { key, revision } of held.values()) if (revision < first) held.delete(key);
      },
    },
  };
}
