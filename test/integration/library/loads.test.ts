/**
 * Loading through the cache with several clients on one real server. What is invalidated or written while a loader runs wins
 * over the loaded value, in every client and for every client that comes later.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { systemClock } from '../../../src/base/clock.ts';
import type { CoherentCache, LoadOptions } from '../../../src/index.ts';
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

type Cache = CoherentCache<string>;

async function openTwo(): Promise<[a: Cache, b: Cache]> {
  const [a, b] = await clients.openIn<string>(2, clients.freshName());
  assert.ok(a !== undefined && b !== undefined);
  return [a, b];
}

/** Begins a load whose loader ends when it is told to. */
function beginLoad(
  cache: Cache,
  key: string,
  options: LoadOptions = {},
): { readonly result: Promise<string | undefined>; finish(value: string): void; fail(error: Error): void } {
  const { promise, resolve, reject } = withResolvers<string>();
  const result = cache.getOrLoad(key, () => promise, options);
  return { result, finish: resolve, fail: reject };
}

function withResolvers<Value>(): {
  promise: Promise<Value>;
  resolve(value: Value): void;
  reject(error: Error): void;
} {
  let resolve: (value: Value) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<Value>((onValue, onError) => {
    resolve = onValue;
    reject = onError;
  });
  return { promise, resolve, reject };
}

/** What all clients read once everything that is in the log has arrived, and what a new client reads. */
async function readEverywhere(key: string, caches: readonly Cache[]): Promise<(string | undefined)[]> {
  const [late] = await clients.openIn<string>(1, caches[0]?.name ?? '');
  const all = [...caches, ...(late === undefined ? [] : [late])];
  return Promise.all(all.map((cache) => cache.latest(key)));
}

describe('getOrLoad', () => {
  it('loads once for all who ask at the same time, and stores for every client', async () => {
    const [a, b] = await openTwo();
    let calls = 0;
    const load = async (key: string): Promise<string> => {
      calls += 1;
      await new Promise((resolve) => setImmediate(resolve));
      return `${key} ${calls}`;
    };
    const answers = await Promise.all(Array.from({ length: 50 }, () => a.getOrLoad('k', load, { tags: ['t'] })));
    assert.deepEqual([new Set(answers), calls], [new Set(['k 1']), 1]);
    assert.deepEqual(await readEverywhere('k', [a, b]), ['k 1', 'k 1', 'k 1']);
    assert.equal(await b.getOrLoad('k', load), 'k 1');
    assert.deepEqual([calls, a.stats.loads, b.stats.loads], [1, 1, 0]);
    assert.deepEqual(b.entry('k')?.tags, ['t']);
  });

  it('hands a failure to all who wait, and does not remember it', async () => {
    const [a, b] = await openTwo();
    const load = beginLoad(a, 'k');
    const others = Array.from({ length: 5 }, () => a.getOrLoad('k', () => 'not asked'));
    load.fail(new Error('the source is down'));
    for (const waiting of [load.result, ...others]) await assert.rejects(waiting, /^Error: the source is down$/);
    assert.deepEqual(await readEverywhere('k', [a, b]), [undefined, undefined, undefined]);
    assert.equal(await a.getOrLoad('k', () => 'second'), 'second');
    assert.deepEqual([a.stats.loads, a.stats.loadFailures], [2, 1]);
    await assert.rejects(
      a.getOrLoad('l', () => {
        throw new Error('at once');
      }),
      /at once/,
    );
  });

  it('stores nothing when there is nothing', async () => {
    const [a, b] = await openTwo();
    assert.equal(await a.getOrLoad('k', () => undefined), undefined);
    assert.deepEqual(await readEverywhere('k', [a, b]), [undefined, undefined, undefined]);
  });

  it('ends one caller’s waiting with its signal, and the load for the others goes on', async () => {
    const [a] = await openTwo();
    const controller = new AbortController();
    const load = beginLoad(a, 'k', { signal: controller.signal });
    const other = a.getOrLoad('k', () => 'not asked');
    controller.abort();
    await refusalOf('aborted', load.result);
    load.finish('v');
    assert.equal(await other, 'v');
    assert.equal(a.get('k'), 'v');
  });

  it('tells the loader when the connection is closed', async () => {
    const sluice = await clients.connect();
    const cache = await sluice.open<string>(clients.freshName());
    let told: AbortSignal | undefined;
    const { promise, resolve } = withResolvers<string>();
    const result = cache.getOrLoad('k', (_, signal) => {
      told = signal;
      signal.addEventListener('abort', () => resolve('given up'));
      return promise;
    });
    await waitUntil('the loader to run', () => told !== undefined);
    await sluice.close();
    assert.equal(told?.aborted, true);
    assert.equal(await result, 'given up');
  });
});

describe('a loaded value', () => {
  const events: readonly (readonly [what: string, act: (b: Cache) => Promise<unknown>, after: string | undefined])[] = [
    ['a tag invalidation', (b) => b.invalidateTags(['t']), undefined],
    ['a clear', (b) => b.clear(), undefined],
    ['a newer put', (b) => b.put('k', 'newer'), 'newer'],
    ['a put and its delete', (b) => b.put('k', 'newer').then(() => b.delete('k')), undefined],
    ['a delete', (b) => b.delete('k'), undefined],
  ];
  for (const [what, act, expected] of events) {
    it(`never undoes ${what} by another client that came while it was being loaded`, async () => {
      const [a, b] = await openTwo();
      const load = beginLoad(a, 'k', { tags: ['t'] });
      await act(b);
      load.finish('outdated');
      assert.equal(await load.result, 'outdated');
      assert.deepEqual(await readEverywhere('k', [a, b]), [expected, expected, expected]);
      assert.equal(a.stats.loadsFenced, 1);
      assert.equal(await a.getOrLoad('k', () => 'fresh', { tags: ['t'] }), expected ?? 'fresh');
      assert.equal(await b.latest('k'), expected ?? 'fresh');
    });

    it(`never undoes ${what} of which this client has not heard when it stores the value`, async () => {
      const { sluice, proxy } = await clients.connectThroughProxy();
      const a = await sluice.open<string>(clients.freshName());
      const [b] = await clients.openIn<string>(1, a.name);
      assert.ok(b !== undefined);
      await a.reached(await b.put('other', 'anchor'));
      const load = beginLoad(a, 'k', { tags: ['t'] });
      proxy.stall();
      await act(b);
      load.finish('outdated');
      await new Promise((resolve) => setImmediate(resolve));
      proxy.resume();
      assert.equal(await load.result, 'outdated');
      await waitUntil('the stored value to be taken back', async () => (await b.latest('k')) === expected);
      assert.deepEqual(await readEverywhere('k', [a, b]), [expected, expected, expected]);
    });
  }

  it('is one of those that two clients loaded at the same time, the same one everywhere', async () => {
    const [a, b] = await openTwo();
    const here = beginLoad(a, 'k');
    const there = beginLoad(b, 'k');
    here.finish('of a');
    there.finish('of b');
    assert.deepEqual([await here.result, await there.result], ['of a', 'of b']);
    const [first, ...rest] = await readEverywhere('k', [a, b]);
    assert.match(first ?? '', /^of [ab]$/);
    for (const other of rest) assert.equal(other, first);
  });

  it('is kept by this process alone while the log is away, and gives way to what the log has', async () => {
    const { sluice, proxy } = await clients.connectThroughProxy();
    const a = await sluice.open<string>(clients.freshName());
    const [b] = await clients.openIn<string>(1, a.name);
    assert.ok(b !== undefined);
    await proxy.refuse();
    proxy.cut();
    await waitUntil('the loss of the connection', () => !sluice.isConnected);
    assert.equal(await a.getOrLoad('k', () => 'local'), 'local');
    assert.deepEqual([a.get('k'), a.entry('k')?.revision, await b.latest('k')], ['local', 0, undefined]);
    const written = await b.put('k', 'of b');
    await proxy.accept();
    await a.reached(written, { waitMs: 20_000 });
    assert.deepEqual([a.get('k'), b.get('k')], ['of b', 'of b']);
  });
});

describe('a stale value', () => {
  /** A client whose wall clock can be set forward. */
  async function openLater(name: string): Promise<{ cache: Cache; later(ms: number): void }> {
    let aheadMs = 0;
    const clock = { ...systemClock, now: () => systemClock.now() + aheadMs };
    const cache = await (await clients.connect({ clock })).open<string>(name);
    return { cache, later: (ms) => (aheadMs += ms) };
  }

  it('is given while it is loaded anew in the background, for as long as allowed', async () => {
    const { cache, later } = await openLater(clients.freshName());
    const options = { ttlMs: 60_000, staleWhileRevalidateMs: 600_000 };
    assert.equal(await cache.getOrLoad('k', () => 'first', options), 'first');
    later(61_000);
    assert.equal(cache.get('k'), 'first');
    const { promise, resolve } = withResolvers<string>();
    const load = (): Promise<string> => promise;
    assert.equal(await cache.getOrLoad('k', load, options), 'first');
    assert.equal(await cache.getOrLoad('k', load, options), 'first');
    resolve('second');
    await waitUntil('the value loaded in the background', () => cache.get('k') === 'second');
    assert.equal(cache.stats.loads, 2);
  });

  it('is given for as long as allowed when the loader fails, and no longer', async () => {
    const { cache, later } = await openLater(clients.freshName());
    const options = { ttlMs: 60_000, staleIfErrorMs: 600_000 };
    const fail = (): never => {
      throw new Error('the source is down');
    };
    await cache.getOrLoad('k', () => 'first', options);
    later(61_000);
    assert.equal(await cache.getOrLoad('k', fail, options), 'first');
    assert.equal(await cache.getOrLoad('k', () => 'second', options), 'second');
    later(661_000);
    await assert.rejects(cache.getOrLoad('k', fail, options), /the source is down/);
  });
});

describe('memoize', () => {
  it('remembers by arguments, for every client', async () => {
    const [a, b] = await openTwo();
    let calls = 0;
    const greet = (name: string, { loud = false } = {}): string => {
      calls += 1;
      return `hello ${name}${loud ? '!' : ''}`;
    };
    const here = a.memoize(greet, { tags: ['greeting'] });
    const there = b.memoize(greet);
    assert.deepEqual(
      [await here('Ann'), await here('Ann'), await here('Ann', { loud: true })],
      ['hello Ann', 'hello Ann', 'hello Ann!'],
    );
    assert.equal(calls, 2);
    await b.latest('anything');
    assert.equal(await there('Ann'), 'hello Ann');
    assert.equal(calls, 2);
    await b.invalidateTags(['greeting']);
    assert.equal(await there('Ann'), 'hello Ann');
    assert.equal(calls, 3);
    await refusalOf('bad-request', a.memoize((when: Date) => String(when))(new Date(0)));
    const named = a.memoize((when: Date) => String(when.getTime()), { key: (when) => `at ${when.getTime()}` });
    assert.deepEqual([await named(new Date(7)), a.get('at 7')], ['7', '7']);
  });
});
