/** Opening: caches that exist and that do not, several processes at once, and options that cannot be met. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { Kvm } from '@nats-io/kv';
import { connect as connectNats } from '@nats-io/transport-node';
import { builtInCacheSettings } from '../../../src/config/cache-settings.ts';
import { type CoherentCache, connect, isSluiceError } from '../../../src/index.ts';
import { buildBucketStream } from '../../../src/nats/stream-definitions.ts';
import { consumersOf, createLibraryClients } from '../../support/library-clients.ts';
import { findFreePorts, startNatsServer, type TestServer } from '../../support/nats-server.ts';
import { requestJetStream } from '../../support/raw-nats.ts';
import { refusalOf } from '../../support/refusals.ts';
import { waitUntil } from '../../support/wait-until.ts';

let server: TestServer;
const clients = createLibraryClients(() => server.port);

before(async () => {
  server = await startNatsServer();
});
after(() => server.stop());
afterEach(() => clients.end());

describe('connecting', () => {
  it('says where nobody answers, and which option is wrong', async () => {
    const [port = 0] = await findFreePorts(1);
    const servers = `nats://127.0.0.1:${port}`;
    const error = await refusalOf('log-unavailable', connect({ servers, connectWaitMs: 100 }));
    assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${port}`));
    await refusalOf('bad-request', connect({ servers: server.url, name: 'a name' }));
    await refusalOf('bad-request', connect({ servers: server.url, cluster: 'a.b' }));
    await refusalOf('bad-request', connect({ servers: server.url, writeDeadlineMs: 0 }));
  });

  it('names the process in the log, and knows nothing of other clusters', async () => {
    const name = clients.freshName();
    const one = await clients.connect({ name: 'biller' });
    assert.equal(one.name, 'biller');
    await one.open(name);
    const other = await clients.connect({ cluster: 'elsewhere' });
    assert.match(other.name, /^client-[0-9a-f]+$/);
    await refusalOf('cache-unknown', other.open(clients.freshName(), { create: false }));
  });
});

describe('opening a cache', () => {
  it('that does not exist creates it with the settings given, or refuses', async () => {
    const name = clients.freshName();
    const sluice = await clients.connect();
    await refusalOf('cache-unknown', sluice.open(name, { create: false }));
    const cache = await sluice.open<string>(name, { create: { ttl: '1h', valueBytesMax: '1KiB' } });
    await cache.put('k', 'v');
    const { atMs = 0, expiresAtMs = 0 } = cache.entry('k') ?? {};
    assert.ok(Math.abs(expiresAtMs - atMs - 3_600_000) < 60_000);
    await refusalOf('too-large', cache.put('k', 'x'.repeat(2_000)));
    const again = await (await clients.connect()).open<string>(name, { create: false });
    assert.equal(again.get('k'), 'v');
  });

  it('by many processes at once makes it once, as the first one wants it', async () => {
    const name = clients.freshName();
    const connected = await Promise.all(Array.from({ length: 8 }, () => clients.connect()));
    const caches = await Promise.all(
      connected.map((sluice) => sluice.open<number>(name, { create: { partitions: 3, ttl: '1h' } })),
    );
    const written = await Promise.all(caches.map((cache, index) => cache.put(`k${index}`, index)));
    for (const cache of caches) {
      for (const position of written) await cache.reached(position, { waitMs: 20_000 });
      assert.equal(cache.size, 8);
    }
  });

  it('never changes what another process has just declared', async () => {
    for (let round = 0; round < 10; round += 1) {
      const name = clients.freshName();
      const [a, b] = await Promise.all([clients.connect(), clients.connect()]);
      const made = await a.open<string>(name, { create: { ttl: '1h', valueBytesMax: '1KiB' } });
      const plain = await b.open<string>(name);
      await refusalOf('too-large', plain.put('k', 'x'.repeat(2_000)));
      await plain.put('k', 'v');
      assert.notEqual(plain.entry('k')?.expiresAtMs, Number.POSITIVE_INFINITY);
      await made.put('k', 'w');
      assert.notEqual(made.entry('k')?.expiresAtMs, Number.POSITIVE_INFINITY);
      await clients.end();
    }
  });

  it('while another process declares it ends with what that one declares', async () => {
    for (let round = 0; round < 10; round += 1) {
      const name = clients.freshName();
      const sluice = await clients.connect();
      const settings = { ...builtInCacheSettings, ttlMs: 3_600_000 };
      const declaring = clients.asOperator((registry) => registry.declare(name, settings));
      const open = (): Promise<CoherentCache<string> | undefined> =>
        sluice.open<string>(name, { create: false }).catch(() => undefined);
      const opened = [await waitUntil('a stream', open)];
      await declaring;
      for (const cache of opened) {
        const isMortal = async (): Promise<boolean> => {
          await cache.put('k', 'v');
          return cache.entry('k')?.expiresAtMs !== Number.POSITIVE_INFINITY;
        };
        await waitUntil('the life that was declared', isMortal);
      }
      await clients.end();
    }
  });

  it('whose stream was made a moment before it is declared takes over the declaration, and keeps its copy', async () => {
    const name = clients.freshName();
    const stream = buildBucketStream('sluice', name, builtInCacheSettings);
    assert.ok(await requestJetStream(server.port, `STREAM.CREATE.${stream.name}`, stream));
    const cache = await (await clients.connect()).open<string>(name);
    await cache.put('k', 'v');
    assert.equal(cache.entry('k')?.expiresAtMs, Number.POSITIVE_INFINITY);
    const settings = { ...builtInCacheSettings, ttlMs: 3_600_000, valueBytesMax: 1_024 };
    assert.equal(await clients.asOperator((registry) => registry.declare(name, settings)), 'created');
    const isMortal = async (): Promise<boolean> => {
      await cache.put('l', 'v');
      return cache.entry('l')?.expiresAtMs !== Number.POSITIVE_INFINITY;
    };
    await waitUntil('the life that was declared', isMortal);
    await refusalOf('too-large', cache.put('l', 'x'.repeat(2_000)));
    assert.equal(cache.get('k'), 'v');
  });

  it('refuses settings that contradict those that cannot change, and names them', async () => {
    const name = clients.freshName();
    const sluice = await clients.connect();
    await sluice.open(name, { create: { partitions: 2, whenFull: 'refuse', logBytesMax: '16MiB' } });
    const other = await clients.connect();
    const error = await refusalOf('settings-conflict', other.open(name, { create: { partitions: 4 } }));
    assert.deepEqual(
      [error.details['field'], error.details['existing'], error.details['wanted']],
      ['partitions', 2, 4],
    );
    assert.match(error.message, new RegExp(`partitions: is 2 in the existing cache ${name}`));
    for (const create of [
      { whenFull: 'drop-oldest' },
      { logBytesMax: '32MiB' },
      { logBytesMax: null },
      { logReplicas: 3 },
    ])
      await refusalOf('settings-conflict', other.open(name, { create }));
    // What agrees, and what may change and so is only a wish for a new cache, is no contradiction.
    await other.open(name, { create: { partitions: 2, whenFull: 'refuse', ttl: '5m' } });
    await refusalOf('settings-conflict', sluice.open(name, { create: { partitions: 4 } }));
  });

  it('refuses what is no setting, also when the cache exists', async () => {
    const name = clients.freshName();
    const sluice = await clients.connect();
    await sluice.open(name);
    const unknown = await refusalOf('bad-request', sluice.open(name, { create: { partition: 4 } }));
    assert.match(unknown.message, /partition/);
    await refusalOf('bad-request', sluice.open(name, { create: { partitions: 0 } }));
    for (const options of [
      { ttlMs: 0 },
      { ttlMs: Number.NaN },
      { entriesMax: -1 },
      { bytesMax: 0 },
      { readyWaitMs: -1 },
    ]) {
      const error = await refusalOf('bad-request', sluice.open(name, options));
      assert.match(error.message, new RegExp(`^${Object.keys(options)[0]}: `));
    }
    await refusalOf('bad-request', sluice.open('a cache'));
    await refusalOf('bad-request', sluice.open(''));
  });

  it('again in one process shares one copy, and cannot have other memory limits', async () => {
    const name = clients.freshName();
    const sluice = await clients.connect();
    const cache = await sluice.open<number>(name, { entriesMax: 10 });
    const again = await sluice.open<number>(name);
    const same = await sluice.open<number>(name, { entriesMax: 10 });
    await cache.put('k', 1);
    assert.deepEqual([again.get('k'), same.get('k')], [1, 1]);
    const error = await refusalOf('settings-conflict', sluice.open(name, { entriesMax: 20 }));
    assert.deepEqual(
      [error.details['field'], error.details['existing'], error.details['wanted']],
      ['entriesMax', 10, 20],
    );
    await refusalOf('settings-conflict', sluice.open(name, { bytesMax: 1_000_000 }));
  });

  it('twice at once does not lose the memory limits of the first', async () => {
    const name = clients.freshName();
    const sluice = await clients.connect();
    const [cache] = await Promise.all([sluice.open<number>(name, { entriesMax: 10 }), sluice.open<number>(name)]);
    for (let index = 0; index < 30; index += 1) await cache.put(`k${index}`, index);
    await cache.latest('k29');
    assert.equal(cache.size, 10);
  });

  it('with little memory still finds in the log what it had to let go', async () => {
    const name = clients.freshName();
    const [writer] = await clients.openIn<number>(1, name);
    assert.ok(writer !== undefined);
    for (let index = 0; index < 100; index += 1) await writer.put(`k${index}`, index);
    const cache = await (await clients.connect()).open<number>(name, { entriesMax: 10 });
    assert.equal(cache.size, 10);
    assert.deepEqual([cache.get('k0'), await cache.latest('k0')], [undefined, 0]);
    assert.equal(await cache.getOrLoad('k1', () => -1), 1);
    assert.deepEqual([cache.stats.loads, cache.size], [0, 10]);
    assert.equal(writer.size, 100);
  });

  it('that was dropped ends, and can be opened anew', async () => {
    const sluice = await clients.connect();
    const cache = await sluice.open<number>(clients.freshName());
    await cache.put('k', 1);
    assert.equal(await clients.asOperator((registry) => registry.drop(cache.name)), true);
    await waitUntil('the end of the copy', () => !cache.isReady);
    assert.deepEqual([cache.get('k'), cache.size], [undefined, 0]);
    assert.match((await refusalOf('closed', cache.put('k', 2))).message, /dropped; open it again/);
    await refusalOf('closed', cache.changes().next());
    await refusalOf(
      'closed',
      cache.getOrLoad('k', () => 1),
    );
    await refusalOf('closed', cache.reached(1));
    await refusalOf('cache-unknown', sluice.open(cache.name, { create: false }));
    const anew = await sluice.open<number>(cache.name);
    assert.equal(anew.get('k'), undefined);
    await anew.put('k', 3);
    assert.equal(anew.get('k'), 3);
  });

  it('that is under way when the connection is closed ends, and leaves no consumer', async () => {
    const sluice = await clients.connect();
    const name = clients.freshName();
    await sluice.open(name);
    const other = await clients.connect();
    const opening = [name, clients.freshName(), clients.freshName()].map((cache) =>
      other.open(cache).then(
        () => 'opened',
        (error: unknown) => (isSluiceError(error) ? error.code : String(error)),
      ),
    );
    await other.close();
    for (const outcome of await Promise.all(opening))
      assert.ok(['opened', 'closed', 'log-unavailable'].includes(outcome), outcome);
    assert.equal((await consumersOf(server.port, `KV_${name}`)).length, 1);
  });

  it('is refused while the log is away, and works when it is back', async () => {
    const { sluice, proxy } = await clients.connectThroughProxy();
    const name = clients.freshName();
    await proxy.refuse();
    proxy.cut();
    await waitUntil('the loss of the connection', () => !sluice.isConnected);
    await refusalOf('log-unavailable', sluice.open(name));
    await proxy.accept();
    await waitUntil('a new connection', () => sluice.isConnected);
    const cache = await sluice.open<number>(name);
    await cache.put('k', 1);
    assert.equal(cache.get('k'), 1);
  });

  it('that is a bucket of others works, and refuses what such a bucket has no place for', async () => {
    const name = clients.freshName();
    const nats = await connectNats({ servers: server.url });
    try {
      const bucket = await new Kvm(nats).create(name);
      await bucket.put('k', '"theirs"');
      const sluice = await clients.connect();
      const cache = await sluice.open<string>(name, { create: { ttl: '1h' } });
      assert.equal(cache.get('k'), 'theirs');
      await cache.put('k', 'ours');
      assert.equal((await bucket.get('k'))?.string(), '"ours"');
      assert.match((await refusalOf('unsupported', cache.clear())).message, new RegExp(`sluice\\.bucket\\.${name}`));
      await refusalOf('unsupported', cache.invalidateTags(['t']));
      await refusalOf('settings-conflict', sluice.open(name, { create: { partitions: 2 } }));
    } finally {
      await nats.close();
    }
  });
});
