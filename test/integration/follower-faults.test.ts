/**
 * A follower on one real server while connections, the server, the stream and the follower's own process are maltreated
 * under a steady load of writes. No gap, no repetition, no ghost; and it never claims to be younger than it is.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../src/base/clock.ts';
import type { Log } from '../../src/log/log.ts';
import type { LinkOptions } from '../../src/nats/link.ts';
import { createNatsLog } from '../../src/nats/nats-log.ts';
import type { ReaderLimits } from '../../src/nats/reading/reader.ts';
import { deleteStream, type StreamInfo } from '../../src/nats/stream-api.ts';
import { type Copy, makeCopy } from '../contract/follower-contract.ts';
import type { Claim } from '../support/follower-child.ts';
import { createWitness, startWriter, type Witness, type Writer, type Written } from '../support/follower-witness.ts';
import { startHoldingProxy } from '../support/holding-proxy.ts';
import { connectTo, consumerNames, freshBucket, makeStream, publisherOf, quickReader } from '../support/log-harness.ts';
import { startNatsServer, type TestServer } from '../support/nats-server.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { waitUntil } from '../support/wait-until.ts';

const patience = { waitMs: 30_000 };
const everything = Number.POSITIVE_INFINITY;

describe('a follower on one server', () => {
  let server: TestServer;
  let proxy: TcpProxy;
  let direct: Log;
  let directLink: Awaited<ReturnType<typeof connectTo>>;
  let bucket: string;
  let stream: StreamInfo;
  let witness: Witness;
  const closers: (() => Promise<unknown> | unknown)[] = [];

  before(async () => {
    server = await startNatsServer();
  });
  after(() => server.stop());

  beforeEach(async () => {
    directLink = await connectTo(server.port);
    closers.push(() => directLink.close());
    proxy = await startTcpProxy(server.port);
    closers.push(() => proxy.close());
    witness = createWitness();
    closers.push(() => witness.close());
  });
  afterEach(async () => {
    server.resume();
    for (const close of closers.splice(0).reverse()) await close();
  });

  async function make(
    settings: Parameters<typeof freshBucket>[0],
    overrides: Record<string, unknown> = {},
  ): Promise<void> {
    const fresh = freshBucket(settings);
    bucket = fresh.bucket;
    stream = await makeStream(directLink, { ...fresh.config, ...overrides });
    closers.push(() => deleteStream(directLink, stream.config.name, 5_000));
    const publisher = publisherOf(directLink);
    closers.push(() => publisher.close());
    direct = createNatsLog({ link: directLink, publisher, clock: systemClock, info: stream });
  }

  async function logThrough(
    port: number,
    options: Partial<LinkOptions> = {},
    reader: Partial<ReaderLimits> = quickReader,
  ): Promise<{ log: Log; link: Awaited<ReturnType<typeof connectTo>> }> {
    const link = await connectTo(port, options);
    const publisher = publisherOf(link);
    closers.push(() => link.close());
    return { log: createNatsLog({ link, publisher, clock: systemClock, info: stream, reader }), link };
  }

  const subjectOf = (key: string): string => `$KV.${bucket}.${key}`;
  const consumers = async (): Promise<number> => (await consumerNames(directLink, stream.config.name)).length;

  async function followed(log: Log, options: Parameters<typeof makeCopy>[1] = {}): Promise<Copy> {
    const copy = makeCopy({ log }, options);
    closers.push(() => copy.follower.stop());
    await copy.follower.start();
    await copy.follower.ready(patience);
    witness.watch(copy.follower);
    return copy;
  }

  function write(keys = 20): Writer {
    const writer = startWriter({ log: direct, subjectOf, keys, pauseMs: 2, witness });
    closers.push(() => writer.stop());
    return writer;
  }

  const more = (writer: Writer, count: number): Promise<unknown> => {
    const { length } = writer.written;
    return waitUntil(`${count} more writes`, () => writer.written.length >= length + count, patience.waitMs);
  };

  async function caughtUp(copy: Copy, written: readonly Written[]): Promise<void> {
    await copy.follower.reached(written.at(-1)?.position ?? 0, patience);
    await waitUntil(
      'a fresh copy',
      () =>
        copy.follower.fresh(0, patience).then(
          () => true,
          () => false,
        ),
      patience.waitMs,
    );
    witness.assertHonest();
  }

  /** Every record, once and in order; healed by going on, not by starting anew. */
  async function assertGapFree(copy: Copy, writer: Writer): Promise<void> {
    await caughtUp(copy, await writer.stop());
    assert.deepEqual(
      copy.positions,
      Array.from({ length: copy.follower.applied }, (_, index) => index + 1),
    );
    assert.equal(copy.follower.counters.rebuilds, 0);
  }

  /** The copy is what a new copy of the same log is. */
  async function assertSameAsNew(copy: Copy): Promise<void> {
    const fresh = makeCopy({ log: direct });
    await fresh.follower.start();
    await fresh.follower.ready(patience);
    await fresh.follower.stop();
    await waitUntil('the floor', () => copy.values.size === fresh.values.size);
    assert.deepEqual(new Map([...copy.values].toSorted()), new Map([...fresh.values].toSorted()));
  }

  it('goes on after its connection was cut fifty times, never has more than one consumer, and leaves none', async () => {
    await make({ messagesPerSubject: everything });
    const { log, link } = await logThrough(proxy.port);
    const copy = await followed(log);
    const writer = write();
    let consumersMax = 0;
    for (let round = 1; round <= 50; round += 1) {
      proxy.cut();
      await waitUntil('a new connection', () => link.reconnects >= round);
      consumersMax = Math.max(consumersMax, await consumers());
      // Sometimes the next cut comes before it has recovered from the last one.
      if (round % 3 === 0) await copy.follower.latest(patience).catch(() => undefined);
    }
    await more(writer, 20);
    await assertGapFree(copy, writer);
    assert.ok(consumersMax <= 1, `${consumersMax} consumers at once`);
    await waitUntil('one consumer', async () => (await consumers()) === 1);
    await copy.follower.stop();
    assert.equal(await consumers(), 0);
  });

  it('goes on when its connection stands still without being closed, and knows how old it is meanwhile', async () => {
    await make({ messagesPerSubject: everything });
    const { log, link } = await logThrough(proxy.port, { connectTimeoutMs: 500 });
    const copy = await followed(log);
    const writer = write();
    await more(writer, 20);
    proxy.stall();
    const stalledAtMs = systemClock.monotonic();
    await waitUntil('the connection given up', () => !link.isConnected, patience.waitMs);
    await more(writer, 20);
    const stalledMs = systemClock.monotonic() - stalledAtMs;
    assert.ok(copy.follower.lagMs() >= stalledMs - 0.01);
    assert.equal(copy.follower.isReady, true);
    proxy.resume();
    await waitUntil('a new connection', () => link.isConnected, patience.waitMs);
    await assertGapFree(copy, writer);
    await waitUntil('one consumer', async () => (await consumers()) === 1);
  });

  it('does not take heartbeats that arrive late for news', async () => {
    await make({ messagesPerSubject: everything });
    const slow = await startHoldingProxy(server.port);
    closers.push(() => slow.close());
    const { log, link } = await logThrough(slow.port, { pingIntervalMs: 60_000 }, { heartbeatMs: 100, pullMs: 60_000 });
    const copy = await followed(log, { limits: { silenceMs: 20_000, floorCheckMs: 60_000 } });
    const openedAtMs = await waitUntil(
      'a reader',
      () => copy.notices.some(({ what }) => what === 'opened') && systemClock.monotonic(),
    );
    await waitUntil('proof by heartbeats', () => copy.follower.lagMs() < systemClock.monotonic() - openedAtMs - 200);
    slow.hold();
    await waitUntil('held heartbeats', () => slow.held >= 3);
    const beforeMs = systemClock.monotonic();
    const { position } = await direct.append({ subject: subjectOf('key'), fields: '', data: new Uint8Array(1) });
    const writtenAtMs = systemClock.monotonic();
    witness.acknowledged(position);
    await waitUntil('the age of the write', () => systemClock.monotonic() - writtenAtMs > 600);
    const bytesBefore = link.connection.stats().inBytes;
    slow.deliver(beforeMs);
    await waitUntil('the late heartbeats', () => link.connection.stats().inBytes > bytesBefore);
    await systemClock.yield();
    witness.look();
    assert.equal(copy.follower.applied, 0);
    assert.ok(copy.follower.lagMs() >= 600, `says ${copy.follower.lagMs()} ms`);
    slow.release();
    await caughtUp(copy, [{ position, key: 'key', body: '' }]);
    assert.equal(copy.follower.counters.reopened, 0);
  });

  it('goes on when the server stood still for seconds', async () => {
    await make({ messagesPerSubject: everything });
    const { log } = await logThrough(proxy.port);
    const copy = await followed(log);
    const writer = write();
    await more(writer, 20);
    await server.pause();
    await waitUntil('an old copy', () => copy.follower.lagMs() > 3_000, patience.waitMs);
    server.resume();
    await more(writer, 20);
    await assertGapFree(copy, writer);
    await waitUntil('one consumer', async () => (await consumers()) === 1);
  });

  it('goes on when the server crashed and came back', async () => {
    await make({ messagesPerSubject: everything });
    const { log } = await logThrough(proxy.port);
    const copy = await followed(log);
    const writer = write();
    await more(writer, 20);
    await server.kill('SIGKILL');
    await server.restart();
    await more(writer, 20);
    await assertGapFree(copy, writer);
    await waitUntil('one consumer', async () => (await consumers()) === 1);
  });

  it('ends up with what the log holds when the stream is purged under its hands', async () => {
    await make({});
    const { log } = await logThrough(proxy.port);
    const copy = await followed(log);
    const writer = write(50);
    for (let round = 0; round < 10; round += 1) {
      await more(writer, 15);
      if (round % 3 === 0) await direct.purge();
      else if (round % 3 === 1) await direct.purge({ subject: subjectOf(`key${round}`) });
      else await direct.purge({ below: (await direct.bounds()).last - 5 });
      if (round === 5) proxy.cut();
    }
    const written = await writer.stop();
    await direct.purge({ subject: subjectOf(written.at(-1)?.key ?? '') });
    await caughtUp(copy, written);
    await assertSameAsNew(copy);
    assert.equal(copy.follower.counters.rebuilds, 0);
  });

  it('misses nothing while it replays and an operator purges single keys', async () => {
    await make({});
    const store = (key: string): Promise<{ position: number }> =>
      direct.append({ subject: subjectOf(key), fields: '', data: new Uint8Array(16) });
    await Promise.all(Array.from({ length: 4_000 }, (_, index) => store(`key${index}`)));
    // Small pulls: most of the log has not been delivered yet when a key is purged.
    const { log } = await logThrough(proxy.port, {}, { ...quickReader, batch: 20 });
    const copy = makeCopy({ log });
    closers.push(() => copy.follower.stop());
    await copy.follower.start();
    for (let round = 1; round <= 4; round += 1) {
      await copy.follower.reached(round * 500, patience);
      // One that it has, one that it will soon have, one that is far away.
      const gone = [20, round * 500 + 50, 3_000 + round].map((index) => `key${index}`);
      await Promise.all(gone.map((key) => direct.purge({ subject: subjectOf(key) })));
    }
    const { position } = await store('last');
    await copy.follower.reached(position, patience);
    const fresh = makeCopy({ log: direct });
    await fresh.follower.start();
    await fresh.follower.ready(patience);
    await fresh.follower.stop();
    assert.ok(fresh.values.size > 3_980);
    // No event tells of the purge of a key that the copy has.
    assert.deepEqual(
      [...fresh.values.keys()].filter((key) => !copy.values.has(key)),
      [],
    );
  });

  it('ends up with what the log holds when the stream is deleted and made again, several times', async () => {
    await make({});
    const { log } = await logThrough(proxy.port);
    const copy = await followed(log);
    for (let round = 1; round <= 4; round += 1) {
      const writer = startWriter({ log: direct, subjectOf, keys: 5 * round, pauseMs: 2 });
      closers.push(() => writer.stop());
      await more(writer, 40);
      await writer.stop();
      if (round === 4) break;
      if (round === 2) proxy.cut();
      await deleteStream(directLink, stream.config.name, 5_000);
      await makeStream(directLink, stream.config);
    }
    const { last } = await direct.bounds();
    await waitUntil(
      'the last life',
      () => copy.rebuilds.length === 3 && copy.follower.applied === last,
      patience.waitMs,
    );
    await copy.follower.fresh(0, patience);
    await assertSameAsNew(copy);
  });

  it('drops what the log dropped while it was away, and what it missed the successor of', async () => {
    await make({}, { max_bytes: 40_000 });
    const first = await logThrough(proxy.port);
    const copy = await followed(first.log, { limits: { floorCheckMs: 60_000 } });
    const body = new Uint8Array(1_000);
    const store = (key: string): Promise<unknown> => direct.append({ subject: subjectOf(key), fields: '', data: body });
    for (let index = 0; index < 10; index += 1) await store(`old${index}`);
    await copy.follower.latest(patience);
    await proxy.refuse();
    proxy.cut();
    // Updates of what it knows, and then so much else that old values and updates are gone.
    for (let index = 0; index < 5; index += 1) await store(`old${index}`);
    for (let index = 0; index < 60; index += 1) await store(`new${index}`);
    assert.ok((await direct.bounds()).first > 16);
    await proxy.accept();
    await waitUntil(
      'the copy again',
      () =>
        copy.follower.latest(patience).then(
          () => true,
          () => false,
        ),
      patience.waitMs,
    );
    assert.ok(
      [...copy.values.keys()].every((key) => key.startsWith('new')),
      'no old value survives',
    );
    await assertSameAsNew(copy);
    assert.equal(copy.follower.counters.rebuilds, 0);
  });

  it('knows how old it is when its own process was suspended, and goes on', async () => {
    await make({ messagesPerSubject: everything });
    const { child, claims } = await startChild(server.port, stream.config.name);
    const writer = startWriter({ log: direct, subjectOf, keys: 20, pauseMs: 5 });
    closers.push(() => writer.stop());
    const acknowledged: number[] = [];
    const noting = setInterval(() => {
      const now = Date.now();
      while (acknowledged.length < writer.written.length) acknowledged.push(now);
    }, 1);
    closers.push(() => clearInterval(noting));
    await waitUntil('a copy that follows', () => (claims.at(-1)?.applied ?? 0) > 20);
    child.kill('SIGSTOP');
    const stoppedAtMs = Date.now();
    await waitUntil('longer than all its limits', () => Date.now() - stoppedAtMs > 4_500);
    assert.equal(await consumers(), 0, 'the server has given up on it');
    const before = claims.length;
    child.kill('SIGCONT');
    await more(writer, 20);
    const written = await writer.stop();
    await waitUntil('all of it', () => claims.at(-1)?.applied === written.length, patience.waitMs);
    await waitUntil('young again', () => (claims.at(-1)?.lagMs ?? everything) < 1_000);
    assert.ok((claims[before]?.lagMs ?? 0) > 4_000, `on waking it says ${claims[before]?.lagMs} ms`);
    for (const { atMs, applied, lagMs } of claims) {
      const missingSinceMs = acknowledged[applied];
      // Two clocks are read one after the other, and acknowledgements are noted every millisecond.
      if (missingSinceMs !== undefined)
        assert.ok(lagMs >= atMs - missingSinceMs - 10, `${lagMs} ms, but ${atMs - missingSinceMs}`);
    }
    assert.equal(claims.at(-1)?.inOrder, true);
    assert.equal(claims.at(-1)?.rebuilds, 0);
    child.send('end');
    await once(child, 'exit');
    assert.equal(await consumers(), 0);
  });

  async function startChild(port: number, name: string): Promise<{ child: ChildProcess; claims: Claim[] }> {
    const program = fileURLToPath(new URL('../support/follower-child.js', import.meta.url));
    const child = fork(program, [`${port}`, name]);
    closers.push(() => child.kill('SIGKILL'));
    const claims: Claim[] = [];
    child.on('message', (claim) => claims.push(claim as Claim));
    await waitUntil('a first claim', () => claims.length > 0, patience.waitMs);
    return { child, claims };
  }
});
