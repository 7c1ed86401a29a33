/** A node: everything of `cache-node` but its folder, its HTTP door and its metrics. */
import { createSession } from '../../../src/cluster/session.ts';
import { createClusterNode } from '../../../src/node/cluster-node.ts';
import type { WatchEvent } from '../../../src/service/watch.ts';
import { cacheName, declarationOf, timing } from '../setting.ts';
import {
  type CacheDoor,
  type Demand,
  type ProcessTools,
  type Running,
  sessionOptionsOf,
  type Told,
} from './process.ts';

const decoder = new TextDecoder();

export async function startNode(tools: ProcessTools): Promise<Running> {
  const { name, setting, notice } = tools;
  const session = await createSession(sessionOptionsOf(tools));
  const declaration = declarationOf(setting);
  const { service, registry, membership, parts } = createClusterNode({
    session,
    node: name,
    version: '0.0.0',
    region: undefined,
    pid: 1,
    defaults: declaration,
    read: { onMiss: 'log', waitMs: timing.readWaitMs, expiryToleranceMs: 0, tombstoneHorizonMs: setting.horizonMs },
    cachesMax: 16,
    watchBacklogMax: 1_000,
    membership: { pulseMs: timing.pulseMs, suspectAfterMs: timing.suspectAfterMs, evictAfterMs: timing.evictAfterMs },
    drainMs: 5_000,
    createMetrics: () => ({ text: async () => '', stop: () => undefined }),
    onReplaced: (reason) => notice(`replaced: ${reason}`),
  });
  const inOrder = [parts.caches, parts.peers, parts.membership];
  for (const part of inOrder) await part.start();

  const door: CacheDoor = {
    async put(key, value, fields) {
      const { revision, partition } = await (await service.openCache(cacheName)).put(key, Buffer.from(value), fields);
      return { position: revision, partition };
    },
    async delete(key, { ifRevision }) {
      const { revision, partition } = await (await service.openCache(cacheName)).delete(key, { ifRevision });
      return { position: revision, partition };
    },
    async clear() {
      await (await service.openCache(cacheName)).clear();
    },
    async invalidate(tag) {
      await (await service.openCache(cacheName)).invalidateTags([tag]);
    },
    async read(key, demand) {
      const { found, position } = await (await service.openCache(cacheName)).get(key, readOptionsOf(demand));
      return {
        value: found === undefined ? undefined : decoder.decode(found.value),
        revision: found?.revision,
        position,
      };
    },
    load: undefined,
    async watch(onEvent) {
      const watch = await service.watchCache(cacheName, {
        onEvent: (event, partition) => onEvent(toTold(event, partition)),
      });
      return () => void watch.stop();
    },
  };

  return {
    session,
    door,
    membership,
    async declare() {
      const { ttlMs: ttl, ...input } = declaration;
      await service.declareCache(cacheName, { ...input, ttl });
    },
    host: () => registry.hosts.get(cacheName),
    async stop() {
      for (const part of inOrder.toReversed()) await part.stop();
      await session.stop();
    },
  };
}

function readOptionsOf(demand: Demand): { consistency?: 'latest'; minPosition?: number; maxStalenessMs?: number } {
  if (demand.kind === 'latest') return { consistency: 'latest' };
  if (demand.kind === 'position') return { minPosition: demand.at.position };
  return demand.kind === 'fresh' ? { maxStalenessMs: demand.maxMs } : {};
}

function toTold(event: WatchEvent, partition: number): Told {
  const { type, position } = event;
  if (type === 'put') return { type, key: event.key, value: decoder.decode(event.value), position, partition };
  if (type === 'delete') return { type, key: event.key, position, partition };
  return type === 'tag' ? { type, tag: event.tag, position, partition } : { type, position, partition };
}
