/**
 * The one interface of a cache, whatever the door: in process, HTTP, node to node. A miss is `undefined`, not an error;
 * a value is bytes; every waiting call takes a signal.
 */
import type { CacheDeclaration } from '../events/control.ts';
import type { Position } from '../events/record.ts';
import type { Change, PartitionView } from '../replay/partition-view.ts';

export interface ReadOptions {
  /** `latest` asks the log's leader first. Default: `local`. */
  readonly consistency?: 'local' | 'latest' | undefined;
  /** The answer is never older than this position of the key's partition. */
  readonly minPosition?: Position | undefined;
  /** The answer may be at most so old. */
  readonly maxStalenessMs?: number | undefined;
  /** How long to wait for any of these. Default: the service's own bound. */
  readonly waitMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Found {
  readonly value: Uint8Array;
  readonly revision: Position;
  readonly atMs: number;
  readonly expiresAtMs: number;
  readonly tags: readonly string[] | undefined;
  readonly contentType: string | undefined;
}

/** An answer is at least as new as `position` of the key's partition. */
export interface ReadResult {
  readonly found: Found | undefined;
  readonly position: Position;
}

export interface WriteOptions {
  /** Compare-and-set: the key must have this revision. */
  readonly ifRevision?: Position | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly deadlineMs?: number | undefined;
}

export interface PutOptions extends WriteOptions {
  readonly ttlMs?: number | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly contentType?: string | undefined;
  /** The key must not exist. */
  readonly ifAbsent?: boolean | undefined;
}

export interface Written {
  /** Revision of the entry, or position of the tombstone. */
  readonly revision: Position;
  readonly partition: number;
}

export interface ListOptions {
  readonly prefix?: string | undefined;
  readonly after?: string | undefined;
  readonly limit: number;
}

export interface ListedKey {
  readonly key: string;
  readonly revision: Position;
  readonly bytes: number;
}

export interface KeyPage {
  /** In order of their UTF-16 code units. */
  readonly keys: readonly ListedKey[];
  /** Pass as `after` for the next page; undefined: this was the last. */
  readonly next: string | undefined;
  /** False when memory limits have removed entries that the log still holds. */
  readonly isComplete: boolean;
}

/** Positions by partition; what must be reached for the change to be visible everywhere. */
export type PartitionPositions = ReadonlyMap<number, Position>;

export interface CacheService {
  readonly name: string;
  readonly settings: CacheDeclaration;
  get(key: string, options?: ReadOptions): Promise<ReadResult>;
  put(key: string, value: Uint8Array, options?: PutOptions): Promise<Written>;
  delete(key: string, options?: WriteOptions): Promise<Written>;
  clear(options?: WriteOptions): Promise<PartitionPositions>;
  invalidateTags(tags: readonly string[], options?: WriteOptions): Promise<PartitionPositions>;
  list(options: ListOptions): Promise<KeyPage>;
}

/** What a copy knows of itself. */
export interface PartitionStats {
  readonly partition: number;
  readonly bucket: string;
  readonly isReady: boolean;
  readonly applied: Position;
  readonly head: Position;
  readonly lagEvents: number;
  /** null before the first proof. */
  readonly lagMs: number | null;
  readonly entries: number;
  readonly bytes: number;
}

/** Reads of partitions that this process does not hold. */
export interface RemoteReader {
  get(partition: number, key: string, options: ReadOptions): Promise<ReadResult | undefined>;
  list(partition: number, options: ListOptions): Promise<KeyPage | undefined>;
}

export type { Change, PartitionView };
