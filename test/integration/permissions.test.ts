/**
 * A connection that may do only what it needs. The list below is the whole of what a node asks of a server for one bucket;
 * whoever writes permissions for Sluice can copy it.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { isSluiceError } from '../../src/errors.ts';
import { encodeClear } from '../../src/events/entry.ts';
import { bucketSubjects } from '../../src/events/subjects.ts';
import type { Log } from '../../src/log/log.ts';
import type { Link } from '../../src/nats/link.ts';
import { createNatsLog } from '../../src/nats/nats-log.ts';
import type { StreamInfo } from '../../src/nats/stream-api.ts';
import { makeCopy } from '../contract/follower-contract.ts';
import { connectTo, consumerNames, freshBucket, makeStream, publisherOf, quickReader } from '../support/log-harness.ts';
import { startNatsServer, type TestServer } from '../support/nats-server.ts';

const { bucket, config } = freshBucket();
const stream = config.name;

const needed = {
  read: [
    `$JS.API.STREAM.INFO.${stream}`,
    `$JS.API.STREAM.MSG.GET.${stream}`,
    `$JS.API.CONSUMER.CREATE.${stream}.*`,
    `$JS.API.CONSUMER.DELETE.${stream}.*`,
    `$JS.API.CONSUMER.MSG.NEXT.${stream}.*`,
  ],
  write: [`$KV.${bucket}.>`, `sluice.bucket.${bucket}.>`],
} as const;

const userOf = (name: string, publish: readonly string[]): string =>
  `{ user: "${name}", password: "pw", permissions: { publish: ${JSON.stringify(publish)}, subscribe: "_INBOX_${name}.>" } }`;

describe('a connection with few permissions', () => {
  let server: TestServer;
  let info: StreamInfo;
  let admin: Link;
  const links: Link[] = [];

  before(async () => {
    const users = [
      '{ user: "admin", password: "pw" }',
      userOf('node', [...needed.read, ...needed.write]),
      userOf('reader', needed.read),
    ];
    server = await startNatsServer({ extraConfig: `authorization { users: [${users.join(', ')}] }` });
    admin = await open('admin');
    info = await makeStream(admin, config);
  });
  after(async () => {
    for (const link of links) await link.close();
    await server.stop();
  });

  async function open(user: string): Promise<Link> {
    const inboxPrefix = user === 'admin' ? undefined : `_INBOX_${user}`;
    const link = await connectTo(server.port, { user, password: 'pw', inboxPrefix });
    links.push(link);
    return link;
  }

  const logOn = (link: Link): Log =>
    createNatsLog({ link, publisher: publisherOf(link), clock: systemClock, info, reader: quickReader });

  const writeOf = (key: string) => ({ subject: `$KV.${bucket}.${key}`, fields: '', data: new Uint8Array(1) });

  it('follows, reads, writes and clears with exactly these', async () => {
    const link = await open('node');
    const problems: string[] = [];
    link.listen({ problem: (message) => void problems.push(message) });
    const log = logOn(link);
    const copy = makeCopy({ log });
    await copy.follower.start();
    await copy.follower.ready({ waitMs: 10_000 });
    const { position } = await log.append(writeOf('a'), { expected: 0 });
    await copy.follower.reached(position, { waitMs: 10_000 });
    await copy.follower.fresh(0, { waitMs: 10_000 });
    assert.equal((await log.latest(writeOf('a').subject))?.position, position);
    await log.append(encodeClear(bucketSubjects('sluice', bucket), 'node', log.allowsRollup));
    assert.deepEqual([(await log.bounds()).messages, await log.latest(writeOf('a').subject)], [1, undefined]);
    await copy.follower.stop();
    assert.deepEqual(await consumerNames(admin, stream), []);
    assert.deepEqual(problems, []);
  });

  it('is told that it may not write, instead of waiting for an answer that never comes', async () => {
    const log = logOn(await open('reader'));
    const startedAtMs = systemClock.monotonic();
    await assert.rejects(log.append(writeOf('a')), (error) => isSluiceError(error, 'unsupported'));
    assert.ok(systemClock.monotonic() - startedAtMs < 2_000);
    assert.equal((await log.bounds()).messages, 1, 'and reads all the same');
  });
});
