/** The in-process cache in several clients of one real server: what one writes, the others read, synchronously from memory. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { isSluiceError } from '../../../src/index.ts';
import { createLibraryClients } from '../../support/library-clients.ts';
import { startNatsServer, type TestServer } from '../../support/nats-server.ts';
import { requestJetStream } from '../../support/raw-nats.ts';
import { refusalOf } from '../../support/refusals.ts';
import { waitUntil } from '../../support/wait-until.ts';

interface User {
  readonly name: string;
}

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

/** One cache in two clients. */
async function openTwo<Value>(): Promise<[a: Cache<Value>, b: Cache<Value>]> {
  const [a, b] = await clients.openIn<Value>(2, clients.freshName());
  assert.ok(a !== undefined && b !== undefined);
  return [a, b];
}
type Cache<Value> = Awaited<ReturnType<typeof clients.openIn<Value>>>[number];

describe('reading', () => {
  it('answers from memory, synchronously, what another client wrote, also while the server stands still', async () => {
    const [a, b] = await openTwo<User>();
    const before = Date.now();
    const ann = await a.put('ann', { name: 'Ann' }, { tags: ['staff', 'new'], ttlMs: 60_000 });
    const bob = await a.put('user:bob ☃', { name: 'Bob' });
    await b.reached(bob);
    await server.pause();
    assert.deepEqual(b.get('ann'), { name: 'Ann' });
    const entry = b.entry('ann');
    assert.deepEqual([entry?.value, entry?.revision, entry?.tags], [{ name: 'Ann' }, ann.revision, ['staff', 'new']]);
    assert.equal(entry?.expiresAtMs, a.entry('ann')?.expiresAtMs);
    assert.ok((entry?.expiresAtMs ?? 0) >= before + 60_000);
    assert.ok((entry?.atMs ?? 0) >= before - 1);
    assert.equal(b.entry('user:bob ☃')?.expiresAtMs, Number.POSITIVE_INFINITY);
    assert.deepEqual([b.has('ann'), b.has('zoe'), b.get('zoe'), b.entry('zoe')], [true, false, undefined, undefined]);
    assert.equal(b.size, 2);
    assert.deepEqual([...b.keys()].sort(), ['ann', 'user:bob ☃']);
    assert.deepEqual(
      new Map(b.entries()),
      new Map([
        ['ann', { name: 'Ann' }],
        ['user:bob ☃', { name: 'Bob' }],
      ]),
    );
    assert.deepEqual([b.stats.hits > 0, b.stats.entries], [true, 2]);
  });

  it('shows a client its own write at once, whatever the echo from the log does', async () => {
    const [a] = await openTwo<number>();
    for (let value = 0; value < 200; value += 1) {
      const { revision } = await a.put('k', value);
      assert.deepEqual([a.get('k'), a.entry('k')?.revision], [value, revision]);
      if (value % 3 !== 0) continue;
      await a.delete('k');
      assert.equal(a.get('k'), undefined);
    }
  });

  it('tells falsy values from absent ones, in every client', async () => {
    const [a, b] = await openTwo<unknown>();
    for (const value of [null, 0, '', false]) {
      await b.reached(await a.put('k', value));
      assert.deepEqual([a.get('k'), b.get('k'), b.has('k')], [value, value, true]);
    }
  });
});

describe('writing', () => {
  it('with a life ends in every client when that is over', async () => {
    const [a, b] = await openTwo<number>();
    await a.put('long', 1, { ttlMs: 60_000 });
    const short = await a.put('short', 1, { ttlMs: 400 });
    await b.reached(short);
    const expiresAtMs = a.entry('short')?.expiresAtMs ?? Date.now();
    await waitUntil('the end of its life', () => a.get('short') === undefined && b.get('short') === undefined);
    assert.ok(Date.now() >= expiresAtMs);
    assert.deepEqual([a.get('long'), b.get('long')], [1, 1]);
    assert.equal(await b.latest('short'), undefined);
    // What has expired does not exist.
    await b.put('short', 2, { ifAbsent: true });
    assert.equal(await a.latest('short'), 2);
  });

  it('creates only once, and says which revision is in the way', async () => {
    const [a, b] = await openTwo<string>();
    const outcomes = await Promise.allSettled(
      [a, b, a, b, a, b].map((cache, index) => cache.put('k', `${index}`, { ifAbsent: true })),
    );
    const winners = outcomes.flatMap((outcome, index) =>
      outcome.status === 'fulfilled' ? [{ index, revision: outcome.value.revision }] : [],
    );
    assert.equal(winners.length, 1);
    for (const outcome of outcomes) {
      if (outcome.status === 'fulfilled') continue;
      assert.ok(isSluiceError(outcome.reason, 'position-conflict'), String(outcome.reason));
      assert.equal(outcome.reason.details['current'], winners[0]?.revision);
    }
    assert.equal(await a.latest('k'), `${winners[0]?.index}`);
    assert.equal(await b.latest('k'), `${winners[0]?.index}`);
  });

  it('replaces a revision only once, so that counting together loses nothing', async () => {
    const [a, b] = await openTwo<number>();
    await b.reached(await a.put('count', 0));
    async function increment(cache: Cache<number>): Promise<void> {
      for (;;) {
        const { value, revision } = cache.entry('count') ?? { value: 0, revision: 0 };
        try {
          await cache.put('count', value + 1, { ifRevision: revision });
          return;
        } catch (error) {
          if (!isSluiceError(error, 'position-conflict')) throw error;
          await cache.latest('count');
        }
      }
    }
    async function incrementTimes(cache: Cache<number>): Promise<void> {
      for (let done = 0; done < 25; done += 1) await increment(cache);
    }
    await Promise.all([a, b, a, b].map(incrementTimes));
    assert.deepEqual([await a.latest('count'), await b.latest('count')], [100, 100]);
  });

  it('deletes everywhere, also by revision, and also what is not there', async () => {
    const [a, b] = await openTwo<number>();
    await a.delete('never');
    const { revision } = await a.put('k', 1);
    await b.reached(await a.put('k', 2));
    const refusal = await refusalOf('position-conflict', b.delete('k', { ifRevision: revision }));
    assert.equal(refusal.details['current'], b.entry('k')?.revision);
    const deleted = await b.delete('k', { ifRevision: b.entry('k')?.revision ?? 0 });
    await a.reached(deleted);
    assert.deepEqual([a.get('k'), b.get('k')], [undefined, undefined]);
    await a.put('k', 3, { ifAbsent: true });
    assert.equal(await b.latest('k'), 3);
  });

  it('ends with its signal: nothing was sent, or the outcome is unknown', async () => {
    const [a, b] = await openTwo<number>();
    await refusalOf('aborted', a.put('k', 1, { signal: AbortSignal.abort() }));
    assert.equal(await b.latest('k'), undefined);
    await server.pause();
    const controller = new AbortController();
    const written = refusalOf('outcome-unknown', a.put('k', 2, { signal: controller.signal }));
    setImmediate(() => controller.abort());
    await written;
    server.resume();
    // The server answers questions before it has stored what waits: only what follows it shows that it is decided.
    await a.put('later', 3);
    // Whatever the outcome was, it is the same for both.
    assert.equal(await a.latest('k'), await b.latest('k'));
  });

  it('refuses what cannot be written, and writes nothing', async () => {
    const [a, b] = await openTwo<unknown>();
    await refusalOf('bad-key', a.put('', 1));
    await refusalOf('bad-request', a.put('k', undefined));
    await refusalOf('bad-request', a.put('k', 1, { ttlMs: 0 }));
    await refusalOf('bad-request', a.put('k', 1, { ifAbsent: true, ifRevision: 1 }));
    await refusalOf('bad-request', a.put('k', 1, { tags: [''] }));
    await refusalOf('bad-request', a.invalidateTags([]));
    await refusalOf('too-large', a.put('k', 'x'.repeat(2_000_000)));
    assert.equal(await b.latest('k'), undefined);
  });
});

describe('clearing and invalidating', () => {
  it('empties the cache in every client, and keeps what is written afterwards', async () => {
    const [a, b] = await openTwo<number>();
    await Promise.all(Array.from({ length: 100 }, (_, index) => a.put(`k${index}`, index)));
    await b.clear();
    assert.equal(b.size, 0);
    await a.reached(await b.put('k1', 7));
    assert.deepEqual([[...a.entries()], [...b.entries()]], [[['k1', 7]], [['k1', 7]]]);
    const late = (await clients.openIn<number>(1, a.name))[0];
    assert.deepEqual([...(late?.entries() ?? [])], [['k1', 7]]);
  });

  it('removes what carries one of the tags, everywhere and for those who come later', async () => {
    const [a, b] = await openTwo<number>();
    await a.put('red', 1, { tags: ['red'] });
    await a.put('blue', 2, { tags: ['blue'] });
    await a.put('both', 3, { tags: ['red', 'blue'] });
    await b.reached(await a.put('none', 4));
    await b.invalidateTags(['red', 'unused']);
    assert.deepEqual([...b.keys()].sort(), ['blue', 'none']);
    await a.reached(await b.put('red', 5, { tags: ['red'] }));
    assert.deepEqual([...a.keys()].sort(), ['blue', 'none', 'red']);
    const late = (await clients.openIn<number>(1, a.name))[0];
    assert.deepEqual([...(late?.keys() ?? [])].sort(), ['blue', 'none', 'red']);
    assert.equal(await late?.latest('both'), undefined);
  });
});

describe('a client that clears and ends at once', () => {
  /** The header block of the newest message of a key. */
  async function headerOf(bucket: string, key: string): Promise<string> {
    const found = await requestJetStream(server.port, `STREAM.MSG.GET.KV_${bucket}`, {
      last_by_subj: `$KV.${bucket}.${key}`,
    });
    const { hdrs } = (found?.['message'] ?? {}) as { readonly hdrs?: string };
    return Buffer.from(hdrs ?? '', 'base64').toString();
  }

  it('has deleted what a tag invalidation ended, so that no other KV client sees it', async () => {
    const name = clients.freshName();
    const sluice = await clients.connect();
    const cache = await sluice.open(name);
    await Promise.all(Array.from({ length: 200 }, (_, index) => cache.put(`key${index}`, index, { tags: ['t'] })));
    await cache.invalidateTags(['t']);
    await sluice.close();
    for (let index = 0; index < 200; index += 1)
      assert.match(await headerOf(name, `key${index}`), /^KV-Operation: DEL\r$/m);
  });

  it('has purged what the clear ended', async () => {
    const name = clients.freshName();
    const sluice = await clients.connect();
    const cache = await sluice.open(name);
    await Promise.all(Array.from({ length: 200 }, (_, index) => cache.put(`key${index}`, index)));
    await cache.clear();
    await sluice.close();
    const info = await requestJetStream(server.port, `STREAM.INFO.KV_${name}`);
    const { messages } = (info?.['state'] ?? {}) as { readonly messages?: number };
    assert.equal(messages, 1, 'the clear alone');
  });
});
