/**
 * A follower of a stream with three replicas, while servers die or are cut off under a steady load of writes. What must
 * hold whatever happens: no gap, no repetition, no ghost, and never a claim to be younger than the copy is.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import type { Log } from '../../src/log/log.ts';
import type { Link } from '../../src/nats/link.ts';
import { createNatsLog } from '../../src/nats/nats-log.ts';
import type { Publisher } from '../../src/nats/publisher.ts';
import { callApi, deleteStream, type StreamInfo } from '../../src/nats/stream-api.ts';
import { type Copy, makeCopy } from '../contract/follower-contract.ts';
import { createWitness, startWriter, type Witness, type Writer } from '../support/follower-witness.ts';
import { connectTo, consumerNames, freshBucket, makeStream, publisherOf, quickReader } from '../support/log-harness.ts';
import type { TestServer } from '../support/nats-server.ts';
import { type ProxiedCluster, startProxiedCluster } from '../support/proxied-cluster.ts';
import { waitUntil } from '../support/wait-until.ts';

const patience = 60_000;

describe('a follower on three servers', () => {
  let cluster: ProxiedCluster;
  const closers: (() => Promise<void> | void)[] = [];
  let stream: StreamInfo;
  let bucket: string;
  let witness: Witness;

  before(async () => {
    cluster = await startProxiedCluster();
  });
  after(() => cluster.stop());

  beforeEach(async () => {
    const link = await open(cluster.servers);
    const fresh = freshBucket({ replicas: 3, messagesPerSubject: Number.POSITIVE_INFINITY });
    bucket = fresh.bucket;
    stream = await makeStream(link, fresh.config);
    const { name } = stream.config;
    const remove = (): Promise<unknown> =>
      deleteStream(link, name, 5_000)
        .then(() => true)
        .catch(() => undefined);
    // While a server comes back, a cluster may have to elect its leader anew.
    closers.push(() => waitUntil('the stream is gone', remove, patience).then(() => undefined));
    witness = createWitness();
  });
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
    for (const server of cluster.servers) await server.restart().catch(() => undefined);
  });

  async function open(servers: readonly TestServer[]): Promise<Link> {
    const link = await connectTo(0, { servers: servers.map(({ url }) => url) });
    closers.push(() => link.close());
    return link;
  }

  function logOn(link: Link): { log: ReturnType<typeof createNatsLog>; publisher: Publisher } {
    const publisher = publisherOf(link);
    closers.push(() => publisher.close());
    return {
      log: createNatsLog({ link, publisher, clock: systemClock, info: stream, reader: quickReader }),
      publisher,
    };
  }

  const subjectOf = (key: string): string => `$KV.${bucket}.${key}`;
  const serverCalled = (name: string): TestServer => {
    const server = cluster.servers[Number(name.slice(-1)) - 1];
    assert.ok(server !== undefined, name);
    return server;
  };

  async function leaderOf(link: Link): Promise<string> {
    return waitUntil(
      'a leader of the stream',
      async () => {
        const info = await callApi<{ cluster?: { leader?: string } }>(
          link,
          `STREAM.INFO.${stream.config.name}`,
          undefined,
          1_000,
        ).catch(() => undefined);
        return info?.cluster?.leader;
      },
      patience,
    );
  }

  /** Makes one of the servers lead the stream; an old server does not take wishes, so it may need several elections. */
  async function letLead(link: Link, isRight: (name: string) => boolean): Promise<string> {
    return waitUntil(
      'the right leader',
      async () => {
        const leader = await leaderOf(link);
        if (isRight(leader)) return leader;
        await callApi(link, `STREAM.LEADER.STEPDOWN.${stream.config.name}`, undefined, 2_000).catch(() => undefined);
        return undefined;
      },
      patience,
    );
  }

  const namesOf = (link: Link): Promise<string[]> => consumerNames(link, stream.config.name).catch(() => []);

  async function hostOf(link: Link, name: string): Promise<string | undefined> {
    const info = await callApi<{ cluster?: { leader?: string } }>(
      link,
      `CONSUMER.INFO.${stream.config.name}.${name}`,
      undefined,
      1_000,
    ).catch(() => undefined);
    return info?.cluster?.leader;
  }

  /** Consumers are placed by chance: the follower opens new ones until one sits where the test wants it. */
  async function letHost(link: Link, copy: Copy, isRight: (name: string) => boolean): Promise<string> {
    return waitUntil(
      'the right host of the consumer',
      async () => {
        const [name, ...others] = await namesOf(link);
        const host = name === undefined || others.length > 0 ? undefined : await hostOf(link, name);
        if (name === undefined || host === undefined) return undefined;
        if (isRight(host)) return host;
        copy.follower.rebuild('the consumer sits on the wrong server');
        await waitUntil('the end of that one', async () => !(await namesOf(link)).includes(name), patience);
        await copy.follower.ready({ waitMs: patience });
        return undefined;
      },
      patience,
    );
  }

  async function followed(link: Link): Promise<Copy> {
    const copy = makeCopy(logOn(link));
    closers.push(() => copy.follower.stop());
    await copy.follower.start();
    await copy.follower.ready({ waitMs: patience });
    return copy;
  }

  function write(log: Log, copy: Copy): Writer {
    const writer = startWriter({ log, subjectOf, keys: 20, pauseMs: 5, witness });
    closers.push(() => writer.stop().then(() => undefined));
    witness.watch(copy.follower);
    closers.push(() => witness.close());
    return writer;
  }

  /** The copy has all that was acknowledged, in order, once, without having been rebuilt since. */
  async function assertComplete(copy: Copy, writer: Writer, rebuilds: number): Promise<void> {
    const written = await writer.stop();
    await copy.follower.reached(written.at(-1)?.position ?? 0, { waitMs: patience });
    await copy.follower.fresh(0, { waitMs: patience });
    witness.assertHonest();
    assert.deepEqual(
      copy.positions,
      Array.from({ length: copy.follower.applied }, (_, index) => index + 1),
    );
    for (const { key, position } of written.slice(-5)) assert.ok((copy.values.get(key)?.position ?? 0) >= position);
    assert.equal(copy.follower.counters.rebuilds, rebuilds, 'healed by going on, not by starting anew');
    assert.equal(writer.failed, 0);
  }

  it('goes on when the server that hosts its consumer is killed', async () => {
    const [first, second, third] = cluster.servers;
    const link = await open([first]);
    const copy = await followed(link);
    const host = await letHost(link, copy, (name) => name !== 'test-1');
    const { rebuilds } = copy.follower.counters;
    const { log } = logOn(await open([first]));
    const writer = write(log, copy);
    await waitUntil('some writes', () => writer.written.length > 20);
    await serverCalled(host).kill();
    const { length } = writer.written;
    await waitUntil('writes without it', () => writer.written.length > length + 100, patience);
    await waitUntil('the copy has them', () => copy.follower.applied > length + 100, patience);
    await assertComplete(copy, writer, rebuilds);
    assert.ok([second, third].includes(serverCalled(host)));
  });

  it('goes on when the server that it is connected to, which leads the stream, is killed', async () => {
    const [first, second, third] = cluster.servers;
    const control = await open([third]);
    await letLead(control, (name) => name === 'test-1');
    // The driver tries them in this order, so it is connected to the first.
    const link = await connectTo(0, { servers: [first.url, second.url, third.url], driver: { noRandomize: true } });
    closers.push(() => link.close());
    assert.equal(link.connection.info?.port, first.port);
    const copy = await followed(link);
    const { rebuilds } = copy.follower.counters;
    const { log } = logOn(await open([third]));
    const writer = write(log, copy);
    await waitUntil('some writes', () => writer.written.length > 20);
    await first.kill();
    const { length } = writer.written;
    await waitUntil('writes to another leader', () => writer.written.length > length + 50, patience);
    await waitUntil('the copy has them', () => copy.follower.applied > length + 50, patience);
    await assertComplete(copy, writer, rebuilds);
    assert.ok(link.reconnects > 0);
    await waitUntil(
      'one consumer',
      async () => (await consumerNames(control, stream.config.name)).length === 1,
      patience,
    );
  });

  it('does not take the heartbeats of a replica for news, when it is cut off from its leader', async () => {
    const [first, , third] = cluster.servers;
    const link = await open([third]);
    const direct = await open([first]);
    await letLead(direct, (name) => name !== 'test-3');
    const copy = await followed(link);
    await letHost(link, copy, (name) => name === 'test-3');
    await letLead(direct, (name) => name !== 'test-3');
    const { rebuilds } = copy.follower.counters;
    const { log } = logOn(direct);
    const writer = write(log, copy);
    await waitUntil('some writes', () => copy.follower.applied > 20, patience);
    await cluster.isolateLast();
    const cutAtMs = systemClock.monotonic();
    const { length } = writer.written;
    await waitUntil('writes behind its back', () => writer.written.length > length + 100, patience);
    await waitUntil('some time', () => systemClock.monotonic() - cutAtMs > 2_500);
    assert.ok(copy.follower.lagMs() > 1_500, `says ${copy.follower.lagMs()} ms`);
    assert.ok(copy.follower.applied < writer.written.length, 'the copy cannot have them');
    assert.equal(link.reconnects, 0);
    await cluster.joinLast();
    await waitUntil('the copy has them', () => copy.follower.applied > length + 100, patience);
    await assertComplete(copy, writer, rebuilds);
  });

  it('is told nothing by a leader that was cut off and replaced, and a writer is refused nothing by it', async () => {
    const [, , last] = cluster.servers;
    let newest = 0;
    const { log } = logOn(await open(cluster.servers.slice(0, 2)));
    const { log: cutOff } = logOn(await open([last]));
    await letLead(await open(cluster.servers), (name) => serverCalled(name) === last);
    const write = (body: string) => ({ subject: subjectOf('key'), fields: '', data: Buffer.from(body) });
    const { position } = await cutOff.append(write('old'));
    await cluster.isolateLast();
    try {
      await waitUntil(
        'a successor',
        async () => (await log.bounds().catch(() => undefined))?.last === position,
        patience,
      );
      newest = (await log.append(write('new'), { deadlineMs: patience })).position;
      await log.purge({ subject: subjectOf('key') });
      // From now on its answers would be wrong: of a head below `newest`, and of a message that is gone.
      await assert.rejects(cutOff.bounds(), { code: 'log-unavailable' }, `${newest}`);
      await assert.rejects(cutOff.append(write('first'), { expected: 0, deadlineMs: 2_000 }), {
        code: /log-unavailable|outcome-unknown/,
      });
    } finally {
      await cluster.joinLast();
    }
    // It steps down, and for a while knows of no leader.
    const back = await waitUntil('the way back', () => cutOff.bounds().catch(() => undefined), patience);
    assert.ok(back.last >= newest, `the log ended at ${newest}, and now at ${back.last}`);
  });
});
