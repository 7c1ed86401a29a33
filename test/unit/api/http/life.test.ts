/** The life of the door: a port of its own, an end that loses no request and takes no longer than it may. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createHttpDoor } from '../../../../src/api/http/server.ts';
import { systemClock } from '../../../../src/base/clock.ts';
import { loadSettings } from '../../../../src/config/load.ts';
import { isSluiceError } from '../../../../src/errors.ts';
import { createFakeNode } from '../../../support/fake-node-service.ts';
import { openEvents, openRaw, startDoor, type TestDoor } from '../../../support/http-door.ts';
import { waitUntil } from '../../../support/wait-until.ts';

const key = '/v1/caches/demo/keys/k';
const head = (method: string, path: string, ...headers: string[]): string =>
  [`${method} ${path} HTTP/1.1`, 'Host: x', ...headers, '', ''].join('\r\n');

/** Makes reads wait; returns the way to let them go on. */
function holdReads(door: TestDoor): { readonly waiting: () => number; release(): void } {
  const { service } = door.node.cache('demo');
  const { get } = service;
  const held: (() => void)[] = [];
  Object.assign(service, {
    async get(...read: Parameters<typeof get>) {
      await new Promise<void>((resolve) => {
        held.push(resolve);
      });
      return get(...read);
    },
  });
  return {
    waiting: () => held.length,
    release() {
      for (const resolve of held.splice(0)) resolve();
    },
  };
}

describe('the life of the HTTP door', () => {
  it('begins on a port that the system chooses, and says which', async () => {
    const door = await startDoor();
    assert.ok(door.port > 0);
    assert.equal(door.door.address, `127.0.0.1:${door.port}`);
    await door.door.start();
    await door.stop();
    assert.equal(door.door.port, 0);
    await door.door.stop();
  });

  it('does not begin where another listens, or where there is no such address', async () => {
    const door = await startDoor();
    const { http, read, watch } = loadSettings({ env: {} });
    const second = (host: string, port: number) =>
      createHttpDoor({
        service: createFakeNode(),
        settings: { http: { ...http, host, port }, read, watch },
        clock: systemClock,
      });
    await assert.rejects(
      second('127.0.0.1', door.port).start(),
      (error) => isSluiceError(error, 'in-use') && error.message.includes(String(door.port)),
    );
    await assert.rejects(second('192.0.2.1', 0).start(), (error) => isSluiceError(error, 'bad-config'));
    await door.stop();
  });

  it('can end before it has begun', async () => {
    const { http, read, watch } = loadSettings({ env: {} });
    const door = createHttpDoor({ service: createFakeNode(), settings: { http, read, watch }, clock: systemClock });
    await door.stop();
    await assert.rejects(door.start(), (error) => isSluiceError(error, 'closed'));
  });

  it('ends when the requests under way have their answers, and accepts no new ones', async () => {
    const door = await startDoor();
    const held = holdReads(door);
    const busy = await openRaw(door.port);
    busy.send(head('GET', key));
    const idle = await openRaw(door.port);
    idle.send(head('GET', '/healthz'));
    await idle.received(/200 OK/);
    const silent = await openRaw(door.port);
    await waitUntil('the read', () => held.waiting() === 1);
    let isDrained = false;
    const draining = door.door.drain().then(() => {
      isDrained = true;
    });
    await idle.closed();
    await silent.closed();
    await assert.rejects(openRaw(door.port));
    assert.equal(isDrained, false);
    held.release();
    const text = await busy.closed();
    assert.match(text, /^HTTP\/1\.1 404 [\s\S]*Connection: close/);
    await draining;
    await door.stop();
  });

  it('ends streams of events with a reason', async () => {
    const door = await startDoor();
    const reader = await openEvents(door.port, '/v1/caches/demo/watch');
    await door.node.cache('demo').service.put('k', Buffer.from('x'));
    await reader.named('put');
    await door.door.drain();
    assert.equal((await reader.named('dropped'))[0]?.['code'], 'not-ready');
    await waitUntil('closed', () => reader.isClosed);
    assert.equal(door.node.openWatches, 0);
    await door.stop();
  });

  it('ends in the time it has, whatever is still under way', async () => {
    const door = await startDoor({ http: { drainTimeoutMs: 50 } });
    const held = holdReads(door);
    const busy = await openRaw(door.port);
    busy.send(head('GET', key));
    await waitUntil('the read', () => held.waiting() === 1);
    await door.door.drain();
    await busy.closed();
    held.release();
    await door.stop();
    assert.deepEqual(door.logged, []);
  });

  it('keeps connections for as long as it is told, also not at all', async () => {
    const door = await startDoor({ http: { keepAliveTimeoutMs: 0 } });
    const raw = await openRaw(door.port);
    raw.send(head('GET', '/healthz'));
    assert.match(await raw.closed(), /Connection: close/);
    await door.stop();
  });
});
