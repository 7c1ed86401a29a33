/**
 * The publisher on one real server, with a network that loses, delays and tears apart. What it says must be true: an
 * acknowledged write is stored exactly once, a failed one is not, and an unknown one is called unknown.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { isSluiceError, type SluiceError } from '../../src/errors.ts';
import type { LogWrite } from '../../src/events/record.ts';
import type { Appended, Log } from '../../src/log/log.ts';
import type { Link, LinkOptions } from '../../src/nats/link.ts';
import { createNatsLog } from '../../src/nats/nats-log.ts';
import type { Publisher, PublisherLimits } from '../../src/nats/publisher.ts';
import { deleteStream, type StreamInfo } from '../../src/nats/stream-api.ts';
import { startHoldingProxy } from '../support/holding-proxy.ts';
import { connectTo, freshBucket, makeStream, publisherOf } from '../support/log-harness.ts';
import { startNatsServer, type TestServer } from '../support/nats-server.ts';
import { readStored } from '../support/stored-messages.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { waitUntil } from '../support/wait-until.ts';

interface Writing {
  readonly log: Log;
  readonly link: Link;
  readonly publisher: Publisher;
}

const everything = { messagesPerSubject: Number.POSITIVE_INFINITY };
const isCode = (code: Parameters<typeof isSluiceError>[1]) => (error: unknown) => isSluiceError(error, code);

describe('the publisher', () => {
  let server: TestServer;
  let proxy: TcpProxy;
  let direct: Writing;
  let bucket: string;
  let stream: StreamInfo;
  const closers: (() => Promise<unknown> | unknown)[] = [];

  before(async () => {
    server = await startNatsServer();
  });
  after(() => server.stop());

  beforeEach(async () => {
    proxy = await startTcpProxy(server.port);
    closers.push(() => proxy.close());
  });
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });

  async function make(
    settings: Parameters<typeof freshBucket>[0] = {},
    overrides: Record<string, unknown> = {},
  ): Promise<void> {
    const fresh = freshBucket(settings);
    bucket = fresh.bucket;
    const link = await connectTo(server.port);
    stream = await makeStream(link, { ...fresh.config, ...overrides });
    direct = writingOn(link);
    closers.push(() => link.close());
    closers.push(() => deleteStream(link, stream.config.name, 5_000).catch(() => false));
  }

  function writingOn(link: Link, limits: Partial<PublisherLimits> = {}): Writing {
    const publisher = publisherOf(link, limits);
    closers.push(() => publisher.close());
    return { log: createNatsLog({ link, publisher, clock: systemClock, info: stream }), link, publisher };
  }

  async function through(
    port: number,
    limits: Partial<PublisherLimits> = {},
    options: Partial<LinkOptions> = {},
  ): Promise<Writing> {
    const link = await connectTo(port, options);
    closers.push(() => link.close());
    return writingOn(link, limits);
  }

  const writeOf = (key: string, body = key): LogWrite => ({
    subject: `$KV.${bucket}.${key}`,
    fields: '',
    data: new TextEncoder().encode(body),
  });

  /** Each promise kept: stored exactly once, at the position that was named. */
  async function assertStoredOnce(kept: readonly { appended: Appended; body: string }[]): Promise<void> {
    const stored = await readStored(direct.log);
    const counts = new Map<string, number>();
    for (const { body } of stored) counts.set(body, (counts.get(body) ?? 0) + 1);
    const at = new Map(stored.map(({ position, body }) => [position, body]));
    for (const { appended, body } of kept) {
      assert.equal(at.get(appended.position), body);
      assert.equal(counts.get(body), 1, `${body} is stored ${counts.get(body)} times`);
    }
  }

  it('keeps to its window, in writes and in bytes, and to the order of the calls', async () => {
    await make(everything);
    const limits = { writesInFlightMax: 50, bytesInFlightMax: 20_000 };
    const { log, publisher } = await through(server.port, limits);
    let writesMax = 0;
    let bytesMax = 0;
    const look = (): void => {
      writesMax = Math.max(writesMax, publisher.inFlight);
      bytesMax = Math.max(bytesMax, publisher.bytesInFlight);
    };
    publisher.onAcknowledged = look;
    const body = 'x'.repeat(600);
    const appending = Array.from({ length: 3_000 }, (_, index) => {
      const one = log.append(writeOf('key', index % 5 === 0 ? body : `${index}`));
      look();
      return one;
    });
    const appended = await Promise.all(appending);
    assert.deepEqual(
      appended.map(({ position }) => position),
      appended.map((_, index) => index + 1),
    );
    assert.ok(writesMax <= limits.writesInFlightMax && writesMax > 10, `${writesMax} writes in flight`);
    assert.ok(bytesMax <= limits.bytesInFlightMax, `${bytesMax} bytes in flight`);
    assert.deepEqual([publisher.inFlight, publisher.bytesInFlight, publisher.waiting], [0, 0, 0]);
    await log.append(writeOf('big', 'y'.repeat(100_000)));
    assert.equal(publisher.counters.acknowledged, 3_001);
  });

  it('lets callers wait within limits, and sends nothing twice into a connection that stands still', async () => {
    await make(everything);
    const limits = { writesInFlightMax: 20, waitingMax: 100, attemptMs: 200 };
    const { log, link, publisher } = await through(proxy.port, limits, { pingIntervalMs: 60_000 });
    proxy.stall();
    const { outMsgs } = link.connection.stats();
    const appending = Array.from({ length: 120 }, (_, index) => log.append(writeOf('key', `${index}`)));
    await assert.rejects(log.append(writeOf('key', 'too many')), isCode('rate-limited'));
    assert.deepEqual([publisher.inFlight, publisher.waiting], [20, 100]);
    const startedAtMs = systemClock.monotonic();
    await waitUntil('several attempts', () => systemClock.monotonic() - startedAtMs > 5 * limits.attemptMs);
    assert.equal(link.connection.stats().outMsgs - outMsgs, 20, 'each of the window once');
    assert.equal(publisher.counters.retried, 0);
    proxy.resume();
    const appended = await Promise.all(appending);
    await assertStoredOnce(appended.map((one, index) => ({ appended: one, body: `${index}` })));
    assert.equal((await direct.log.bounds()).last, 120);
  });

  it('stores each write once, in order, when the connection is cut again and again right after sending', async () => {
    await make(everything);
    const { log, link, publisher } = await through(proxy.port);
    const kept: { appended: Appended; body: string }[] = [];
    for (let round = 0; round < 12; round += 1) {
      const bodies = Array.from({ length: 100 }, (_, index) => `${round}-${index}`);
      const appending = bodies.map((body) => log.append(writeOf('key', body)));
      // At another moment of the exchange each time.
      for (let turn = 0; turn < round % 4; turn += 1) await systemClock.yield();
      const { reconnects } = link;
      proxy.cut();
      const appended = await Promise.all(appending);
      kept.push(...appended.map((one, index) => ({ appended: one, body: bodies[index] ?? '' })));
      await waitUntil('a new connection', () => link.reconnects > reconnects);
    }
    await assertStoredOnce(kept);
    const positions = kept.map(({ appended }) => appended.position);
    assert.deepEqual(
      positions,
      positions.map((_, index) => index + 1),
    );
    assert.ok(publisher.counters.retried > 0);
    assert.equal(publisher.counters.unknown, 0);
  });

  it('recognises its own write when the acknowledgement was lost', async () => {
    await make(everything);
    const slow = await startHoldingProxy(server.port);
    closers.push(() => slow.close());
    const { log } = await through(slow.port);
    for (const [key, options] of [
      ['plain', {}],
      ['created', { expected: 0 }],
    ] as const) {
      const { last } = await direct.log.bounds();
      slow.hold();
      const appending = log.append(writeOf(key), options);
      await waitUntil('it is stored', async () => (await direct.log.bounds()).last > last);
      slow.cut();
      assert.deepEqual(await appending, { position: last + 1, isDuplicate: true });
      assert.equal((await direct.log.bounds()).last, last + 1);
    }
    // Stored, acknowledgement lost, and overwritten before it could ask: nobody can tell any more.
    const { last } = await direct.log.bounds();
    slow.hold();
    const appending = log.append(writeOf('contested'), { expected: 0 });
    await waitUntil('it is stored', async () => (await direct.log.bounds()).last > last);
    await direct.log.append(writeOf('contested', 'by another'));
    slow.cut();
    const outcome = await appending.catch((error: unknown) => error);
    if (outcome instanceof Error) assert.ok(isSluiceError(outcome, 'outcome-unknown'), `${outcome}`);
    else assert.deepEqual(outcome, { position: last + 1, isDuplicate: true });
  });

  it('says that it does not know when no acknowledgement arrives before the deadline', async () => {
    await make(everything);
    const slow = await startHoldingProxy(server.port);
    closers.push(() => slow.close());
    const { log, publisher } = await through(slow.port, {}, { pingIntervalMs: 60_000 });
    slow.hold();
    const startedAtMs = systemClock.monotonic();
    await assert.rejects(log.append(writeOf('a'), { deadlineMs: 400, id: 'mine' }), (error) => {
      assert.ok(isSluiceError(error, 'outcome-unknown'));
      assert.equal(error.details['id'], 'mine');
      return true;
    });
    assert.ok(systemClock.monotonic() - startedAtMs >= 400);
    assert.equal((await direct.log.latest(writeOf('a').subject))?.position, 1, 'it was stored all the same');
    slow.release();
    assert.deepEqual(await log.append(writeOf('a'), { id: 'mine' }), { position: 1, isDuplicate: true });
    assert.deepEqual([publisher.inFlight, publisher.waiting, publisher.counters.unknown], [0, 0, 1]);
  });

  it('says that nothing was written when it could not be sent, or nobody takes it', async () => {
    await make(everything);
    const { log, link, publisher } = await through(proxy.port);
    const nowhere = { subject: 'nobody.listens', fields: '', data: new Uint8Array(1) };
    await assert.rejects(log.append(nowhere, { deadlineMs: 500 }), (error) => {
      assert.ok(isSluiceError(error, 'log-unavailable'));
      assert.match(error.message, /no leader, or no such stream/);
      return true;
    });
    await proxy.refuse();
    proxy.cut();
    await waitUntil('a lost connection', () => !link.isConnected);
    await assert.rejects(log.append(writeOf('a'), { deadlineMs: 300 }), (error) => {
      assert.ok(isSluiceError(error, 'log-unavailable'));
      assert.match(error.message, /not connected/);
      return true;
    });
    await proxy.accept();
    await waitUntil('a new connection', () => link.isConnected);
    assert.equal((await log.append(writeOf('b'))).position, 1);
    assert.equal(publisher.counters.unknown, 0);
  });

  it('gives each write its own deadline', async () => {
    await make(everything);
    const { log, link } = await through(proxy.port);
    await proxy.refuse();
    proxy.cut();
    await waitUntil('a lost connection', () => !link.isConnected);
    const startedAtMs = systemClock.monotonic();
    const ends: string[] = [];
    const write = (name: string, deadlineMs: number): Promise<unknown> =>
      log.append(writeOf(name), { deadlineMs }).then(
        () => ends.push(`${name} stored`),
        (error: SluiceError) =>
          ends.push(`${name} ${error.code} ${systemClock.monotonic() - startedAtMs >= deadlineMs}`),
      );
    const all = [write('long', 20_000), write('short', 200), write('middle', 600)];
    await waitUntil('two ends', () => ends.length === 2);
    await proxy.accept();
    await Promise.all(all);
    assert.deepEqual(ends, ['short log-unavailable true', 'middle log-unavailable true', 'long stored']);
    assert.equal((await direct.log.bounds()).last, 1);
  });

  it('obeys the signal of a caller who gives up, before and after sending', async () => {
    await make(everything);
    const slow = await startHoldingProxy(server.port);
    closers.push(() => slow.close());
    const { log, publisher } = await through(slow.port, { writesInFlightMax: 1 });
    slow.hold();
    const controllers = [new AbortController(), new AbortController()] as const;
    const sent = log.append(writeOf('sent'), { signal: controllers[0].signal });
    const waiting = log.append(writeOf('waiting'), { signal: controllers[1].signal });
    const last = log.append(writeOf('last'));
    assert.deepEqual([publisher.inFlight, publisher.waiting], [1, 2]);
    controllers[1].abort();
    await assert.rejects(waiting, isCode('aborted'));
    controllers[0].abort();
    await assert.rejects(sent, isCode('outcome-unknown'));
    slow.release();
    await last;
    assert.deepEqual(
      (await readStored(direct.log)).map(({ body }) => body),
      ['sent', 'last'],
    );
  });

  it('calls by name what the server refuses', async () => {
    await make({ ...everything, messagesMax: 2, whenFull: 'refuse' }, { max_msg_size: 1_000 });
    const { log } = await through(server.port);
    await assert.rejects(log.append(writeOf('a', 'x'.repeat(2_000))), isCode('too-large'));
    await assert.rejects(log.append(writeOf('a', 'x'.repeat(2_000_000))), isCode('too-large'));
    await log.append(writeOf('a'));
    await assert.rejects(log.append(writeOf('a'), { expected: 0 }), (error) => {
      assert.ok(isSluiceError(error, 'position-conflict'));
      assert.match(error.message, /10071/);
      assert.equal(error.details['expected'], 0);
      return true;
    });
    await log.append(writeOf('b'));
    const startedAtMs = systemClock.monotonic();
    await assert.rejects(log.append(writeOf('c')), isCode('log-full'));
    assert.ok(systemClock.monotonic() - startedAtMs < 2_000, 'a full log is told at once');
    assert.equal((await direct.log.bounds()).last, 2);
  });

  it('says log-full, too, when the bytes are used up', async () => {
    await make({ ...everything, whenFull: 'refuse' }, { max_bytes: 5_000 });
    const { log } = await through(server.port);
    let refused: unknown;
    for (let index = 0; index < 10 && refused === undefined; index += 1) {
      await log.append(writeOf(`${index}`, 'x'.repeat(1_000))).catch((error: unknown) => {
        refused = error;
      });
    }
    assert.ok(isSluiceError(refused, 'log-full'), `${refused}`);
  });

  it('lets a stream that takes no writes hold up no other', async () => {
    await make(everything);
    const { log, link, publisher } = await through(server.port, { writesInFlightMax: 20 });
    const missing = createNatsLog({
      link,
      publisher,
      clock: systemClock,
      info: { ...stream, config: { ...stream.config, name: 'MISSING' } },
    });
    const nowhere = { subject: 'nobody.listens', fields: '', data: new Uint8Array(1) };
    const failing = Array.from({ length: 200 }, () => missing.append(nowhere, { deadlineMs: 1_500 }));
    const failed = Promise.allSettled(failing);
    const startedAtMs = systemClock.monotonic();
    for (let index = 0; index < 50; index += 1) await log.append(writeOf(`${index}`));
    assert.ok(systemClock.monotonic() - startedAtMs < 1_400, 'they did not wait for the others to end');
    for (const result of await failed)
      assert.ok(result.status === 'rejected' && isSluiceError(result.reason, 'log-unavailable'));
    assert.ok(publisher.counters.retried < 200, 'a stream that takes nothing is asked now and then, not flooded');
    assert.deepEqual([publisher.inFlight, publisher.waiting], [0, 0]);
  });

  it('gets away from a dead connection although more is on its way than the network takes', async () => {
    await make(everything);
    const { log, link } = await through(proxy.port, { attemptMs: 500 }, { pingIntervalMs: 200, connectTimeoutMs: 500 });
    proxy.stall();
    const body = 'x'.repeat(500_000);
    const appending = Array.from({ length: 40 }, (_, index) =>
      log.append(writeOf('key', `${index}-${body}`), { deadlineMs: 25_000 }),
    );
    await waitUntil('the dead connection let go', () => !link.isConnected);
    proxy.resume();
    const appended = await Promise.all(appending);
    await assertStoredOnce(appended.map((one, index) => ({ appended: one, body: `${index}-${body}` })));
    assert.equal((await direct.log.bounds()).last, 40);
  });

  it('tells what is under way when it is closed, and refuses what comes later', async () => {
    await make(everything);
    const slow = await startHoldingProxy(server.port);
    closers.push(() => slow.close());
    const { log, publisher } = await through(slow.port, { writesInFlightMax: 1 });
    slow.hold();
    const sent = assert.rejects(log.append(writeOf('sent')), isCode('outcome-unknown'));
    const waiting = assert.rejects(log.append(writeOf('waiting')), isCode('log-unavailable'));
    publisher.close();
    await Promise.all([sent, waiting]);
    await assert.rejects(log.append(writeOf('late')), isCode('closed'));
    assert.deepEqual([publisher.inFlight, publisher.waiting], [0, 0]);
  });

  it('has lost no acknowledged write after the server crashed under load', async () => {
    await make(everything);
    const { log, publisher } = await through(server.port, { writesInFlightMax: 256 });
    const kept: { appended: Appended; body: string }[] = [];
    let isOver = false;
    const writers = Array.from({ length: 64 }, async (_, writer) => {
      for (let index = 0; !isOver; index += 1) {
        const body = `${writer}-${index}`;
        kept.push({ appended: await log.append(writeOf(`key${writer}`, body), { deadlineMs: 25_000 }), body });
      }
    });
    for (let crash = 1; crash <= 2; crash += 1) {
      const { length } = kept;
      await waitUntil('writes', () => kept.length > length + 500);
      await server.kill('SIGKILL');
      await server.restart();
    }
    const { length } = kept;
    await waitUntil('writes afterwards', () => kept.length > length + 100);
    isOver = true;
    await Promise.all(writers);
    await assertStoredOnce(kept);
    assert.equal((await direct.log.bounds()).messages, kept.length, 'and nothing else is there');
    assert.equal(publisher.counters.unknown + publisher.counters.failed, 0);
  });
});
