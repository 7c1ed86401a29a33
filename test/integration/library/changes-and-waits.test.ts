/** Being told of changes and waiting for them, in clients of one real server whose connections break. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import type { CacheChange, CoherentCache } from '../../../src/index.ts';
import { createLibraryClients } from '../../support/library-clients.ts';
import { startNatsServer, type TestServer } from '../../support/nats-server.ts';
import { refusalOf } from '../../support/refusals.ts';
import { waitUntil } from '../../support/wait-until.ts';

let server: TestServer;
const clients = createLibraryClients(() => server.port);

before(async () => {
  server = await startNatsServer();
});
after(() => server.stop());
afterEach(() => clients.end());

type Cache = CoherentCache<number>;
const soon = { waitMs: 20_000 };

async function openTwo(): Promise<[a: Cache, b: Cache]> {
  const [a, b] = await clients.openIn<number>(2, clients.freshName());
  assert.ok(a !== undefined && b !== undefined);
  return [a, b];
}

async function take(
  changes: AsyncIterableIterator<CacheChange<number>>,
  count: number,
): Promise<CacheChange<number>[]> {
  const taken: CacheChange<number>[] = [];
  for (let index = 0; index < count; index += 1) {
    const { done, value } = await changes.next();
    assert.ok(!done, `ended after ${index} of ${count} changes`);
    taken.push(value);
  }
  return taken;
}

describe('changes', () => {
  it('are the same in the same order for every client, from the call on', async () => {
    const [a, b] = await openTwo();
    await b.reached(await a.put('before', 0));
    const [here, there] = [a.changes(), b.changes()];
    await a.put('k', 1, { tags: ['t'] });
    await b.put('k', 2);
    await a.delete('k');
    await b.invalidateTags(['unused']);
    await a.clear();
    const expected = [
      ['put', 'k', 1],
      ['put', 'k', 2],
      ['delete', 'k', undefined],
      ['tag', 'unused', undefined],
      ['clear', undefined, undefined],
    ];
    for (const changes of [here, there]) {
      const told = await take(changes, 5);
      assert.deepEqual(
        told.map((change) => [
          change.type,
          'key' in change ? change.key : 'tag' in change ? change.tag : undefined,
          'value' in change ? change.value : undefined,
        ]),
        expected,
      );
      assert.deepEqual(
        told.map(({ position }) => position),
        [2, 3, 4, 5, 6],
      );
      await changes.return?.();
    }
  });

  it('go on after a lost connection, without gap or repetition', async () => {
    const { sluice, proxy } = await clients.connectThroughProxy();
    const a = await sluice.open<number>(clients.freshName());
    const [b] = await clients.openIn<number>(1, a.name);
    assert.ok(b !== undefined);
    const changes = a.changes();
    const called: number[] = [];
    a.onChange((change) => called.push(change.position));
    let count = 0;
    for (let round = 0; round < 4; round += 1) {
      // Different keys: the log keeps each message, so each must be told.
      for (let index = 0; index < 25; index += 1) await b.put(`k${(count += 1)}`, count);
      if (round % 2 === 0) proxy.cut();
      else {
        await proxy.refuse();
        proxy.cut();
        await waitUntil('the loss of the connection', () => !sluice.isConnected);
        for (let index = 0; index < 25; index += 1) await b.put(`k${(count += 1)}`, count);
        await proxy.accept();
      }
    }
    const told = await take(changes, count);
    const all = Array.from({ length: count }, (_, index) => index + 1);
    assert.deepEqual(
      told.map((change) => (change.type === 'put' ? change.value : change.type)),
      all,
    );
    assert.deepEqual(called, all);
  });

  it('end by return, by a signal and by the end of the connection, and fail when the cache is dropped', async () => {
    const sluice = await clients.connect();
    const cache = await sluice.open<number>(clients.freshName());
    const returned = cache.changes();
    await cache.reached(await cache.put('k', 1));
    await returned.return?.();
    assert.equal((await returned.next()).done, true);

    const controller = new AbortController();
    const aborted = cache.changes({ signal: controller.signal }).next();
    const untilClosed = cache.changes().next();
    controller.abort();
    assert.equal((await aborted).done, true);

    const dropped = await sluice.open<number>(clients.freshName());
    const ofDropped = dropped.changes();
    const failing = refusalOf('closed', ofDropped.next());
    assert.equal(await clients.asOperator((registry) => registry.drop(dropped.name)), true);
    assert.match((await failing).message, /dropped; open it again/);
    assert.equal((await ofDropped.next()).done, true);

    await sluice.close();
    assert.equal((await untilClosed).done, true);
    assert.equal((await cache.changes().next()).done, true);
  });

  it('are told to listeners until they stop, and a listener that throws harms nobody else', async () => {
    const notices: string[] = [];
    const sluice = await clients.connect({ onNotice: (_, message) => void notices.push(message) });
    const cache = await sluice.open<number>(clients.freshName());
    const told: string[] = [];
    cache.onChange(() => {
      throw new Error('a defect of its owner');
    });
    const stop = cache.onChange((change) => told.push(`${change.type} ${change.position}`));
    await cache.reached(await cache.put('k', 1));
    stop();
    await cache.reached(await cache.put('k', 2));
    assert.deepEqual(told, ['put 1']);
    assert.equal(notices.filter((notice) => /a listener threw on put at [12]: a defect/.test(notice)).length, 2);
  });
});

describe('waiting', () => {
  it('for what another client wrote ends when it is there to be read', async () => {
    const [a, b] = await openTwo();
    for (let value = 0; value < 200; value += 1) {
      const [writer, reader] = value % 2 === 0 ? [a, b] : [b, a];
      const written = await writer.put('k', value);
      await reader.reached(value % 3 === 0 ? written.revision : written, soon);
      assert.equal(reader.get('k'), value);
    }
  });

  it('for the latest sees every write that was acknowledged before, without being handed its position', async () => {
    const [a, b] = await openTwo();
    for (let value = 0; value < 100; value += 1) {
      await a.put('k', value);
      assert.equal(await b.latest('k', soon), value);
      assert.equal(b.get('k'), value);
    }
    await a.delete('k');
    assert.equal(await b.latest('k', soon), undefined);
  });

  it('has its limits: time, a signal, and partitions that there are', async () => {
    const [a] = await openTwo();
    await a.put('k', 1);
    const error = await refusalOf('stale', a.reached(99, { waitMs: 50 }));
    assert.deepEqual([error.details['applied'], error.details['position']], [1, 99]);
    const controller = new AbortController();
    const waiting = refusalOf('aborted', a.reached(99, { signal: controller.signal }));
    controller.abort();
    await waiting;
    await refusalOf('bad-request', a.reached({ revision: 1, partition: 1 }));
  });

  it('shows an idle copy young and whole, again and again', async () => {
    const [a, b] = await openTwo();
    assert.deepEqual([a.isReady, b.isReady], [true, true]);
    await b.reached(await a.put('k', 1));
    await b.ready({ waitMs: 1 });
    for (let round = 0; round < 3; round += 1) {
      const proof = await waitUntil('a proof', () => (b.lag.ms < 1_000 ? b.lag : undefined));
      assert.equal(proof.events, 0);
      await waitUntil('its age', () => b.lag.ms > proof.ms);
    }
  });
});
