/**
 * Clients that lose NATS: the server dies, the connection is cut, the network falls silent. Reads go on with an age that is
 * declared, writes fail with what is true, and everything heals without help.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { type CoherentCache, isSluiceError } from '../../../src/index.ts';
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
afterEach(async () => {
  server.resume();
  await clients.end();
});

type Cache = CoherentCache<number>;

/** Its declared lag is at least the time that has gone by, and what it serves is what it had. */
async function watchItAge(cache: Cache, untilMs: number): Promise<void> {
  const began = performance.now();
  const lagAtStart = cache.lag.ms;
  await waitUntil('a copy that knows it is old', () => cache.lag.ms > lagAtStart + untilMs, 20_000);
  // Seen before the clock is asked, so that it cannot be the older of the two.
  const { ms } = cache.lag;
  assert.ok(ms >= Math.floor(performance.now() - began) - 50, `${ms} ms`);
}

const contentOf = (cache: Cache): [string, number][] =>
  [...cache.entries()].sort(([one], [two]) => (one < two ? -1 : 1));

describe('a client whose server is stopped', () => {
  it('goes on serving with a growing lag, fails writes, and heals by itself', async () => {
    const sluice = await clients.connect({ writeDeadlineMs: 400 });
    const a = await sluice.open<number>(clients.freshName());
    const [b] = await clients.openIn<number>(1, a.name);
    assert.ok(b !== undefined);
    await a.put('k', 1, { tags: ['t'] });
    await b.reached(await a.put('l', 2));
    await server.kill('SIGTERM');
    await waitUntil('the loss of the connection', () => !sluice.isConnected);
    await watchItAge(a, 1_500);
    assert.deepEqual([a.get('k'), b.get('l'), a.isReady], [1, 2, true]);
    await refusalOf('log-unavailable', a.put('k', 3));
    await refusalOf('log-unavailable', a.delete('k'));
    await refusalOf('log-unavailable', a.clear());
    await refusalOf('log-unavailable', a.invalidateTags(['t']));
    await refusalOf('log-unavailable', a.latest('k'));
    await refusalOf('stale', a.reached(99, { waitMs: 50 }));
    assert.deepEqual([a.get('k'), a.get('l')], [1, 2]);
    await server.restart();
    await waitUntil('a new connection', () => sluice.isConnected, 20_000);
    const written = await a.put('k', 4, { deadlineMs: 20_000 });
    await b.reached(written, { waitMs: 20_000 });
    assert.deepEqual(
      [contentOf(a), contentOf(b)],
      [
        [
          ['k', 4],
          ['l', 2],
        ],
        [
          ['k', 4],
          ['l', 2],
        ],
      ],
    );
    await waitUntil('young copies', () => a.lag.ms < 1_500 && b.lag.ms < 1_500 && a.lag.events === 0, 20_000);
  });

  it('has every write that was acknowledged before the server crashed under load', async () => {
    const a = await (await clients.connect({ writeDeadlineMs: 20_000 })).open<number>(clients.freshName());
    const [b] = await clients.openIn<number>(1, a.name);
    assert.ok(b !== undefined);
    const acknowledged = new Map<string, number>();
    let isDone = false;
    async function write(worker: number): Promise<void> {
      for (let value = 0; !isDone; value += 1) {
        const key = `w${worker}-${value % 10}`;
        try {
          await a.put(key, value);
          acknowledged.set(key, value);
        } catch (error) {
          if (!isSluiceError(error, 'outcome-unknown')) throw error;
          acknowledged.delete(key);
        }
      }
    }
    const workers = Promise.all([0, 1, 2, 3].map(write));
    await waitUntil('some writes', () => acknowledged.size === 40);
    await server.kill('SIGKILL');
    await server.restart();
    const { revision } = await a.put('after the crash', 1);
    isDone = true;
    await workers;
    assert.ok(revision > 40);
    for (const [key, value] of acknowledged) assert.equal(await b.latest(key, { waitMs: 20_000 }), value, key);
    assert.deepEqual(contentOf(b), contentOf(a));
  });
});

describe('a client whose connection is cut', () => {
  it('catches up with everything that happened meanwhile, and forgets what was deleted', async () => {
    const { sluice, proxy } = await clients.connectThroughProxy({ writeDeadlineMs: 300 });
    const a = await sluice.open<number>(clients.freshName());
    const [b] = await clients.openIn<number>(1, a.name);
    assert.ok(b !== undefined);
    for (let index = 0; index < 50; index += 1) await b.put(`k${index}`, index, { tags: [`t${index % 3}`] });
    await a.latest('k49');
    await proxy.refuse();
    proxy.cut();
    await waitUntil('the loss of the connection', () => !sluice.isConnected);
    await b.put('k1', -1);
    await b.delete('k3');
    await b.invalidateTags(['t2']);
    await b.put('new', 1);
    await watchItAge(a, 1_000);
    // Old, and it says so.
    assert.deepEqual([a.get('k1'), a.get('k3'), a.get('k2'), a.get('new')], [1, 3, 2, undefined]);
    const failed = await refusalOf('log-unavailable', a.put('k1', 7));
    assert.equal(failed.retryable, true);
    await proxy.accept();
    const last = await b.put('last', 1);
    await a.reached(last, { waitMs: 20_000 });
    assert.deepEqual([a.get('k1'), a.get('k3'), a.get('k2'), a.get('new')], [-1, undefined, undefined, 1]);
    assert.deepEqual(contentOf(a), contentOf(b));
    await waitUntil('a young copy', () => a.lag.ms < 1_500, 20_000);
    await b.reached(await a.put('k1', 8), { waitMs: 20_000 });
    assert.equal(b.get('k1'), 8);
  });

  it('is emptied when the cache was cleared meanwhile', async () => {
    const { sluice, proxy } = await clients.connectThroughProxy();
    const a = await sluice.open<number>(clients.freshName());
    const [b] = await clients.openIn<number>(1, a.name);
    assert.ok(b !== undefined);
    for (let index = 0; index < 50; index += 1) await b.put(`k${index}`, index);
    await a.latest('k49');
    await proxy.refuse();
    proxy.cut();
    await waitUntil('the loss of the connection', () => !sluice.isConnected);
    await b.clear();
    const last = await b.put('k1', 7);
    assert.equal(a.size, 50);
    await proxy.accept();
    await a.reached(last, { waitMs: 20_000 });
    assert.deepEqual(contentOf(a), [['k1', 7]]);
  });
});

describe('a client whose network falls silent', () => {
  it('says that the outcome of a write is unknown, and agrees with the others afterwards', async () => {
    const { sluice, proxy } = await clients.connectThroughProxy({ writeDeadlineMs: 500 });
    const a = await sluice.open<number>(clients.freshName());
    const [b] = await clients.openIn<number>(1, a.name);
    assert.ok(b !== undefined);
    await b.reached(await a.put('k', 1));
    proxy.stall();
    await refusalOf('outcome-unknown', a.put('k', 2));
    await b.put('l', 3);
    await watchItAge(a, 1_000);
    assert.deepEqual([a.get('k'), a.get('l')], [1, undefined]);
    proxy.resume();
    const last = await b.put('last', 1);
    await a.reached(last, { waitMs: 30_000 });
    const written = await waitUntil('a write', () => a.put('m', 4).catch(() => undefined), 30_000);
    await b.reached(written);
    await a.latest('k', { waitMs: 20_000 });
    assert.ok([1, 2].includes(a.get('k') ?? 0));
    assert.deepEqual(contentOf(a), contentOf(b));
  });
});
