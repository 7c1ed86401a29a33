/**
 * Cache declarations, folded from `cache.…declared` and `cache.…dropped`.
 *
 * Some settings are built into the streams (how many, how large, what happens when full) and cannot change while the
 * cache exists; and no two caches may share a bucket. The decider refuses what breaks that. The reducer ignores it as
 * well: two declarations may race, and then the log's order decides, equally on every node. So a writer looks at the
 * state after its event was applied, not at the acknowledgement.
 */

import { SluiceError } from '../errors.ts';
import type { CacheDeclaration, ControlEvent, Recorded } from '../events/control.ts';
import type { Position } from '../events/record.ts';
import { bucketName, bucketNames } from '../events/subjects.ts';
import type { EventOf } from './reducer.ts';

/** Caches at most; a declaration beyond is ignored and counted. */
export const cachesMax = 1_024;

/** Settings that cannot change while the cache exists. */
export const fixedSettings = ['partitions', 'logReplicas', 'logBytesMax', 'whenFull'] as const;

export interface DeclaredCache {
  readonly settings: CacheDeclaration;
  readonly declaredAt: Position;
  /** Position of the last change of settings, or of the declaration. */
  readonly changedAt: Position;
  /** Who published the last change. */
  readonly by?: string;
}

export interface IgnoredCacheEvents {
  /** `declared` with the settings that are there already. */
  declaredAgain: number;
  /** `declared` that would change a fixed setting or share a bucket. */
  declaredInConflict: number;
  declaredBeyondLimit: number;
  droppedUnknown: number;
}

export interface CachesState {
  readonly caches: Map<string, DeclaredCache>;
  readonly ignored: IgnoredCacheEvents;
}

export function initCaches(): CachesState {
  return {
    caches: new Map(),
    ignored: { declaredAgain: 0, declaredInConflict: 0, declaredBeyondLimit: 0, droppedUnknown: 0 },
  };
}

type Declared = EventOf<ControlEvent, 'cache.declared'>;
type Dropped = EventOf<ControlEvent, 'cache.dropped'>;

export function applyCaches(state: CachesState, recorded: Recorded<ControlEvent>): void {
  const { event } = recorded;
  if (event.type === 'cache.declared') applyDeclared(state, event, recorded.position);
  else if (event.type === 'cache.dropped' && !state.caches.delete(event.cache)) state.ignored.droppedUnknown += 1;
}

function applyDeclared(state: CachesState, { cache, settings, by }: Declared, position: Position): void {
  const existing = state.caches.get(cache);
  if (existing !== undefined && areSettingsEqual(existing.settings, settings)) {
    state.ignored.declaredAgain += 1;
  } else if (findConflict(state, cache, settings) !== undefined) {
    state.ignored.declaredInConflict += 1;
  } else if (existing === undefined && state.caches.size >= cachesMax) {
    state.ignored.declaredBeyondLimit += 1;
  } else {
    const declaredAt = existing?.declaredAt ?? position;
    state.caches.set(cache, { settings, declaredAt, changedAt: position, ...(by === undefined ? {} : { by }) });
  }
}

/** True when both mean the same cache, whatever the order of their fields. */
export function areSettingsEqual(one: CacheDeclaration, other: CacheDeclaration): boolean {
  return (Object.keys({ ...one, ...other }) as (keyof CacheDeclaration)[]).every((name) => one[name] === other[name]);
}

/** A setting that would have to change and cannot; `bucket` when it is the name that is taken. */
export interface Conflict {
  readonly field: string;
  readonly existing: string | number | null;
  readonly wanted: string | number | null;
}

/** Why these settings cannot be declared beside what exists, or undefined. */
function findConflict(state: CachesState, name: string, settings: CacheDeclaration): Conflict | undefined {
  const existing = state.caches.get(name)?.settings;
  if (existing === undefined) {
    const bucket = findSharedBucket(state, name, settings.partitions);
    return bucket === undefined ? undefined : { field: 'bucket', existing: bucket.owner, wanted: bucket.name };
  }
  const field = fixedSettings.find((candidate) => existing[candidate] !== settings[candidate]);
  return field === undefined ? undefined : { field, existing: existing[field], wanted: settings[field] };
}

/**
 * A bucket that the cache would share with another one. Two caches of several partitions cannot share any: the text
 * before the last dash is the cache's name. So one of the two has a single partition and is named like a bucket.
 */
function findSharedBucket(
  state: CachesState,
  name: string,
  partitionCount: number,
): { name: string; owner: string } | undefined {
  if (partitionCount > 1) {
    const shared = bucketNames(name, partitionCount).find((bucket) => isSingle(state.caches.get(bucket)));
    return shared === undefined ? undefined : { name: shared, owner: shared };
  }
  const [, owner = '', digits = ''] = /^(.+)-(\d{2,4})$/.exec(name) ?? [];
  const count = state.caches.get(owner)?.settings.partitions ?? 1;
  const partition = Number(digits);
  return count > 1 && partition < count && bucketName(owner, partition, count) === name ? { name, owner } : undefined;
}

const isSingle = (cache: DeclaredCache | undefined): boolean => cache?.settings.partitions === 1;

export interface Declare {
  readonly name: string;
  readonly settings: CacheDeclaration;
  readonly by?: string;
  /** Buckets that the cluster keeps for itself. */
  readonly reservedBuckets?: readonly string[];
}

/**
 * The event that declares a cache or changes its settings; none when they are in force already.
 * Throws `settings-conflict` (details: cache, field, existing, wanted), `bad-request` for a reserved name,
 * `rate-limited` at the limit of caches.
 */
export function decideDeclare(state: CachesState, { name, settings, by, reservedBuckets = [] }: Declare): Declared[] {
  const existing = state.caches.get(name);
  if (existing !== undefined && areSettingsEqual(existing.settings, settings)) return [];
  const reserved = bucketNames(name, settings.partitions).find((bucket) => reservedBuckets.includes(bucket));
  if (reserved !== undefined) {
    throw new SluiceError('bad-request', `cache: the bucket ${reserved} is reserved for the cluster itself`, {
      details: { cache: name, bucket: reserved },
    });
  }
  const conflict = findConflict(state, name, settings);
  if (conflict !== undefined) throw settingsConflict(name, conflict);
  if (existing === undefined && state.caches.size >= cachesMax) {
    throw new SluiceError('rate-limited', `cache: ${cachesMax} caches are declared, the limit`, {
      details: { cache: name, limit: cachesMax },
    });
  }
  return [{ type: 'cache.declared', cache: name, settings, ...(by === undefined ? {} : { by }) }];
}

export function settingsConflict(cache: string, { field, existing, wanted }: Conflict): SluiceError {
  const message =
    field === 'bucket'
      ? `cache: the bucket ${wanted} of ${cache} belongs to the cache ${existing}`
      : `${field}: is ${existing} in the existing cache ${cache} and cannot become ${wanted}`;
  return new SluiceError('settings-conflict', message, { details: { cache, field, existing, wanted } });
}

/** The event that drops a cache; none when no cache of that name is declared. */
export function decideDrop(state: CachesState, { name, by }: { name: string; by?: string }): Dropped[] {
  return state.caches.has(name) ? [{ type: 'cache.dropped', cache: name, ...(by === undefined ? {} : { by }) }] : [];
}
