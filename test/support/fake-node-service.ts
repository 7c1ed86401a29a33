/**
 * A NodeService without NATS: real caches over logs in memory, so that the doors are tested against the true semantics of
 * reading, writing and watching. Membership is a list of names.
 */
import type { Clock } from '../../src/base/clock.ts';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { builtInCacheSettings, parseCacheSettings, validateCacheName } from '../../src/config/cache-settings.ts';
import { SluiceError } from '../../src/errors.ts';
import type { CacheDeclaration } from '../../src/events/control.ts';
import { bucketNames, bucketSubjects } from '../../src/events/subjects.ts';
import { createMemoryLog, type MemoryLog } from '../../src/log/memory-log.ts';
import { partitionOf } from '../../src/placement/partition.ts';
import { createPartitionView, type PartitionView } from '../../src/replay/partition-view.ts';
import { createCache } from '../../src/service/cache.ts';
import type { CacheService } from '../../src/service/cache-service.ts';
import type { MemberDescription, NodeService, Readiness } from '../../src/service/node-service.ts';
import { watchCache } from '../../src/service/watch.ts';

export interface FakeCache {
  readonly service: CacheService;
  /** Index = partition. */
  readonly logs: readonly MemoryLog[];
  readonly views: readonly PartitionView[];
}

export interface FakeNode extends NodeService {
  readonly caches: ReadonlyMap<string, FakeCache>;
  /** The cache of a name that the test has declared. */
  cache(name: string): FakeCache;
  /** What `readiness` answers. */
  ready: Readiness;
  /** Nodes that `waitEverywhere` never hears of. */
  readonly absent: string[];
  readonly evicted: string[];
  /** While set, each call fails with it. */
  failure: unknown;
  openWatches: number;
  stop(): Promise<void>;
}

export interface FakeNodeOptions {
  readonly clock?: Clock;
  /** Settings of a log, for instance a limit. */
  readonly log?: { readonly messagesMax?: number; readonly whenFull?: 'drop-oldest' | 'refuse' };
  readonly backlogMax?: number;
}

const nodes = ['node-1', 'node-2'];
const waitMs = 2_000;

export function createFakeNode(options: FakeNodeOptions = {}): FakeNode {
  const clock = options.clock ?? systemClock;
  const caches = new Map<string, FakeCache>();

  async function declare(name: string, settings: CacheDeclaration): Promise<void> {
    const partitions = bucketNames(name, settings.partitions).map((bucket) => {
      const log = createMemoryLog({ name: bucket, clock, ...options.log });
      const subjects = bucketSubjects('sluice', bucket);
      const store = { entriesMax: settings.entriesMax, bytesMax: settings.bytesMax };
      return { log, subjects, view: createPartitionView({ log, subjects, clock, random: systemRandom, store }) };
    });
    for (const { view } of partitions) {
      await view.start();
      await view.follower.ready();
    }
    const service = createCache({
      name,
      settings,
      partitions,
      clock,
      origin: 'node-1',
      onMiss: 'log',
      waitMs,
      tombstoneHorizonMs: 3_600_000,
    });
    caches.set(name, {
      service,
      logs: partitions.map(({ log }) => log),
      views: partitions.map(({ view }) => view),
    });
  }

  async function drop(name: string): Promise<boolean> {
    const cache = caches.get(name);
    if (cache === undefined) return false;
    caches.delete(name);
    await Promise.all(cache.views.map((view) => view.stop()));
    return true;
  }

  function find(name: string): FakeCache {
    const cache = caches.get(name);
    if (cache === undefined) throw new SluiceError('cache-unknown', `cache ${JSON.stringify(name)}: not declared`);
    return cache;
  }

  function requireMember(name: string): void {
    if (!nodes.includes(name)) throw new SluiceError('node-unknown', `node ${JSON.stringify(name)}: no such member`);
  }

  function check(): void {
    if (node.failure !== undefined) throw node.failure;
  }

  const node: FakeNode = {
    node: 'node-1',
    cluster: 'sluice',
    version: '9.9.9',
    caches,
    cache: find,
    ready: { isReady: true, state: 'ready', reasons: [] },
    absent: [],
    evicted: [],
    failure: undefined,
    openWatches: 0,
    cacheNames: () => [...caches.keys()].sort(),
    async openCache(name) {
      check();
      return find(name).service;
    },
    hit(name, key) {
      const cache = caches.get(name);
      if (cache === undefined || node.failure !== undefined) return undefined;
      const view = cache.views[partitionOf(key, cache.views.length)];
      const entry = view?.follower.isReady ? view.read(key) : undefined;
      if (view === undefined || entry === undefined) return undefined;
      return { entry, position: Math.max(view.follower.applied, entry.revision) };
    },
    async describeCache(name) {
      const { service, views } = find(name);
      const entries = views.reduce((sum, view) => sum + view.store.size, 0);
      const bytes = views.reduce((sum, view) => sum + view.store.bytes, 0);
      const counters = { ...countersOf(views[0]), rebuilds: 0 };
      const partitions = views.map((view, partition) => ({
        partition,
        bucket: view.subjects.bucket,
        isReady: view.follower.isReady,
        applied: view.follower.applied,
        head: view.follower.head,
        lagEvents: view.follower.lagEvents,
        lagMs: view.follower.lagMs(),
        entries: view.store.size,
        bytes: view.store.bytes,
      }));
      return {
        name,
        kind: 'declared',
        settings: service.settings,
        declaredAt: 1,
        entries,
        bytes,
        lagEvents: 0,
        lagMs: 0,
        isReady: true,
        counters,
        partitions,
        owners: views.map(() => nodes),
        firstProblem: undefined,
      };
    },
    async declareCache(name, input) {
      check();
      const settings = parseCacheSettings(input, builtInCacheSettings);
      const existing = caches.get(validateCacheName(name));
      if (existing === undefined) {
        await declare(name, settings);
        return { outcome: 'created', settings };
      }
      if (existing.service.settings.partitions !== settings.partitions) {
        throw new SluiceError('settings-conflict', 'partitions: cannot change', { details: { field: 'partitions' } });
      }
      return { outcome: 'unchanged', settings };
    },
    dropCache: drop,
    async watchCache(name, request) {
      const { views, logs } = find(name);
      const partitions = views.map((view, index) => ({ subjects: view.subjects, log: logs[index] ?? view.log, view }));
      const watch = await watchCache({
        partitions,
        clock,
        random: systemRandom,
        backlogMax: options.backlogMax ?? 100_000,
        ...request,
      });
      node.openWatches += 1;
      return {
        get positions() {
          return watch.positions;
        },
        async stop() {
          node.openWatches -= 1;
          await watch.stop();
        },
      };
    },
    async waitEverywhere(name, positions, wait) {
      for (const [partition, position] of positions) {
        await find(name).views[partition]?.follower.reached(position, { waitMs: wait.waitMs ?? waitMs });
      }
      if (node.absent.length > 0) {
        throw new SluiceError('stale', `not applied by ${node.absent.join(', ')}`, {
          details: { missing: node.absent },
        });
      }
      return nodes;
    },
    members: () =>
      nodes.map(
        (name, index): MemberDescription => ({
          node: name,
          incarnation: `i${index}`,
          state: 'ready',
          http: `127.0.0.1:${7401 + index}`,
          region: undefined,
          pid: 100 + index,
          version: '9.9.9',
          joinedAt: index + 1,
          joinedAtMs: 1_000,
          leftReason: undefined,
          leftBy: undefined,
          epoch: 2,
          lagMs: 0,
          partitions: {},
        }),
      ),
    epoch: () => 2,
    readiness: () => node.ready,
    async evictNode(name) {
      requireMember(name);
      node.evicted.push(name);
    },
    async rebuildNode(name, cache) {
      requireMember(name);
      return cache === undefined ? node.cacheNames() : [find(cache).service.name];
    },
    metrics: async () => '# TYPE sluice_up gauge\nsluice_up 1\n',
    async stop() {
      for (const name of [...caches.keys()]) await drop(name);
    },
  };
  return node;
}

function countersOf(view: PartitionView | undefined) {
  const none = {
    hits: 0,
    misses: 0,
    evictedByEntries: 0,
    evictedByBytes: 0,
    expirations: 0,
    invalidations: 0,
    floored: 0,
  };
  const unread = { puts: 0, deletes: 0, clears: 0, tagInvalidations: 0, foreign: 0, unreadable: 0, logLoads: 0 };
  return { ...none, ...unread, ...view?.store.counters, ...view?.counters };
}
