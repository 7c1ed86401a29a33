/** The in-process cache as its user sees it: types only. */
import type { WaitOptions } from '../base/waiters.ts';
import type { Position } from '../events/record.ts';
import type { Written } from '../service/cache-service.ts';

export interface EntryView<Value> {
  readonly value: Value;
  /** 0: a loaded value that only this process has, because the log could not take it. */
  readonly revision: Position;
  /** When the log stored it, ms since 1970 UTC. */
  readonly atMs: number;
  /** ms since 1970 UTC; Infinity: never. */
  readonly expiresAtMs: number;
  readonly tags: readonly string[];
}

export interface WriteOptions {
  readonly ttlMs?: number;
  readonly tags?: readonly string[];
  /** Compare-and-set: only if the key has this revision. Fails with `position-conflict`. */
  readonly ifRevision?: Position;
  /** Only if the key does not exist. Fails with `position-conflict`. */
  readonly ifAbsent?: boolean;
  readonly signal?: AbortSignal;
  /** How long to try; default 10 s. */
  readonly deadlineMs?: number;
}

export type DeleteOptions = Pick<WriteOptions, 'ifRevision' | 'signal' | 'deadlineMs'>;
export type ClearOptions = Pick<WriteOptions, 'signal' | 'deadlineMs'>;

export interface LoadOptions {
  /** Life of a loaded value. Default: the cache's. What was put, not loaded, lives to its own expiry. */
  readonly ttlMs?: number;
  readonly tags?: readonly string[];
  /**
   * After `ttlMs`, a value is still given for so long while it is loaded anew in the background. Plain reads see a loaded
   * value until then, too: the cache keeps it that long.
   */
  readonly staleWhileRevalidateMs?: number;
  /** After `ttlMs`, a value is still given for so long when the loader fails. */
  readonly staleIfErrorMs?: number;
  /** Ends the waiting of this caller, not the load that others wait for. */
  readonly signal?: AbortSignal;
}

/** Gets a value from its source. Its signal fires when the cache is closed. */
export type Loader<Value> = (key: string, signal: AbortSignal) => Value | undefined | Promise<Value | undefined>;

export interface MemoizeOptions<Arguments extends readonly unknown[]> extends Omit<LoadOptions, 'signal'> {
  /**
   * The key of a call. Default: the JSON of its arguments; a call with an argument that JSON does not say exactly then fails
   * with `bad-request`. Functions that share a cache need keys that differ.
   */
  readonly key?: (...args: Arguments) => string;
}

export type CacheChange<Value> =
  /** `value` is undefined when it was void on arrival (expired, or invalidated already) or the codec refused it. */
  | {
      readonly type: 'put';
      readonly key: string;
      readonly value: Value | undefined;
      readonly position: Position;
      readonly partition: number;
    }
  | { readonly type: 'delete'; readonly key: string; readonly position: Position; readonly partition: number }
  | { readonly type: 'clear'; readonly position: Position; readonly partition: number }
  | { readonly type: 'tag'; readonly tag: string; readonly position: Position; readonly partition: number }
  /** What was told before is void: the log began anew, or dropped events before this process saw them. */
  | { readonly type: 'reset'; readonly reason: string; readonly position: Position; readonly partition: number };

export interface Lag {
  /** Messages in the log that are not applied yet. */
  readonly events: number;
  /** ms since the copy was last proven to hold everything; Infinity before the first proof. */
  readonly ms: number;
}

/**
 * One cache in this process. Reads are synchronous and from memory; writes resolve once the log has them, and are visible to
 * this process's reads from then on. Values that a read returns are shared with all other readers: do not change them.
 */
export interface CoherentCache<Value> {
  readonly name: string;
  /** The value, or undefined: absent, expired, invalidated, or evicted from this process's memory. */
  get(key: string): Value | undefined;
  entry(key: string): EntryView<Value> | undefined;
  has(key: string): boolean;
  /** Entries in memory; some of them may have expired and not been removed yet. */
  readonly size: number;
  keys(): IterableIterator<string>;
  entries(): IterableIterator<[key: string, value: Value]>;

  put(key: string, value: Value, options?: WriteOptions): Promise<Written>;
  /** Deletes the key; also resolves when it did not exist. */
  delete(key: string, options?: DeleteOptions): Promise<Written>;
  /** The value, loaded and stored if it is not there. One load per key at a time in this process. */
  getOrLoad(key: string, load: Loader<Value>, options?: LoadOptions): Promise<Value | undefined>;
  /** A function that remembers its results in this cache. */
  memoize<Arguments extends readonly unknown[]>(
    call: (...args: Arguments) => Value | undefined | Promise<Value | undefined>,
    options?: MemoizeOptions<Arguments>,
  ): (...args: Arguments) => Promise<Value | undefined>;
  /** Empties the cache everywhere. */
  clear(options?: ClearOptions): Promise<void>;
  /** Removes all entries that carry one of the tags, everywhere. */
  invalidateTags(tags: readonly string[], options?: ClearOptions): Promise<void>;

  /**
   * Changes in log order from this call on; to be ended by `return` (which `for await` calls) or the signal. Fails with
   * `slow-consumer` when more than 10,000 wait to be taken, and with `closed` when the cache is dropped.
   */
  changes(options?: { readonly signal?: AbortSignal }): AsyncIterableIterator<CacheChange<Value>>;
  /** Calls back for each change, synchronously; returns the way to stop. What it throws goes to `onNotice`. */
  onChange(listener: (change: CacheChange<Value>) => void): () => void;

  /** Resolves when this process has applied a write of any process. A plain position is one of a single partition. */
  reached(written: Written | Position, options?: WaitOptions): Promise<void>;
  /** The value as of now: asks the log's leader first. */
  latest(key: string, options?: WaitOptions): Promise<Value | undefined>;
  readonly lag: Lag;
  /** False while the copy is being replayed: what memory does not have may then be in the log all the same. */
  readonly isReady: boolean;
  /** Resolves when the replay that was under way at the opening is done. */
  ready(options?: WaitOptions): Promise<void>;
  readonly stats: CacheStats;
}

export interface CacheStats {
  readonly hits: number;
  readonly misses: number;
  readonly loads: number;
  readonly loadFailures: number;
  /** Loaded values that were not stored, because something newer or an invalidation came first. */
  readonly loadsFenced: number;
  /** Values that the codec refused to decode. */
  readonly undecodable: number;
  readonly entries: number;
  readonly bytes: number;
}
