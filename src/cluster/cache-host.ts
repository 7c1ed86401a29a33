/**
 * One cache in this process: the logs of all its partitions, and copies of those it holds. Holding more or fewer is decided
 * elsewhere; here copies are started, given their share of the limits, and stopped.
 */
import { pause } from '../base/clock.ts';
import { withGetters } from '../base/with-getters.ts';
import { SluiceError } from '../errors.ts';
import type { CacheDeclaration } from '../events/control.ts';
import type { Position } from '../events/record.ts';
import { bucketName, bucketSubjects } from '../events/subjects.ts';
import type { Log } from '../log/log.ts';
import { createPartitionView, type PartitionView } from '../replay/partition-view.ts';
import { createCache, type PartitionAccess } from '../service/cache.ts';
import type { CacheService, PartitionStats, RemoteReader } from '../service/cache-service.ts';
import type { StoreLimits } from '../store/entry-store.ts';
import type { Session } from './session.ts';

export interface ReadSettings {
  readonly onMiss: 'log' | 'none';
  readonly waitMs: number;
  readonly expiryToleranceMs: number;
  readonly tombstoneHorizonMs: number;
}

export interface CacheHostOptions {
  readonly session: Session;
  readonly name: string;
  readonly kind: 'declared' | 'adopted';
  readonly settings: CacheDeclaration;
  readonly declaredAt: Position;
  /** Index = partition. */
  readonly logs: readonly Log[];
  readonly read: ReadSettings;
  readonly remote?: RemoteReader;
  /** Limits of this process, where they differ from those of the declaration. */
  readonly limits?: MemoryLimits;
}

export interface MemoryLimits {
  readonly entriesMax?: number | undefined;
  readonly bytesMax?: number | undefined;
}

export interface CacheHost {
  readonly name: string;
  readonly kind: 'declared' | 'adopted';
  readonly settings: CacheDeclaration;
  readonly declaredAt: Position;
  readonly cache: CacheService;
  readonly partitions: readonly PartitionAccess[];
  /** Copies that exist, by partition. */
  readonly views: ReadonlyMap<number, PartitionView>;
  /** Starts and stops copies until exactly these are held. */
  hold(partitions: ReadonlySet<number>): void;
  /** Partitions that answer reads from memory. */
  readyPartitions(): number[];
  stats(): PartitionStats[];
  /** Takes over settings that may change while the cache exists. */
  change(settings: CacheDeclaration): void;
  /** The bucket that was adopted has been declared; its copies stay as they are. */
  declare(settings: CacheDeclaration, declaredAt: Position): void;
  rebuild(reason: string): void;
  stop(): Promise<void>;
}

interface Slot extends PartitionAccess {
  view: PartitionView | undefined;
}

/** How long a stop waits for the clean-up of clears and tag invalidations. */
const tidyingMs = 2_000;
/** A share that differs by less than this is not worth rebuilding the order of use. */
const shareTolerance = 0.1;

export function createCacheHost(options: CacheHostOptions): CacheHost {
  const { session, name, logs, read } = options;
  const { cluster, origin, clock, random, onNotice } = session.options;
  let { kind, settings, declaredAt } = options;
  let cache: CacheService;
  const views = new Map<number, PartitionView>();
  const stopping = new Set<Promise<void>>();
  const tidying = new Set<Promise<void>>();
  let shares = 0;

  const slots: Slot[] = logs.map((log, partition) => ({
    log,
    subjects: bucketSubjects(cluster, bucketName(name, partition, logs.length)),
    view: undefined,
  }));

  function makeCache(): CacheService {
    return createCache({
      name,
      settings,
      partitions: slots,
      clock,
      origin,
      remote: options.remote,
      onMiss: read.onMiss,
      waitMs: read.waitMs,
      tombstoneHorizonMs: read.tombstoneHorizonMs,
      inBackground(what, work) {
        const done = work.catch((error: unknown) => onNotice('warn', `${what}: ${String(error)}`));
        tidying.add(done);
        void done.then(() => tidying.delete(done));
      },
    });
  }

  function limitsFor(count: number): StoreLimits {
    return {
      entriesMax: Math.max(1, Math.ceil((options.limits?.entriesMax ?? settings.entriesMax) / count)),
      bytesMax: Math.max(64 * 1024, Math.ceil((options.limits?.bytesMax ?? settings.bytesMax) / count)),
      expiryToleranceMs: read.expiryToleranceMs,
    };
  }

  /** The cache's limits are those of a node; its copies share them equally. */
  function shareOut(force: boolean): void {
    const count = Math.max(1, views.size);
    if (!force && Math.abs(count - shares) <= shares * shareTolerance) return;
    shares = count;
    for (const view of views.values()) view.setLimits(limitsFor(count));
  }

  function startView(partition: number, slot: Slot, count: number): void {
    const view = createPartitionView({
      log: slot.log,
      subjects: slot.subjects,
      clock,
      random,
      store: limitsFor(count),
      follower: {
        ...session.options.follower,
        // A copy that was away longer than markers live cannot know what was deleted.
        horizonMs: Math.min(read.tombstoneHorizonMs, slot.log.markersMs ?? Number.POSITIVE_INFINITY),
      },
      onNotice: session.onFollowerNotice,
    });
    slot.view = view;
    views.set(partition, view);
    void view.start();
  }

  function stopView(partition: number, slot: Slot): void {
    const { view } = slot;
    slot.view = undefined;
    views.delete(partition);
    if (view === undefined) return;
    const done = view.stop().catch((error: unknown) => onNotice('warn', `${slot.log.name}: ${String(error)}`));
    stopping.add(done);
    void done.then(() => stopping.delete(done));
  }

  function change(next: CacheDeclaration): void {
    if (next.partitions !== settings.partitions) {
      throw new SluiceError(
        'settings-conflict',
        `${name}: partitions cannot change from ${settings.partitions} to ${next.partitions}`,
      );
    }
    settings = next;
    cache = makeCache();
    shareOut(true);
  }

  cache = makeCache();

  const getters = {
    kind: () => kind,
    declaredAt: () => declaredAt,
    settings: () => settings,
    cache: () => cache,
  };
  return withGetters<CacheHost, keyof typeof getters>(getters, {
    name,
    partitions: slots,
    views,
    change,
    hold(partitions) {
      for (const [partition, slot] of slots.entries()) {
        if (partitions.has(partition) && slot.view === undefined) startView(partition, slot, partitions.size);
        if (!partitions.has(partition) && slot.view !== undefined) stopView(partition, slot);
      }
      shareOut(false);
    },
    readyPartitions() {
      return [...views].filter(([, view]) => view.follower.isReady).map(([partition]) => partition);
    },
    stats() {
      return [...views]
        .sort(([a], [b]) => a - b)
        .map(([partition, { follower, store, subjects }]) => {
          const lagMs = follower.lagMs();
          return {
            partition,
            bucket: subjects.bucket,
            isReady: follower.isReady,
            applied: follower.applied,
            head: follower.head,
            lagEvents: follower.lagEvents,
            lagMs: Number.isFinite(lagMs) ? Math.round(lagMs) : null,
            entries: store.size,
            bytes: store.bytes,
          };
        });
    },
    declare(next, position) {
      change(next);
      kind = 'declared';
      declaredAt = position;
    },
    rebuild(reason) {
      for (const view of views.values()) view.follower.rebuild(reason);
    },
    async stop() {
      for (const [partition, slot] of slots.entries()) stopView(partition, slot);
      await Promise.all(stopping);
      // A process that clears and ends at once would leave void messages in the log, where other KV clients see them.
      if (tidying.size > 0 && session.link.isConnected)
        await Promise.race([Promise.all(tidying), pause(clock, tidyingMs)]);
    },
  });
}
