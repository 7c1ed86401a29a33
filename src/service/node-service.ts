/**
 * What a node can do for its doors (HTTP now, gRPC and JSON-RPC later): caches, members, watching, operating. The doors
 * translate; every rule is behind this interface.
 */
import type { CacheDeclaration } from '../events/control.ts';
import type { Position } from '../events/record.ts';
import type { CacheService, Found, PartitionPositions, PartitionStats, ReadOptions } from './cache-service.ts';
import type { Watch, WatchEvent } from './watch.ts';

export interface CacheCounters {
  readonly hits: number;
  readonly misses: number;
  readonly puts: number;
  readonly deletes: number;
  readonly clears: number;
  readonly tagInvalidations: number;
  readonly evictedByEntries: number;
  readonly evictedByBytes: number;
  readonly expirations: number;
  readonly invalidations: number;
  readonly floored: number;
  readonly foreign: number;
  readonly unreadable: number;
  readonly logLoads: number;
  readonly rebuilds: number;
}

export interface CacheDescription {
  readonly name: string;
  /** `declared` by an event, or `adopted`: a bucket made by others that this node opened as it is. */
  readonly kind: 'declared' | 'adopted';
  readonly settings: CacheDeclaration;
  /** Position of the declaration; 0 when adopted. */
  readonly declaredAt: Position;
  /** Of this node's copies. */
  readonly entries: number;
  readonly bytes: number;
  readonly lagEvents: number;
  /** The largest of the copies; null before the first proof. */
  readonly lagMs: number | null;
  readonly isReady: boolean;
  readonly counters: CacheCounters;
  /** The partitions that this node holds. */
  readonly partitions: readonly PartitionStats[];
  /** Index = partition: node ids, the primary first. */
  readonly owners: readonly (readonly string[])[];
  /** The first message that could not be understood, if any. */
  readonly firstProblem: string | undefined;
}

export interface MemberDescription {
  readonly node: string;
  readonly incarnation: string;
  readonly state: 'starting' | 'ready' | 'leaving' | 'suspect' | 'left';
  readonly http: string | undefined;
  readonly region: string | undefined;
  readonly pid: number | undefined;
  readonly version: string;
  readonly joinedAt: Position;
  readonly joinedAtMs: number;
  readonly leftReason: string | undefined;
  readonly leftBy: string | undefined;
  /** The membership epoch that the node knows. */
  readonly epoch: Position | undefined;
  readonly lagMs: number | undefined;
  /** By cache: the partitions that it serves, as ranges such as `0-3,7`. */
  readonly partitions: Readonly<Record<string, string>>;
}

export interface Readiness {
  readonly isReady: boolean;
  readonly state: 'starting' | 'ready' | 'leaving';
  /** Why it is not ready; empty when it is. */
  readonly reasons: readonly string[];
}

export interface Declared {
  readonly outcome: 'created' | 'changed' | 'unchanged';
  readonly settings: CacheDeclaration;
}

export interface WatchRequest {
  /** Index = partition. Undefined: from now. */
  readonly from?: readonly Position[] | undefined;
  readonly onEvent: (event: WatchEvent, partition: number) => void;
}

export interface NodeService {
  readonly node: string;
  readonly cluster: string;
  readonly version: string;
  /** Names of declared caches and of adopted buckets, sorted. */
  cacheNames(): readonly string[];
  /** Opens a declared cache, or a bucket made by others. Throws `cache-unknown`. */
  openCache(name: string): Promise<CacheService>;
  describeCache(name: string): Promise<CacheDescription>;
  /** The same answer as a plain `get` where it needs no waiting, or undefined: then ask `openCache`. Synchronous. */
  hit?(cache: string, key: string): { readonly entry: Found; readonly position: Position } | undefined;
  /** `input` is the JSON body as it came; throws `bad-request` with all its problems, or `settings-conflict`. */
  declareCache(name: string, input: unknown): Promise<Declared>;
  /** False when there was none. */
  dropCache(name: string): Promise<boolean>;
  watchCache(name: string, request: WatchRequest): Promise<Watch>;
  /** Resolves with the live nodes once each has applied the positions; throws `stale` naming those that have not. */
  waitEverywhere(
    name: string,
    positions: PartitionPositions,
    options: Pick<ReadOptions, 'waitMs' | 'signal'>,
  ): Promise<readonly string[]>;
  members(): readonly MemberDescription[];
  epoch(): Position;
  readiness(): Readiness;
  /** Publishes `left` for a node. Throws `node-unknown`. */
  evictNode(node: string): Promise<void>;
  /** Makes a node drop and replay one cache, or all. Throws `node-unknown`. */
  rebuildNode(node: string, cache?: string): Promise<readonly string[]>;
  /** Prometheus text format. */
  metrics(): Promise<string>;
}
