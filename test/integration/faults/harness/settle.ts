/**
 * What follows a fault that has been healed: how long until the log takes writes again and until every copy has them, while the
 * workload goes on; then, with nothing under way, what each copy and the log hold.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../../../src/errors.ts';
import { partitionOf } from '../../../../src/placement/partition.ts';
import type { StateEntry } from '../../../../src/testing/index.ts';
import { getJson } from '../../../support/http-cache-client.ts';
import { waitUntil } from '../../../support/wait-until.ts';
import { type FaultCache, faultCaches, streamsOf } from './caches.ts';
import type { Door } from './door.ts';
import { type Histories, shownValue } from './histories.ts';
import type { LogReader, StoredLog } from './log-reader.ts';
import { keysOf } from './workload.ts';
import type { World } from './world.ts';

export interface Recovery {
  /** From the heal until the log of every cache has taken a write. */
  readonly writesAfterMs: number;
  /** From the heal until consumers could be made on each log: with several servers that takes their elected leader. */
  readonly readersAfterMs: number;
  /** How long both worked without a break, at most, before every copy of every cache had that write. */
  readonly convergenceMs: number;
  /** Which copy was last. */
  readonly last: string;
}

export interface Settled {
  readonly world: World;
  readonly histories: Histories;
  readonly log: LogReader;
  readonly nodeDoors: readonly Door[];
}

type Client = World['clients'][number]['client'];

const patienceMs = 60_000;
/** The name of a marker says the partition in which it is. */
const markerPrefix = 'marker-';

export function markersOf({ partitions }: FaultCache): string[] {
  const found = new Map<number, string>();
  for (let index = 0; found.size < partitions; index += 1) {
    const key = `${markerPrefix}${index}`;
    const partition = partitionOf(key, partitions);
    if (!found.has(partition)) found.set(partition, key);
  }
  return Array.from({ length: partitions }, (_, partition) => found.get(partition) ?? '');
}

/** Writes a marker into each log, as an operation like any other, and waits for it everywhere. */
export async function measureRecovery(settled: Settled, round: number, healedAt: number): Promise<Recovery> {
  const { world } = settled;
  let writesAfterMs = 0;
  let readersAfterMs = 0;
  let convergenceMs = 0;
  let last = '';

  async function reach(cache: FaultCache, partition: number, key: string): Promise<void> {
    const revision = await writeMarker(settled, cache, partition, key, round);
    const acknowledgedAt = performance.now();
    writesAfterMs = Math.max(writesAfterMs, acknowledgedAt - healedAt);
    const arrivals: { readonly process: string; readonly at: number }[] = [];
    const arrived = (process: string): void => void arrivals.push({ process, at: performance.now() });
    const readable = settled.log.watchReadable(streamsOf(cache)[partition] ?? '');
    try {
      await Promise.all([
        ...settled.nodeDoors.map(async (door) => {
          await waitUntil(
            `${cache.name} ${partition} at ${door.process} has ${revision}`,
            () =>
              door.read(cache.name, key, { consistency: 'local', minPosition: revision }).then(
                () => true,
                () => false,
              ),
            patienceMs,
          );
          arrived(door.process);
        }),
        ...world.clients.map(async ({ client }) => {
          await reachedAtClient(client, cache, partition, revision);
          arrived(client.id);
        }),
      ]);
    } finally {
      await readable.stop();
    }
    readersAfterMs = Math.max(readersAfterMs, (readable.firstAt ?? 0) - healedAt);
    for (const { process, at } of arrivals) {
      const tookMs = readable.longestMs(acknowledgedAt, at);
      if (tookMs <= convergenceMs) continue;
      convergenceMs = tookMs;
      last = `${cache.name} at ${process}`;
    }
  }

  await Promise.all(
    faultCaches.flatMap((cache) => markersOf(cache).map((key, partition) => reach(cache, partition, key))),
  );
  return { writesAfterMs, readersAfterMs, convergenceMs, last };
}

async function writeMarker(
  { histories, nodeDoors }: Settled,
  cache: FaultCache,
  partition: number,
  key: string,
  round: number,
): Promise<number> {
  const deadline = performance.now() + patienceMs;
  for (let attempt = 0; ; attempt += 1) {
    const door = nodeDoors[attempt % nodeDoors.length];
    if (door === undefined) throw new Error('there is no node');
    const value = `round-${round}-${partition}.${attempt}`;
    const operation = { type: 'put' as const, process: 'marker', key, value, partition };
    const done = await histories.run(cache.name, operation, async () => ({
      revision: await door.put(cache.name, key, value),
    }));
    if (done !== undefined) return done.revision;
    if (performance.now() > deadline) throw new Error(`${cache.name}: no write within ${patienceMs} ms after the heal`);
    await delay(50);
  }
}

/** Records the state of each copy and of the log. Nothing may be under way. Resolves with what never came to agree. */
export async function recordStates(settled: Settled, quiescence: string): Promise<readonly string[]> {
  const differences: string[] = [];
  const record = async (cache: FaultCache): Promise<void> => {
    const logs = cache.isLossy ? await awaitFloor(settled, cache, differences) : await readQuietLogs(settled, cache);
    if (logs !== undefined) await recordCache(settled, cache, quiescence, logs);
  };
  await Promise.all(faultCaches.map(record));
  return differences;
}

async function recordCache(
  settled: Settled,
  cache: FaultCache,
  quiescence: string,
  logs: readonly StoredLog[],
): Promise<void> {
  const recorder = settled.histories.of(cache.name);
  for (const [partition, log] of logs.entries()) {
    if (!cache.isLossy) noteEvents(settled, cache, partition, log);
    recorder.observe({
      type: 'state',
      process: 'log',
      partition,
      position: log.head,
      quiescence,
      entries: log.entries.map((entry) => ({ ...entry, value: shownValue(entry.value) })),
    });
  }
  const observe = (process: string, incarnation: string, entries: readonly StateEntry[]): void => {
    for (const [partition, { head }] of logs.entries())
      recorder.observe({
        type: 'state',
        process,
        incarnation,
        partition,
        position: head,
        quiescence,
        entries: entries
          .filter(({ key }) => partitionOf(key, cache.partitions) === partition)
          .map((entry) => ({ ...entry, value: shownValue(entry.value) })),
      });
  };
  await Promise.all([
    ...settled.nodeDoors.map(async (door, index) => {
      const url = settled.world.nodes[index]?.node.url ?? '';
      observe(door.process, door.incarnation, await entriesAtNode(door, url, cache, logs));
    }),
    ...settled.world.clients.map(async ({ client }) => {
      observe(client.id, String(client.pid), await entriesAtClient(client, cache, logs));
    }),
  ]);
}

/** What Sluice removes in the background after an invalidation may still be on its way: twice the same head is quiet. */
async function readQuietLogs({ log }: Settled, cache: FaultCache): Promise<readonly StoredLog[]> {
  const read = (): Promise<StoredLog[]> =>
    Promise.all(streamsOf(cache).map((stream) => log.readLog(stream, stream.slice('KV_'.length))));
  const heads = (logs: readonly StoredLog[]): string => logs.map(({ head }) => head).join();
  let before = await read();
  return waitUntil(
    `${cache.name} is quiet`,
    async () => {
      await delay(100);
      const now = await read();
      const isQuiet = heads(now) === heads(before);
      before = now;
      return isQuiet && now;
    },
    patienceMs,
  );
}

const noted = new WeakMap<Histories, Set<string>>();

/** Each position once, however often the log still shows it. */
function noteEvents({ histories }: Settled, cache: FaultCache, partition: number, log: StoredLog): void {
  const known = noted.get(histories) ?? new Set<string>();
  noted.set(histories, known);
  const recorder = histories.of(cache.name);
  for (const { event, position, key, value, tag, tags } of log.events) {
    const name = `${cache.name} ${partition} ${position}`;
    if (known.has(name)) continue;
    known.add(name);
    const at = { type: 'log' as const, partition, position };
    if (event === 'put') recorder.observe({ ...at, event, key, value: shownValue(value), tags });
    else if (event === 'delete') recorder.observe({ ...at, event, key });
    else if (event === 'tag') recorder.observe({ ...at, event, tag });
    else recorder.observe({ ...at, event });
  }
}

/**
 * What a log drops or an operator purges is no event: copies learn of it when they look at the floor, within a stated time. The log
 * is read anew each time, because replicas that were behind drop later.
 */
async function awaitFloor(
  settled: Settled,
  cache: FaultCache,
  found: string[],
): Promise<readonly StoredLog[] | undefined> {
  const { clients, nodes } = settled.world;
  const copies = [
    ...clients.map(({ client }) => ({
      process: client.id,
      list: async () => ((await client.ask({ do: 'state', cache: cache.name })).entries ?? []).map(({ key }) => key),
    })),
    ...nodes.map(({ node }) => ({ process: node.id, list: () => listKeys(node.url, cache.name) })),
  ];
  let differences: string[] = [];

  async function attempt(): Promise<readonly StoredLog[] | undefined> {
    const logs = await readQuietLogs(settled, cache);
    const stored = new Set((logs[0]?.entries ?? []).map(({ key }) => key));
    differences = [];
    for (const { process, list } of copies) {
      const held = new Set(await list());
      const over = [...held].filter((key) => !stored.has(key));
      const missing = [...stored].filter((key) => !held.has(key));
      if (over.length + missing.length > 0)
        differences.push(
          `${process} has ${over.join() || 'nothing'} too many, and lacks ${missing.join() || 'nothing'}`,
        );
    }
    return differences.length === 0 ? logs : undefined;
  }

  try {
    return await waitUntil(`${cache.name}: all have what the log has left`, attempt, patienceMs);
  } catch (error) {
    found.push(`${messageOf(error)}: ${differences.join('; ')}`);
    return undefined;
  }
}

/** Asks again when it was refused: a copy that begins anew in the meantime says so to whoever waits. */
const reachedAtClient = (client: Client, cache: FaultCache, partition: number, revision: number): Promise<true> =>
  waitUntil(
    `${cache.name} ${partition} at ${client.id} has ${revision}`,
    () =>
      client.ask({ do: 'reached', cache: cache.name, revision, partition }).then(
        () => true,
        () => false,
      ),
    patienceMs,
  );

async function entriesAtClient(
  client: Client,
  cache: FaultCache,
  logs: readonly StoredLog[],
): Promise<readonly StateEntry[]> {
  for (const [partition, { head }] of logs.entries())
    if (head > 0) await reachedAtClient(client, cache, partition, head);
  return (await client.ask({ do: 'state', cache: cache.name })).entries ?? [];
}

/** Every key that was ever used, and all that the node lists besides, read at the head of the log. */
async function entriesAtNode(
  door: Door,
  url: string,
  cache: FaultCache,
  logs: readonly StoredLog[],
): Promise<readonly StateEntry[]> {
  const keys = new Set([...keysOf(cache), ...logs.flatMap(({ entries }) => entries.map(({ key }) => key))]);
  const read = (key: string): ReturnType<Door['read']> => {
    const head = logs[partitionOf(key, cache.partitions)]?.head ?? 0;
    return door.read(cache.name, key, { consistency: 'local', minPosition: head > 0 ? head : undefined });
  };
  const entries: StateEntry[] = [];
  await Promise.all(
    [...keys].map(async (key) => {
      const { value, revision } = await waitUntil(
        `${cache.name} ${key} at ${door.process}`,
        () => read(key).catch(() => undefined),
        patienceMs,
      );
      if (value !== null) entries.push({ key, value, revision: revision ?? 0 });
    }),
  );
  if (!cache.isFull) return entries;
  for (const key of await listKeys(url, cache.name)) {
    if (keys.has(key)) continue;
    const { value, revision } = await read(key);
    if (value !== null) entries.push({ key, value, revision: revision ?? 0 });
  }
  return entries;
}

async function listKeys(url: string, cache: string): Promise<string[]> {
  const { keys } = await getJson<{ keys: { key: string }[] }>(url, `/v1/caches/${cache}/keys?limit=1000`);
  return keys.map(({ key }) => key);
}
