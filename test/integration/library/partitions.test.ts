/** A cache of several partitions in three clients of one real server. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import type { CoherentCache, Written } from '../../../src/index.ts';
import { createLibraryClients } from '../../support/library-clients.ts';
import { startNatsServer, type TestServer } from '../../support/nats-server.ts';
import { requestJetStream } from '../../support/raw-nats.ts';
import { refusalOf } from '../../support/refusals.ts';

let server: TestServer;
const clients = createLibraryClients(() => server.port);

before(async () => {
  server = await startNatsServer();
});
after(() => server.stop());
afterEach(() => clients.end());

const partitions = 5;
const keys = Array.from({ length: 200 }, (_, index) => `key ${index}`);

async function openThree(): Promise<CoherentCache<number>[]> {
  return clients.openIn<number>(3, clients.freshName(), { create: { partitions } });
}

async function fill(caches: readonly CoherentCache<number>[]): Promise<Written[]> {
  const written = await Promise.all(
    keys.map((key, index) =>
      (caches[index % caches.length] ?? assert.fail()).put(key, index, { tags: [`t${index % 2}`] }),
    ),
  );
  for (const cache of caches) for (const position of written) await cache.reached(position, { waitMs: 20_000 });
  return written;
}

describe('a cache of several partitions', () => {
  it('is one cache: every client reads every key, whoever wrote it', async () => {
    const caches = await openThree();
    const written = await fill(caches);
    assert.deepEqual(new Set(written.map(({ partition }) => partition)), new Set([0, 1, 2, 3, 4]));
    for (const cache of caches) {
      assert.deepEqual(
        keys.map((key) => cache.get(key)),
        keys.map((_, index) => index),
      );
      assert.deepEqual([cache.size, cache.stats.entries], [keys.length, keys.length]);
      assert.deepEqual([...cache.keys()].sort(), [...keys].sort());
      assert.deepEqual(new Map(cache.entries()), new Map(keys.map((key, index) => [key, index])));
      assert.equal(cache.entry('key 7')?.revision, written[7]?.revision);
    }
    const name = caches[0]?.name ?? '';
    const { streams } = (await requestJetStream(server.port, 'STREAM.NAMES', { subject: '$KV.>' })) ?? {};
    const own = (streams as string[]).filter((stream) => stream.startsWith(`KV_${name}-`));
    assert.deepEqual(
      own.sort(),
      Array.from({ length: partitions }, (_, index) => `KV_${name}-0${index}`),
    );
  });

  it('takes positions together with their partition only', async () => {
    const [a, b] = await openThree();
    assert.ok(a !== undefined && b !== undefined);
    const written = await a.put('k', 1);
    const error = await refusalOf('bad-request', b.reached(written.revision));
    assert.match(error.message, /has 5 partitions; pass what put returned/);
    await b.reached(written);
    assert.equal(b.get('k'), 1);
    await refusalOf('bad-request', b.reached({ revision: 1, partition: partitions }));
  });

  it('clears, invalidates, and tells of it, in every partition', async () => {
    const caches = await openThree();
    const [a, b, c] = caches;
    assert.ok(a !== undefined && b !== undefined && c !== undefined);
    await fill(caches);
    const told: string[] = [];
    c.onChange((change) => {
      if (change.type === 'tag' || change.type === 'clear') told.push(`${change.type} ${change.partition}`);
    });
    await a.invalidateTags(['t1']);
    await Promise.all(keys.map((key) => b.latest(key)));
    assert.deepEqual(
      [...b.entries()].map(([, value]) => value % 2).filter((rest) => rest === 1),
      [],
    );
    assert.equal(b.size, keys.length / 2);
    await b.clear();
    await Promise.all(keys.map((key) => c.latest(key)));
    assert.equal(c.size, 0);
    const each = (what: string): string[] => Array.from({ length: partitions }, (_, index) => `${what} ${index}`);
    assert.deepEqual(told.sort(), [...each('clear'), ...each('tag t1').map((line) => line.replace(' t1', ''))].sort());
  });

  it('loads, deletes and compares in the partition of the key', async () => {
    const [a, b] = await openThree();
    assert.ok(a !== undefined && b !== undefined);
    const loaded = await Promise.all(keys.map((key) => a.getOrLoad(key, async (wanted) => wanted.length)));
    assert.deepEqual(
      loaded,
      keys.map((key) => key.length),
    );
    for (const key of keys.slice(0, 20)) assert.equal(await b.latest(key), key.length);
    const revision = b.entry('key 3')?.revision ?? 0;
    await b.put('key 3', 0, { ifRevision: revision });
    await refusalOf('position-conflict', a.delete('key 3', { ifRevision: revision }));
    await refusalOf('position-conflict', a.put('key 4', 0, { ifAbsent: true }));
    await b.reached(await a.delete('key 4'));
    assert.equal(b.get('key 4'), undefined);
  });
});
