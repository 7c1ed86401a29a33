/**
 * Writes that are under way when their server is killed and started anew, on a real server: what was stored is found, what was not is
 * sent again, and what may have been stored and removed since is called unknown, and never stored a second time.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { isSluiceError } from '../../src/errors.ts';
import { formatField, headerNames } from '../../src/events/header.ts';
import type { LogWrite } from '../../src/events/record.ts';
import type { Log } from '../../src/log/log.ts';
import { createNatsLog } from '../../src/nats/nats-log.ts';
import { deleteStream, type StreamInfo } from '../../src/nats/stream-api.ts';
import { type HoldingProxy, startHoldingProxy } from '../support/holding-proxy.ts';
import { connectTo, freshBucket, makeStream, publisherOf } from '../support/log-harness.ts';
import { startNatsServer, type TestServer } from '../support/nats-server.ts';
import { readStored } from '../support/stored-messages.ts';
import { waitUntil } from '../support/wait-until.ts';

describe('a write whose server is killed before it answers', () => {
  let server: TestServer;
  let proxy: HoldingProxy;
  let bucket: string;
  let stream: StreamInfo;
  /** Of a process whose answers are held up, and of another one. */
  let log: Log;
  let direct: Log;
  const closers: (() => Promise<unknown> | unknown)[] = [];

  before(async () => {
    server = await startNatsServer();
  });
  after(() => server.stop());

  beforeEach(async () => {
    proxy = await startHoldingProxy(server.port);
    closers.push(() => proxy.close());
    const fresh = freshBucket();
    bucket = fresh.bucket;
    const link = await connectTo(server.port);
    closers.push(() => link.close());
    stream = await makeStream(link, fresh.config);
    closers.push(() => deleteStream(link, stream.config.name, 5_000).catch(() => false));
    direct = await logThrough(server.port);
    log = await logThrough(proxy.port);
    await direct.append(writeOf('before'));
  });
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });

  async function logThrough(port: number): Promise<Log> {
    const link = await connectTo(port);
    const publisher = publisherOf(link);
    closers.push(
      () => link.close(),
      () => publisher.close(),
    );
    return createNatsLog({ link, publisher, clock: systemClock, info: stream });
  }

  const writeOf = (key: string, fields = ''): LogWrite => ({
    subject: `$KV.${bucket}.${key}`,
    fields,
    data: new TextEncoder().encode(key),
  });

  const headOf = async (): Promise<number> => (await direct.bounds()).last;

  /** Stored, and its answer kept back; `meanwhile` happens then, and after it the server is started anew. */
  async function writeAndKill(meanwhile: () => Promise<unknown>): Promise<ReturnType<Log['append']>> {
    const last = await headOf();
    proxy.hold();
    const appending = log.append(writeOf('mine'));
    appending.catch(() => undefined);
    await waitUntil('it is stored', async () => (await headOf()) > last);
    await meanwhile();
    await server.kill('SIGKILL');
    proxy.cut();
    await server.restart();
    return appending;
  }

  it('is found where it stands', async () => {
    assert.deepEqual(await writeAndKill(async () => undefined), { position: 2, isDuplicate: true });
    assert.equal(await headOf(), 2);
  });

  it('is unknown, and is not stored again, when it was cleared meanwhile', async () => {
    const clear: LogWrite = {
      subject: `sluice.bucket.${bucket}.clear`,
      fields: formatField(headerNames.rollup, 'all'),
      data: new Uint8Array(0),
    };
    await assert.rejects(
      writeAndKill(() => direct.append(clear)),
      (error) => isSluiceError(error, 'outcome-unknown'),
    );
    assert.deepEqual(
      (await readStored(direct)).map(({ position }) => position),
      [3],
      'the clear alone',
    );
  });

  it('is unknown, and is not stored again, when another one took its place', async () => {
    await assert.rejects(
      writeAndKill(() => direct.append(writeOf('mine'))),
      (error) => isSluiceError(error, 'outcome-unknown'),
    );
    assert.equal(await headOf(), 3);
  });

  it('is stored once when the server died without having read it', async () => {
    await server.pause();
    const appending = log.append(writeOf('mine'));
    await server.kill('SIGKILL');
    await server.restart();
    assert.deepEqual(await appending, { position: 2, isDuplicate: false });
    assert.equal(await headOf(), 2);
  });
});
