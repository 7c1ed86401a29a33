/**
 * The node as a process runs it: a list of parts, started in order and stopped in reverse.
 *
 *   folder → session → registry, members, peers → HTTP door → join → ready
 *
 * On the way out the door closes first, `left` is published, and this node goes on answering other nodes until the new owners
 * of its partitions are ready or the drain time is over.
 */
import { resolve } from 'node:path';
import type { Logger } from 'pino';
import { createHttpDoor, type HttpDoor } from '../api/http/server.ts';
import { type Clock, pause } from '../base/clock.ts';
import { createPartList, type Lifecycle, type Part } from '../base/lifecycle.ts';
import type { Random } from '../base/random.ts';
import { type FolderLock, lockFolder } from '../broker/server/folder-lock.ts';
import { type CacheRegistry, createCacheRegistry } from '../cluster/cache-registry.ts';
import { createSession, type Session } from '../cluster/session.ts';
import { sessionOptions } from '../cluster/session-options.ts';
import type { Settings } from '../config/schema.ts';
import { SluiceError } from '../errors.ts';
import { loadCredentials } from '../nats/credentials.ts';
import { createMessenger } from '../nats/messenger.ts';
import type { NodeService } from '../service/node-service.ts';
import { aliveCount } from '../state/members.ts';
import { createLocalNode } from './local-node.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { loadNodeId } from './node-id.ts';
import { createMembership, type Membership } from './peers/membership.ts';
import { createPeerService } from './peers/peer-service.ts';
import { createPeers, type Peers } from './peers/peers.ts';

export interface DaemonOptions {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly version: string;
  /** Something happened after which this process must stop; called once. */
  readonly onFatal: (error: SluiceError) => void;
}

export interface Daemon extends Lifecycle {
  readonly node: string;
  /** Base address of the HTTP door, once started. */
  readonly address: string;
  readonly service: NodeService;
}

const readyPollMs = 20;
const baseAddress = (hostAndPort: string): string => `http://${hostAndPort}`;

export async function createDaemon(options: DaemonOptions): Promise<Daemon> {
  const { settings, clock, random, logger, version } = options;
  const folder = resolve(settings.node.dataFolder);
  const lock: FolderLock = await lockFolder(folder, { clock, random, childMark: 'nats-server', stopLimitMs: 5_000 });
  let node: string;
  let session: Session;
  try {
    node = loadNodeId(folder, settings.node.id, random);
    session = await createSession(
      sessionOptions(settings, loadCredentials(settings.nats, clock.now()), node, { clock, random, logger }),
    );
  } catch (error) {
    lock.release();
    throw error;
  }

  const { cluster } = settings;
  const messenger = createMessenger(session.link, cluster, (what) => logger.warn(what));
  const read = {
    onMiss: settings.read.onMiss,
    waitMs: settings.read.waitMaxMs,
    expiryToleranceMs: settings.read.expiryToleranceMs,
    tombstoneHorizonMs: settings.log.tombstoneHorizonMs,
  };
  const defaults = settings.cacheDefaults;

  const registry: CacheRegistry = createCacheRegistry({
    session,
    hold: { as: node },
    defaults,
    read,
    remote: (cache) => peers.reader(cache),
    isServedBy: (owner, cache, partition) => owner === node || peers.candidates(cache, partition).includes(owner),
    cachesMax: settings.limits.caches,
  });
  const membership: Membership = createMembership({
    session,
    messenger,
    node,
    region: settings.node.region ?? undefined,
    version,
    pid: process.pid,
    pulseMs: settings.membership.pulseMs,
    suspectAfterMs: settings.membership.suspectAfterMs,
    evictAfterMs: settings.membership.evictAfterMs,
    report: () => ({ ready: registry.ready(), lagMs: reportedLagMs() }),
    onTick: () => registry.reconcile(),
    onReplaced: (reason) => options.onFatal(new SluiceError('in-use', reason)),
  });
  const peers: Peers = createPeers({
    session,
    messenger,
    membership,
    waitMaxMs: settings.read.waitMaxMs,
    owners: (cache, partition) => registry.owners(cache)[partition] ?? [],
  });
  const metrics: Metrics = createMetrics({
    session,
    node,
    hosts: () => registry.hosts.values(),
    isReady: () => service.readiness().isReady,
    memberCount: () => aliveCount(session.control.state.members),
    epoch: () => membership.epoch,
  });
  const service = createLocalNode({
    session,
    registry,
    membership,
    peers,
    metrics,
    node,
    version,
    defaults,
    waitMs: settings.read.waitMaxMs,
    watchBacklogMax: settings.watch.buffered,
  });
  const door: HttpDoor = createHttpDoor({ service, settings, clock, log: logger });

  function reportedLagMs(): number | undefined {
    let lagMs = 0;
    for (const host of registry.hosts.values())
      for (const view of host.views.values()) lagMs = Math.max(lagMs, view.follower.lagMs());
    return Number.isFinite(lagMs) ? Math.round(lagMs) : undefined;
  }

  /** Ready for the first time: everything declared is open and replayed. Problems are in `readiness`, not thrown. */
  async function becomeReady(): Promise<void> {
    const startedMs = clock.monotonic();
    while (membership.state === 'starting') {
      registry.reconcile();
      if (registry.unready().length === 0) {
        membership.state = 'ready';
        const views = [...registry.hosts.values()].flatMap((host) => [...host.views.values()]);
        const events = views.reduce((sum, view) => sum + view.follower.counters.replayRecords, 0);
        const replayMs = Math.round(clock.monotonic() - startedMs);
        logger.info(
          { caches: registry.hosts.size, events, replayMs },
          `ready: ${registry.hosts.size} caches, ${events} events replayed in ${replayMs} ms`,
        );
        return;
      }
      await pause(clock, readyPollMs);
    }
  }

  /** Answers other nodes until the partitions have new owners. */
  async function handOver(): Promise<void> {
    const untilMs = clock.monotonic() + settings.http.drainTimeoutMs;
    while (clock.monotonic() < untilMs && registry.hosts.size > 0 && aliveCount(session.control.state.members) > 0) {
      registry.reconcile();
      const rest = [...registry.hosts.values()].filter(
        (host) => host.settings.replicas !== 'all' && host.views.size > 0,
      );
      if (rest.length === 0) return;
      await pause(clock, settings.membership.pulseMs);
    }
  }

  let isEnding = false;
  let stopServing: (() => void) | undefined;
  const parts: readonly Part[] = [
    { name: 'folder', start: async () => undefined, stop: async () => lock.release() },
    {
      name: 'session',
      start: async () => undefined,
      stop() {
        isEnding = true;
        return session.stop();
      },
    },
    {
      name: 'caches',
      start: async () => registry.reconcile(),
      async stop() {
        metrics.stop();
        await registry.stop();
      },
    },
    {
      name: 'peers',
      async start() {
        stopServing = messenger.serve(
          node,
          createPeerService({ node, registry, membership, waitMaxMs: settings.read.waitMaxMs }),
        );
      },
      stop: async () => stopServing?.(),
    },
    {
      name: 'http',
      start: () => door.start(),
      stop: () => door.stop(),
    },
    {
      name: 'membership',
      async start() {
        membership.http = baseAddress(settings.node.advertise ?? door.address);
        await membership.join();
        void becomeReady();
      },
      async stop() {
        const drained = door.drain();
        await membership
          .leave('shutdown')
          .catch((error: unknown) => logger.warn({ err: error }, 'could not publish the departure'));
        await Promise.all([drained, handOver()]);
        membership.stop();
      },
    },
  ];
  const list = createPartList(parts, (part, error) => logger.error({ err: error, part }, `stopping ${part} failed`));

  session.link.listen({
    closed: (reason) => {
      if (!isEnding)
        options.onFatal(new SluiceError('log-unavailable', `the connection to NATS was closed: ${reason}`));
    },
  });

  return {
    node,
    service,
    get address() {
      return baseAddress(door.address);
    },
    start: () => list.start(),
    stop: () => list.stop(),
  };
}
