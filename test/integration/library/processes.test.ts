/** The library in processes of their own: what they read of each other, how they end, and what they leave behind. */
import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { after, afterEach, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { ChildAnswer, ChildCall } from '../../support/library-child.ts';
import { consumersOf, createLibraryClients } from '../../support/library-clients.ts';
import { startNatsServer, type TestServer } from '../../support/nats-server.ts';
import { requestJetStream } from '../../support/raw-nats.ts';
import { refusalOf } from '../../support/refusals.ts';

let server: TestServer;
const clients = createLibraryClients(() => server.port);
const children = new Set<ChildProcess>();

before(async () => {
  server = await startNatsServer();
});
after(() => server.stop());
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  children.clear();
  await clients.end();
});

interface Child {
  readonly process: ChildProcess;
  call(call: ChildCall): Promise<ChildAnswer>;
}

async function startChild(cache: string, url = server.url): Promise<Child> {
  const child = fork(fileURLToPath(new URL('../../support/library-child.js', import.meta.url)), [url, cache]);
  children.add(child);
  const exited = once(child, 'exit');
  const answer = async (): Promise<ChildAnswer> => {
    const [result] = await Promise.race([
      once(child, 'message'),
      exited.then(([code]) => assert.fail(`the child ended with ${code}`)),
    ]);
    return result as ChildAnswer;
  };
  await answer();
  return {
    process: child,
    call(call) {
      const answered = answer();
      child.send(call);
      return answered;
    },
  };
}

describe('a process with the library', () => {
  it('reads at the position that it was handed what another process wrote', async () => {
    const cache = await (await clients.connect()).open<number>(clients.freshName());
    const child = await startChild(cache.name);
    for (let value = 0; value < 100; value += 1) {
      const written = await cache.put('k', value);
      assert.deepEqual(await child.call({ call: 'reachAndGet', key: 'k', written }), { value });
      const back = await child.call({ call: 'put', key: 'k', value: -value });
      assert.ok(back.written !== undefined, back.code);
      await cache.reached(back.written);
      assert.equal(cache.get('k'), -value + 0);
    }
  });

  it('finds what another process has loaded', async () => {
    const cache = await (await clients.connect()).open<number>(clients.freshName());
    const child = await startChild(cache.name);
    assert.deepEqual(await child.call({ call: 'getOrLoad', key: 'k', value: 1 }), { value: 1 });
    await cache.latest('k');
    assert.equal(await cache.getOrLoad('k', () => 2), 1);
  });

  it('ends by itself once it has closed the library, and leaves no consumer behind', async () => {
    // Of its own: consumers of processes that were killed stay for a while.
    const own = await startNatsServer();
    try {
      const child = await startChild('demo', own.url);
      assert.equal((await consumersOf(own.port, 'KV_demo')).length, 1);
      assert.equal((await consumersOf(own.port, 'SLUICE')).length, 1);
      const ended = once(child.process, 'exit');
      assert.deepEqual(await child.call({ call: 'close' }), {});
      assert.deepEqual(await ended, [0, null]);
      assert.deepEqual(await consumersOf(own.port, 'KV_demo'), []);
      assert.deepEqual(await consumersOf(own.port, 'SLUICE'), []);
    } finally {
      await own.stop();
    }
  });

  it('that is killed loses nothing that it was told is written, and the server forgets its consumer in time', async () => {
    const cache = await (await clients.connect()).open<number>(clients.freshName());
    const child = await startChild(cache.name);
    for (let value = 0; value < 20; value += 1) await child.call({ call: 'put', key: `k${value}`, value });
    const ended = once(child.process, 'exit');
    child.process.kill('SIGKILL');
    await ended;
    assert.equal(await cache.latest('k19'), 19);
    assert.equal(cache.size, 20);
    const stream = `KV_${cache.name}`;
    const consumers = await consumersOf(server.port, stream);
    assert.equal(consumers.length, 2);
    for (const consumer of consumers) {
      const info = await requestJetStream(server.port, `CONSUMER.INFO.${stream}.${consumer}`);
      const config = info?.['config'] as { inactive_threshold?: number } | undefined;
      const nanoseconds = config?.inactive_threshold ?? 0;
      assert.ok(nanoseconds > 0 && nanoseconds <= 60e9, `${nanoseconds} ns`);
    }
  });
});

describe('closing', () => {
  it('settles what is under way, leaves no consumer, and may be done twice', async () => {
    const sluice = await clients.connect();
    const cache = await sluice.open<number>(clients.freshName());
    await cache.put('k', 1);
    const under = Array.from({ length: 50 }, (_, index) =>
      cache.put(`k${index}`, index).then(
        () => 'stored',
        (error: unknown) => (error as { code?: string }).code,
      ),
    );
    const waiting = refusalOf('closed', cache.reached(9_999));
    const changes = cache.changes();
    await Promise.all([sluice.close(), sluice.close()]);
    for (const outcome of await Promise.all(under))
      assert.ok(['stored', 'outcome-unknown', 'log-unavailable', 'closed'].includes(outcome ?? ''), outcome);
    await waiting;
    while (!(await changes.next()).done);
    await sluice.close();
    assert.deepEqual([cache.get('k'), cache.size, cache.isReady], [undefined, 0, false]);
    await refusalOf('closed', cache.put('k', 2));
    await refusalOf('closed', sluice.open(cache.name));
    assert.deepEqual(await consumersOf(server.port, `KV_${cache.name}`), []);
  });

  it('does not wait for a server that is gone', async () => {
    const own = await startNatsServer();
    try {
      const sluice = await clients.connect({ servers: own.url });
      const cache = await sluice.open<number>('gone');
      await cache.put('k', 1);
      await own.kill();
      await sluice.close();
      assert.equal(cache.get('k'), undefined);
    } finally {
      await own.stop();
    }
  });
});
