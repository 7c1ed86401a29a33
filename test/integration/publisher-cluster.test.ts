/**
 * The publisher on three servers: compare-and-set among many writers, and writes that ride over the death of the stream's
 * leader.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { isSluiceError } from '../../src/errors.ts';
import type { Appended, Log } from '../../src/log/log.ts';
import type { Link } from '../../src/nats/link.ts';
import { createNatsLog } from '../../src/nats/nats-log.ts';
import { callApi, type StreamInfo } from '../../src/nats/stream-api.ts';
import { connectTo, freshBucket, makeStream, publisherOf } from '../support/log-harness.ts';
import { startNatsCluster, type TestCluster } from '../support/nats-server.ts';
import { readStored } from '../support/stored-messages.ts';
import { waitUntil } from '../support/wait-until.ts';

const rounds = 100;
const writers = 6;

describe('the publisher on three servers', () => {
  let cluster: TestCluster;
  let bucket: string;
  let stream: StreamInfo;
  let control: Link;
  const links: Link[] = [];

  before(async () => {
    cluster = await startNatsCluster(3);
    const fresh = freshBucket({ replicas: 3, messagesPerSubject: Number.POSITIVE_INFINITY });
    bucket = fresh.bucket;
    control = await open(cluster.urls);
    stream = await makeStream(control, fresh.config);
  });
  after(async () => {
    for (const link of links) await link.close();
    await cluster.stop();
  });

  async function open(servers: readonly string[]): Promise<Link> {
    const link = await connectTo(0, { servers });
    links.push(link);
    return link;
  }

  const logOn = (link: Link): Log =>
    createNatsLog({ link, publisher: publisherOf(link), clock: systemClock, info: stream });

  const writeOf = (key: string, body: string) => ({
    subject: `$KV.${bucket}.${key}`,
    fields: '',
    data: new TextEncoder().encode(body),
  });

  /** The winner of one contest; all others must have lost by a conflict. */
  async function contest(logs: readonly Log[], key: string, expected: number, codes: Set<string>): Promise<Appended> {
    const attempts = await Promise.allSettled(
      Array.from({ length: writers }, (_, index) =>
        logs[index % logs.length]?.append(writeOf(key, `${index}`), { expected }),
      ),
    );
    const won: Appended[] = [];
    for (const attempt of attempts) {
      if (attempt.status === 'fulfilled' && attempt.value !== undefined) won.push(attempt.value);
      if (attempt.status !== 'rejected') continue;
      assert.ok(isSluiceError(attempt.reason, 'position-conflict'), `${attempt.reason}`);
      codes.add(/\((\d+)\)/.exec(attempt.reason.message)?.[1] ?? '');
    }
    assert.equal(won.length, 1, `${won.length} winners at ${expected}`);
    return won[0] ?? { position: 0, isDuplicate: false };
  }

  it('makes sure that who answers has the log as far as it was seen, and refuses to believe who has less', async () => {
    const log = logOn(control);
    const { position } = await log.append(writeOf('seen', 'x'));
    await log.confirmHead(position);
    await assert.rejects(log.confirmHead(position + 1), (error) => isSluiceError(error, 'log-unavailable'));
  });

  it('lets exactly one of several writers win each revision, or refuses where the server cannot', async () => {
    const logs = await Promise.all(cluster.urls.map(async (url) => logOn(await open([url]))));
    const codes = new Set<string>();
    for (let round = 0; round < 10; round += 1) await contest(logs, `created-${round}`, 0, codes);
    const { position: first } = await contest(logs, 'contested', 0, codes);
    if (logs.every(({ isCompareAndSetSafe }) => isCompareAndSetSafe)) {
      let expected = first;
      for (let round = 0; round < rounds; round += 1)
        expected = (await contest(logs, 'contested', expected, codes)).position;
      assert.ok(codes.size > 0 && [...codes].every((code) => code === '10071' || code === '10164'), `${[...codes]}`);
    } else {
      const { last } = await logOn(control).bounds();
      for (const log of logs) {
        await assert.rejects(log.append(writeOf('contested', 'x'), { expected: first }), (error) =>
          isSluiceError(error, 'cas-unsupported'),
        );
      }
      assert.equal((await logOn(control).bounds()).last, last, 'what is refused is not sent');
    }
  });

  it('rides over the death of the leader of the stream, and has lost nothing afterwards', async () => {
    const leader = await waitUntil(
      'a leader',
      async () =>
        (
          await callApi<{ cluster?: { leader?: string } }>(
            control,
            `STREAM.INFO.${stream.config.name}`,
            undefined,
            1_000,
          )
        ).cluster?.leader,
    );
    const link = await open(cluster.urls);
    const publisher = publisherOf(link, { writesInFlightMax: 256 });
    const log = createNatsLog({ link, publisher, clock: systemClock, info: stream });
    const kept: { appended: Appended; body: string }[] = [];
    let isOver = false;
    const running = Array.from({ length: 64 }, async (_, writer) => {
      for (let index = 0; !isOver; index += 1) {
        const body = `ride-${writer}-${index}`;
        kept.push({ appended: await log.append(writeOf(`ride${writer}`, body), { deadlineMs: 60_000 }), body });
      }
    });
    await waitUntil('writes', () => kept.length > 500);
    const victim = cluster.servers[Number(leader.slice(-1)) - 1];
    assert.ok(victim !== undefined);
    await victim.kill('SIGKILL');
    const killedAtMs = systemClock.monotonic();
    const { length } = kept;
    await waitUntil('writes to another leader', () => kept.length > length + 500, 60_000);
    const outageMs = systemClock.monotonic() - killedAtMs;
    isOver = true;
    await Promise.all(running);
    assert.deepEqual(
      [publisher.counters.unknown, publisher.counters.failed],
      [0, 0],
      `outage of ${Math.round(outageMs)} ms`,
    );
    const stored = (await readStored(logOn(control))).filter(({ body }) => body.startsWith('ride-'));
    assert.equal(stored.length, kept.length, 'each once, and nothing else');
    const at = new Map(stored.map(({ position, body }) => [position, body]));
    for (const { appended, body } of kept) assert.equal(at.get(appended.position), body);
  });
});
