/**
 * The node without its doors: caches, members and other nodes, wired together over one session. The daemon puts a folder, an
 * HTTP door and a logger around it.
 *
 *   registry → peers → join → ready
 */
import { pause } from '../base/clock.ts';
import type { Part } from '../base/lifecycle.ts';
import type { ReadSettings } from '../cluster/cache-host.ts';
import { type CacheRegistry, createCacheRegistry } from '../cluster/cache-registry.ts';
import type { Session } from '../cluster/session.ts';
import type { CacheDeclaration } from '../events/control.ts';
import { createMessenger } from '../nats/messenger.ts';
import type { NodeService } from '../service/node-service.ts';
import { aliveCount } from '../state/members.ts';
import { createLocalNode } from './local-node.ts';
import type { Metrics, MetricsOptions } from './metrics.ts';
import { createMembership, type Membership } from './peers/membership.ts';
import { createPeerService } from './peers/peer-service.ts';
import { createPeers, type Peers } from './peers/peers.ts';

export interface ClusterNodeOptions {
  readonly session: Session;
  readonly node: string;
  readonly version: string;
  readonly region: string | undefined;
  readonly pid: number;
  readonly defaults: CacheDeclaration;
  readonly read: ReadSettings;
  readonly cachesMax: number;
  readonly watchBacklogMax: number;
  readonly membership: {
    readonly pulseMs: number;
    readonly suspectAfterMs: number;
    readonly evictAfterMs: number;
  };
  /** How long a leaving node goes on answering for partitions that have no new owner yet. */
  readonly drainMs: number;
  readonly createMetrics: (options: MetricsOptions) => Metrics;
  /** Another process has taken over this node's id; this one must stop. */
  readonly onReplaced: (reason: string) => void;
}

export interface ClusterNode {
  readonly service: NodeService;
  readonly registry: CacheRegistry;
  readonly membership: Membership;
  /** To be started in order and stopped in reverse; what serves clients goes between `peers` and `membership`. */
  readonly parts: { readonly caches: Part; readonly peers: Part; readonly membership: Part };
}

const readyPollMs = 20;

export function createClusterNode(options: ClusterNodeOptions): ClusterNode {
  const { session, node, version, read } = options;
  const { clock, cluster, onNotice } = session.options;
  const messenger = createMessenger(session.link, cluster, (what) => onNotice('warn', what));

  const registry: CacheRegistry = createCacheRegistry({
    session,
    hold: { as: node },
    defaults: options.defaults,
    read,
    remote: (cache) => peers.reader(cache),
    isServedBy: (owner, cache, partition) => owner === node || peers.candidates(cache, partition).includes(owner),
    cachesMax: options.cachesMax,
  });
  let unreadableRequests = 0;
  const membership: Membership = createMembership({
    session,
    messenger,
    node,
    region: options.region,
    version,
    pid: options.pid,
    ...options.membership,
    report: () => ({ ready: registry.ready(), lagMs: reportedLagMs() }),
    onTick: () => registry.reconcile(),
    onReplaced: options.onReplaced,
  });
  const peers: Peers = createPeers({
    session,
    messenger,
    membership,
    waitMaxMs: read.waitMs,
    owners: (cache, partition) => registry.owners(cache)[partition] ?? [],
  });
  const metrics: Metrics = options.createMetrics({
    session,
    node,
    hosts: () => registry.hosts.values(),
    isReady: () => service.readiness().isReady,
    memberCount: () => aliveCount(session.control.state.members),
    epoch: () => membership.epoch,
    unreadablePulses: () => membership.unreadablePulses,
    unreadableRequests: () => unreadableRequests,
  });
  const service = createLocalNode({
    session,
    registry,
    membership,
    peers,
    metrics,
    node,
    version,
    defaults: options.defaults,
    waitMs: read.waitMs,
    watchBacklogMax: options.watchBacklogMax,
  });

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
        onNotice('info', `ready: ${registry.hosts.size} caches, ${events} events replayed in ${replayMs} ms`, {
          caches: registry.hosts.size,
          events,
          replayMs,
        });
        return;
      }
      await pause(clock, readyPollMs);
    }
  }

  /** Answers other nodes until the partitions have new owners. */
  async function handOver(): Promise<void> {
    const untilMs = clock.monotonic() + options.drainMs;
    while (clock.monotonic() < untilMs && registry.hosts.size > 0 && aliveCount(session.control.state.members) > 0) {
      registry.reconcile();
      const rest = [...registry.hosts.values()].filter(
        (host) => host.settings.replicas !== 'all' && host.views.size > 0,
      );
      if (rest.length === 0) return;
      await pause(clock, options.membership.pulseMs);
    }
  }

  let stopServing: (() => void) | undefined;
  return {
    service,
    registry,
    membership,
    parts: {
      caches: {
        name: 'caches',
        start: async () => registry.reconcile(),
        async stop() {
          metrics.stop();
          await registry.stop();
        },
      },
      peers: {
        name: 'peers',
        async start() {
          stopServing = messenger.serve(
            node,
            createPeerService({
              node,
              registry,
              membership,
              waitMaxMs: read.waitMs,
              answerBytesMax: () => messenger.bodyBytesMax,
              onUnreadable() {
                unreadableRequests += 1;
              },
            }),
          );
        },
        stop: async () => stopServing?.(),
      },
      membership: {
        name: 'membership',
        async start() {
          await membership.join();
          void becomeReady();
        },
        async stop() {
          await membership
            .leave('shutdown')
            .catch((error: unknown) => onNotice('warn', `could not publish the departure: ${String(error)}`));
          await handOver();
          membership.stop();
        },
      },
    },
  };
}
