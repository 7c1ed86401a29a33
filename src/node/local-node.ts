/**
 * The node's service: what the doors call, in terms of registry, members and peers.
 */

import type { CacheHost } from '../cluster/cache-host.ts';
import type { CacheRegistry } from '../cluster/cache-registry.ts';
import type { Session } from '../cluster/session.ts';
import { parseCacheSettings, validateCacheName } from '../config/cache-settings.ts';
import { isSluiceError, SluiceError } from '../errors.ts';
import type { CacheDeclaration } from '../events/control.ts';
import { partitionOf } from '../placement/partition.ts';
import type {
  CacheCounters,
  CacheDescription,
  MemberDescription,
  NodeService,
  Readiness,
} from '../service/node-service.ts';
import { watchCache } from '../service/watch.ts';
import { aliveMembers } from '../state/members.ts';
import type { Metrics } from './metrics.ts';
import type { Membership } from './peers/membership.ts';
import type { Peers } from './peers/peers.ts';

export interface LocalNodeOptions {
  readonly session: Session;
  readonly registry: CacheRegistry;
  readonly membership: Membership;
  readonly peers: Peers;
  readonly metrics: Metrics;
  readonly node: string;
  readonly version: string;
  readonly defaults: CacheDeclaration;
  readonly waitMs: number;
  readonly watchBacklogMax: number;
}

const retryMs = 100;
const answerMs = 1_000;

export function createLocalNode(options: LocalNodeOptions): NodeService {
  const { session, registry, membership, peers, node } = options;
  const { clock, random } = session.options;

  function readiness(): Readiness {
    const reasons: string[] = [];
    if (membership.state === 'leaving') reasons.push('leaving');
    if (!session.link.isConnected) reasons.push('not connected to NATS');
    if (!session.control.follower.isReady) reasons.push('replaying the control log');
    reasons.push(...registry.unready());
    return { isReady: reasons.length === 0, state: membership.state, reasons };
  }

  function describe(host: CacheHost): CacheDescription {
    const partitions = host.stats();
    const lags = partitions.map((partition) => partition.lagMs);
    return {
      name: host.name,
      kind: host.kind,
      settings: host.settings,
      declaredAt: host.declaredAt,
      entries: partitions.reduce((total, partition) => total + partition.entries, 0),
      bytes: partitions.reduce((total, partition) => total + partition.bytes, 0),
      lagEvents: partitions.reduce((total, partition) => total + partition.lagEvents, 0),
      lagMs: lags.includes(null) ? null : Math.max(0, ...lags.map(Number)),
      isReady: partitions.every((partition) => partition.isReady),
      counters: countersOf(host),
      partitions,
      owners: registry.owners(host.name),
      firstProblem: [...host.views.values()].find((view) => view.firstProblem !== undefined)?.firstProblem,
    };
  }

  /** Asks until the node has it, has left, or the time is up; the last error then. */
  async function untilReached(
    target: string,
    cache: string,
    positions: [number, number][],
    untilMs: number,
  ): Promise<boolean> {
    for (;;) {
      const waitMs = Math.max(0, untilMs - clock.monotonic());
      try {
        if (target === node) await reachedHere(cache, positions, waitMs);
        else await peers.ask(target, 'reached', { cache, positions, waitMs }, waitMs + answerMs);
        return true;
      } catch (error) {
        if (!aliveMembers(session.control.state.members).some((member) => member.node === target)) return false;
        if (clock.monotonic() >= untilMs || isSluiceError(error, 'aborted')) throw error;
        await new Promise<void>((resolve) => clock.timer(retryMs, resolve));
      }
    }
  }

  async function reachedHere(
    cache: string,
    positions: readonly (readonly [number, number])[],
    waitMs: number,
  ): Promise<void> {
    const host = registry.hosts.get(cache);
    await Promise.all(
      positions.map(([partition, position]) => host?.views.get(partition)?.follower.reached(position, { waitMs })),
    );
  }

  const service: NodeService = {
    node,
    cluster: session.options.cluster,
    version: options.version,
    cacheNames: () => [...new Set([...session.control.state.caches.caches.keys(), ...registry.hosts.keys()])].sort(),
    async openCache(name) {
      return (registry.hosts.get(name) ?? (await registry.open(validateCacheName(name)))).cache;
    },
    hit(name, key) {
      const partitions = registry.hosts.get(name)?.partitions;
      if (partitions === undefined) return undefined;
      const view = partitions[partitions.length === 1 ? 0 : partitionOf(key, partitions.length)]?.view;
      if (view === undefined || !view.follower.isReady) return undefined;
      const entry = view.read(key);
      return entry === undefined ? undefined : { entry, position: Math.max(view.follower.applied, entry.revision) };
    },
    describeCache: async (name) => describe(await registry.open(validateCacheName(name))),
    async declareCache(name, input) {
      const settings = parseCacheSettings(input, { ...options.defaults });
      const outcome = await registry.declare(validateCacheName(name), settings);
      return { outcome, settings };
    },
    dropCache: (name) => registry.drop(validateCacheName(name)),
    async watchCache(name, request) {
      const host = await registry.open(validateCacheName(name));
      return watchCache({
        partitions: host.partitions,
        clock,
        random,
        backlogMax: options.watchBacklogMax,
        ...request,
      });
    },
    async waitEverywhere(name, positions, { waitMs, signal }) {
      const untilMs = clock.monotonic() + (waitMs ?? options.waitMs);
      const pairs = [...positions].map(([partition, position]): [number, number] => [partition, position]);
      const targets = aliveMembers(session.control.state.members).map((member) => member.node);
      const results = await Promise.allSettled(targets.map((target) => untilReached(target, name, pairs, untilMs)));
      if (signal?.aborted) throw new SluiceError('aborted', 'the caller gave up', { cause: signal.reason });
      const missing = targets.filter((_, index) => results[index]?.status === 'rejected');
      if (missing.length > 0) {
        throw new SluiceError('stale', `${name}: written, but not applied in time by ${missing.join(', ')}`, {
          details: { missing, positions: pairs.map(([partition, position]) => `${partition}:${position}`) },
        });
      }
      return targets.filter((_, index) => {
        const result = results[index];
        return result?.status === 'fulfilled' && result.value;
      });
    },
    members: () => [...session.control.state.members.members.values()].map((member) => describeMember(member)),
    epoch: () => membership.epoch,
    readiness,
    async evictNode(target) {
      requireMember(target);
      await membership.evict(target, node);
    },
    async rebuildNode(target, cache) {
      requireMember(target);
      if (target === node) return rebuildHere(registry, cache);
      const { fields } = await peers.ask(target, 'rebuild', cache === undefined ? {} : { cache }, answerMs * 5);
      return fields.rebuilt;
    },
    metrics: () => options.metrics.text(),
  };

  function requireMember(target: string): void {
    if (!session.control.state.members.members.has(target)) {
      throw new SluiceError('node-unknown', `node ${target}: no member has that id`, { details: { node: target } });
    }
  }

  type KnownMember = ReturnType<typeof aliveMembers>[number];

  function describeMember(member: KnownMember): MemberDescription {
    const heard = membership.heard.get(member.node)?.pulse;
    const pulse = heard?.incarnation === member.incarnation ? heard : undefined;
    const isSelf = member.node === node && member.incarnation === membership.incarnation;
    return {
      node: member.node,
      incarnation: member.incarnation,
      state: stateOf(member, isSelf),
      http: member.http,
      region: member.region,
      pid: member.pid,
      version: member.version,
      joinedAt: member.joinedAt,
      joinedAtMs: member.atMs,
      leftReason: member.leftReason,
      leftBy: member.leftBy,
      epoch: isSelf ? membership.epoch : pulse?.epoch,
      lagMs: pulse?.lagMs,
      partitions: isSelf ? registry.ready() : (pulse?.ready ?? {}),
    };
  }

  function stateOf(member: KnownMember, isSelf: boolean): MemberDescription['state'] {
    if (member.status === 'left') return 'left';
    if (isSelf) return membership.state;
    const standing = membership.standing(member.node);
    if (standing !== undefined && standing !== 'alive') return 'suspect';
    return membership.heard.get(member.node)?.pulse.state ?? 'starting';
  }

  return service;
}

/** Drops and replays the copies of one cache or of all; returns the names. */
export function rebuildHere(registry: CacheRegistry, cache: string | undefined): string[] {
  const hosts = [...registry.hosts.values()].filter((host) => cache === undefined || host.name === cache);
  if (hosts.length === 0 && cache !== undefined) {
    throw new SluiceError('cache-unknown', `cache ${cache}: not open on this node`, { details: { cache } });
  }
  for (const host of hosts) host.rebuild('an operator asked for it');
  return hosts.map((host) => host.name);
}

function countersOf(host: CacheHost): CacheCounters {
  const views = [...host.views.values()];
  const total = (read: (view: (typeof views)[number]) => number): number =>
    views.reduce((sum, view) => sum + read(view), 0);
  return {
    hits: total((view) => view.store.counters.hits),
    misses: total((view) => view.store.counters.misses),
    puts: total((view) => view.counters.puts),
    deletes: total((view) => view.counters.deletes),
    clears: total((view) => view.counters.clears),
    tagInvalidations: total((view) => view.counters.tagInvalidations),
    evictedByEntries: total((view) => view.store.counters.evictedByEntries),
    evictedByBytes: total((view) => view.store.counters.evictedByBytes),
    expirations: total((view) => view.store.counters.expirations),
    invalidations: total((view) => view.store.counters.invalidations),
    floored: total((view) => view.store.counters.floored),
    foreign: total((view) => view.counters.foreign),
    unreadable: total((view) => view.counters.unreadable),
    logLoads: total((view) => view.counters.logLoads),
    rebuilds: total((view) => view.follower.counters.rebuilds),
  };
}
