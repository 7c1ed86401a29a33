/**
 * The few fields of the NATS driver that are not part of its public interface and that Sluice relies on for speed or for
 * healing. When a new version of the driver changes them, this says so before users notice.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { headers, type Msg } from '@nats-io/nats-core';
import type { Link } from '../../src/nats/link.ts';
import { createOutbox } from '../../src/nats/wire/outbox.ts';
import { hasRawShape, rawHeader, rawRecord, rawReply, rawStatus } from '../../src/nats/wire/raw-message.ts';
import {
  type CommandParts,
  commandBytesMax,
  createCommandFrame,
  ReadyCommand,
} from '../../src/nats/wire/ready-command.ts';
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
    const record = rawRecord(full, 7, 8);
    assert.deepEqual([record.position, record.atMs, record.subject], [7, 8, full.subject]);
    assert.deepEqual(Buffer.from(record.header ?? []), Buffer.from(rawHeader(full) ?? []));
    assert.equal(Buffer.from(rawReply(full) ?? []).toString(), 'reply.to');
    assert.equal(Buffer.from(rawHeader(full) ?? []).toString(), 'NATS/1.0\r\nSluice-Tags: größe\r\n\r\n');
    assert.equal(Buffer.from(record.data).toString(), 'body');
    const bare = await receive('shape.bare', '', {});
    assert.ok(hasRawShape(bare));
    assert.equal(rawReply(bare), undefined);
    assert.equal(rawHeader(bare), undefined);
    assert.equal(rawRecord(bare, 1, 1).header, undefined);
    assert.equal(rawRecord(bare, 1, 1).data.length, 0);
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

  it('sends commands that are ready as the public way would, and leaves to that what it refuses', async () => {
    const received: Msg[] = [];
    const subscription = link.connection.subscribe('shape.größe', {
      callback: (_, message) => void received.push(message),
    });
    const frame = createCommandFrame('answer.');
    const outbox = createOutbox(link.connection);
    const fields = 'Sluice-Tags: größe\r\n';
    const usual = { subject: 'shape.größe', id: 'idé', fields, textBytes: 4 + Buffer.byteLength(fields) };
    const commandOf = (parts: CommandParts): ReadyCommand =>
      new ReadyCommand(frame, parts, outbox.chunkFor(commandBytesMax(frame, parts)));
    const sentBefore = link.connection.stats();
    // The second one is between the others in memory and waits; the last one has memory of its own.
    const bodies = ['body', 'late', '', 'next', 'x'.repeat(100_000)];
    const commands = bodies.map((body) => commandOf({ ...usual, body: Buffer.from(body) }));
    const [first, late, ...others] = commands;
    assert.ok(first !== undefined && late !== undefined);
    assert.equal(outbox.send(first, 1_234), true);
    for (const command of others) assert.equal(outbox.send(command, 5), true);
    late.moveOut();
    assert.equal(outbox.send(late, 999_999_999_999_999), true);
    await waitUntil('the messages', () => received.length === bodies.length);
    subscription.unsubscribe();
    assert.deepEqual(
      received.map((message) => message.string()),
      [0, 2, 3, 4, 1].map((index) => bodies[index]),
    );
    assert.deepEqual(
      received.map(({ reply }) => reply),
      ['000000000001234', ...Array(3).fill('000000000000005'), '999999999999999'].map((token) => `answer.${token}`),
    );
    for (const message of received) {
      assert.equal(message.subject, 'shape.größe');
      assert.deepEqual([message.headers?.get('Nats-Msg-Id'), message.headers?.get('Sluice-Tags')], ['idé', 'größe']);
    }
    const sent = link.connection.stats();
    assert.equal(sent.outMsgs - sentBefore.outMsgs, bodies.length);
    const bytes = commands.reduce((sum, command) => sum + command.bytes, 0);
    assert.equal(sent.outBytes - sentBefore.outBytes, bytes);
    assert.equal(bytes, bodies.join('').length + bodies.length * (rawHeader(received[0] as Msg)?.length ?? 0));

    for (const subject of ['', 'two tokens', 'a\r\nb'])
      assert.equal(outbox.send(commandOf({ ...usual, subject, body: Buffer.alloc(1) }), 1), false);
    assert.equal(outbox.send(commandOf({ ...usual, body: Buffer.alloc(link.payloadBytesMax) }), 1), false);
    assert.equal(createOutbox({} as never).send(first, 1), false);
  });

  it('shows of a command what its text says, where it lies or moved to', () => {
    const frame = createCommandFrame('answer.');
    const chunk = { memory: Buffer.alloc(1_000), filled: 300 };
    const parts = { subject: 'größe', id: 'a.1', fields: 'X: 1\r\n', textBytes: 9, body: Buffer.from('body') };
    const command = new ReadyCommand(frame, parts, chunk);
    const text = `HPUB größe answer.${'0'.repeat(15)} 36 40\r\nNATS/1.0\r\nNats-Msg-Id: a.1\r\nX: 1\r\n\r\nbody\r\n`;
    for (const memory of [chunk.memory, 'moved']) {
      if (memory === 'moved') command.moveOut();
      else assert.equal(command.memory, memory);
      assert.equal(command.memory.toString('utf8', command.start, command.end), text);
      assert.equal(command.subject, 'größe');
      assert.equal(command.bytes, 40);
      assert.equal(Buffer.from(command.data).toString(), 'body');
      assert.equal(Buffer.from(command.encode()).toString(), 'NATS/1.0\r\nNats-Msg-Id: a.1\r\nX: 1\r\n\r\n');
    }
    assert.equal(chunk.filled, 300 + Buffer.byteLength(text));
    assert.equal(command.memory.length, Buffer.byteLength(text));
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
