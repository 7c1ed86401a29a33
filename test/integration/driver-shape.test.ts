/**
 * The few fields of the NATS driver that are not part of its public interface and that Sluice relies on for speed or for
 * healing. When a new version of the driver changes them, this says so before users notice.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { headers, type Msg } from '@nats-io/nats-core';
import type { Link } from '../../src/nats/link.ts';
import { hasRawShape, rawHeader, rawReply, rawStatus, rawSubject } from '../../src/nats/wire/raw-message.ts';
import { encodeCommand, sendCommand } from '../../src/nats/wire/ready-command.ts';
import { severStaleSocket } from '../../src/nats/wire/stale-socket.ts';
import { connectTo } from '../support/log-harness.ts';
import { startNatsServer, type TestServer } from '../support/nats-server.ts';
import { waitUntil } from '../support/wait-until.ts';

describe('the shape of the NATS driver', () => {
  let server: TestServer;
  let link: Link;

  before(async () => {
    server = await startNatsServer();
    link = await connectTo(server.port);
  });
  after(async () => {
    await link.close();
    await server.stop();
  });

  async function receive(
    subject: string,
    body: string,
    options: Parameters<Link['connection']['publish']>[2],
  ): Promise<Msg> {
    const received: Msg[] = [];
    const subscription = link.connection.subscribe(subject, { callback: (_, message) => void received.push(message) });
    link.connection.publish(subject, body, options);
    await waitUntil('the message', () => received.length > 0);
    subscription.unsubscribe();
    const [message] = received;
    assert.ok(message !== undefined);
    return message;
  }

  it('gives raw access to subject, reply, header and body, equal to the public one', async () => {
    const map = headers();
    map.set('Sluice-Tags', 'größe');
    const full = await receive('shape.größe', 'body', { reply: 'reply.to', headers: map });
    assert.ok(hasRawShape(full));
    assert.equal(rawSubject(full), full.subject);
    assert.equal(Buffer.from(rawReply(full) ?? []).toString(), 'reply.to');
    assert.equal(Buffer.from(rawHeader(full) ?? []).toString(), 'NATS/1.0\r\nSluice-Tags: größe\r\n\r\n');
    assert.equal(Buffer.from(full.data).toString(), 'body');
    const bare = await receive('shape.bare', '', {});
    assert.ok(hasRawShape(bare));
    assert.equal(rawReply(bare), undefined);
    assert.equal(rawHeader(bare), undefined);
    assert.equal(bare.data.length, 0);
  });

  it('dials again at once, though the wall clock was set back since it dialled last', async () => {
    const other = await startNatsServer();
    const realNow = Date.now;
    Date.now = () => realNow() + 3_600_000;
    const ahead = await connectTo(other.port).finally(() => {
      Date.now = realNow;
    });
    try {
      await other.kill();
      await waitUntil('the loss', () => !ahead.isConnected);
      await other.restart();
      await ahead.connected(5_000);
    } finally {
      await ahead.close();
      await other.stop();
    }
  });

  it('takes headers that are bytes already, and shows the status of a message that nobody received', async () => {
    const block = Buffer.from('NATS/1.0\r\nX: 1\r\n\r\n');
    const sent = await receive('shape.bytes', 'b', { headers: { encode: () => block } as never });
    assert.equal(sent.headers?.get('X'), '1');
    assert.equal(sent.string(), 'b');
    const answers: Msg[] = [];
    link.connection.subscribe('shape.answer', { callback: (_, message) => void answers.push(message) });
    link.connection.publish('shape.nobody', '', { reply: 'shape.answer' });
    await waitUntil('the answer', () => answers.length > 0);
    const [answer] = answers;
    assert.ok(answer !== undefined);
    assert.equal(rawStatus(rawHeader(answer) ?? new Uint8Array())?.code, 503);
  });

  it('sends a command that is ready, once, as the public way would, and leaves to that what it refuses', async () => {
    const received: Msg[] = [];
    const subscription = link.connection.subscribe('shape.größe', {
      callback: (_, message) => void received.push(message),
    });
    const header = 'NATS/1.0\r\nSluice-Tags: größe\r\n\r\n';
    const parts = { replyPrefix: 'answer.', header, headerBytes: Buffer.byteLength(header), body: Buffer.from('body') };
    const sentBefore = link.connection.stats();
    const command = encodeCommand({ ...parts, subject: 'shape.größe' });
    assert.equal(sendCommand(link.connection, 'shape.größe', command, 1_234), true);
    await waitUntil('the message', () => received.length > 0);
    subscription.unsubscribe();
    const [message] = received;
    assert.ok(message !== undefined);
    assert.equal(message.subject, 'shape.größe');
    assert.equal(message.reply, 'answer.000000000001234');
    assert.equal(message.headers?.get('Sluice-Tags'), 'größe');
    assert.equal(message.string(), 'body');
    const sent = link.connection.stats();
    assert.equal(sent.outMsgs - sentBefore.outMsgs, 1);
    assert.equal(sent.outBytes - sentBefore.outBytes, parts.headerBytes + 4);

    const spaced = encodeCommand({ ...parts, subject: 'two tokens' });
    assert.equal(sendCommand(link.connection, 'two tokens', spaced, 1), false);
    const large = encodeCommand({ ...parts, subject: 'shape.large', body: Buffer.alloc(link.payloadBytesMax) });
    assert.equal(sendCommand(link.connection, 'shape.large', large, 1), false);
    assert.equal(sendCommand({} as never, 'shape.größe', command, 1), false);
  });

  it('lets go of a socket, and connects anew', async () => {
    const { reconnects } = link;
    assert.equal(severStaleSocket(link.connection), true);
    await waitUntil('a new connection', () => link.reconnects > reconnects);
    assert.equal(link.serverVersion, server.version);
    assert.equal(severStaleSocket({} as never), false);
  });

  it('remembers what server it talked to while it is disconnected', async () => {
    const { serverVersion, payloadBytesMax } = link;
    await server.kill('SIGKILL');
    await waitUntil('a lost connection', () => !link.isConnected);
    assert.deepEqual([link.serverVersion, link.payloadBytesMax], [serverVersion, payloadBytesMax]);
    await server.restart();
    await waitUntil('a new connection', () => link.isConnected);
  });
});
