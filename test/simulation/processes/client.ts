/** A process of its own that uses the library: a copy of the cache, synchronous reads, loads from a source. */
import { createSession } from '../../../src/cluster/session.ts';
import { text } from '../../../src/library/codec.ts';
import { createSluice } from '../../../src/library/connect.ts';
import { partitionOf } from '../../../src/placement/partition.ts';
import { cacheName, declarationOf } from '../setting.ts';
import { type CacheDoor, type ProcessTools, type Running, sessionOptionsOf } from './process.ts';

export async function startClient(tools: ProcessTools): Promise<Running> {
  const { setting } = tools;
  const session = await createSession(sessionOptionsOf(tools));
  const { sluice, registry } = createSluice(session, setting.horizonMs);
  const { ttlMs: ttl, ...create } = declarationOf(setting);
  const cache = await sluice.open<string>(cacheName, {
    codec: text(),
    create: { ...create, ttl },
    readyWaitMs: 600_000,
  });

  const door: CacheDoor = {
    async put(key, value, fields) {
      const { revision, partition } = await cache.put(key, value, defined(fields));
      return { position: revision, partition };
    },
    async delete(key, { ifRevision }) {
      const { revision, partition } = await cache.delete(key, defined({ ifRevision }));
      return { position: revision, partition };
    },
    clear: () => cache.clear(),
    invalidate: (tag) => cache.invalidateTags([tag]),
    async read(key, demand) {
      if (demand.kind === 'latest') {
        const value = await cache.latest(key);
        return { value, revision: undefined, position: undefined };
      }
      let position: number | undefined;
      if (demand.kind === 'position') {
        await cache.reached({ revision: demand.at.position, partition: demand.at.partition }, { waitMs: 3_000 });
        position = demand.at.position;
      }
      // What is young enough, a reader in process sees from `lag`; the copy's own demand is that of the nodes.
      if (demand.kind === 'fresh') await viewOf(key)?.follower.fresh(demand.maxMs, { waitMs: 3_000 });
      const entry = cache.entry(key);
      // Memory may have evicted it, and says nothing of the log then.
      if (entry === undefined && viewOf(key)?.isComplete !== true) throw new Error('not in memory');
      return { value: entry?.value, revision: entry?.revision, position };
    },
    load: async (key, load, { ttlMs, tags }) => cache.getOrLoad(key, load, defined({ ttlMs, tags })),
    async watch(onEvent) {
      return cache.onChange((change) =>
        onEvent({ ...change, value: change.type === 'put' ? change.value : undefined }),
      );
    },
  };
  const viewOf = (key: string) => registry.hosts.get(cacheName)?.views.get(partitionOf(key, setting.partitions));

  return {
    session,
    door,
    membership: undefined,
    declare: undefined,
    host: () => registry.hosts.get(cacheName),
    stop: () => sluice.close(),
  };
}

type Defined<Fields> = { [Name in keyof Fields]?: Exclude<Fields[Name], undefined> };

/** Options that are not given are left out. */
const defined = <Fields extends object>(fields: Fields): Defined<Fields> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<Fields>;
