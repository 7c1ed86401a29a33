/** The proxy that stands in for a bad network: a test tool whose faults would make other tests lie. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { waitUntil } from '../../support/wait-until.ts';

describe('the TCP proxy', () => {
  let echo: Server;
  let proxy: TcpProxy;
  const clients: Socket[] = [];

  before(async () => {
    echo = createServer((socket) => socket.on('error', () => undefined).pipe(socket)).listen(0, '127.0.0.1');
    await once(echo, 'listening');
  });
  after(() => echo.close());
  beforeEach(async () => {
    proxy = await startTcpProxy((echo.address() as AddressInfo).port);
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    await proxy.close();
  });

  const open = async (): Promise<{ socket: Socket; received: () => string }> => {
    const socket = connect(proxy.port, '127.0.0.1');
    clients.push(socket);
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    return { socket, received: () => text };
  };

  it('forwards both ways', async () => {
    const { socket, received } = await open();
    socket.write('hello');
    await waitUntil('the echo', () => received() === 'hello');
    assert.equal(proxy.connections, 1);
  });

  it('cuts what is open, and accepts what comes', async () => {
    const { socket } = await open();
    await waitUntil('the connection', () => proxy.connections === 1);
    proxy.cut();
    await waitUntil('the end', () => socket.destroyed);
    const { socket: next, received } = await open();
    next.write('again');
    await waitUntil('the echo', () => received() === 'again');
  });

  it('holds bytes back while it is stalled, and delivers them once and in order afterwards', async () => {
    const { socket, received } = await open();
    socket.write('1');
    await waitUntil('the echo', () => received() === '1');
    proxy.stall();
    const { socket: late, received: lateReceived } = await open();
    socket.write('2');
    late.write('a');
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.deepEqual([received(), lateReceived()], ['1', '']);
    assert.equal(socket.destroyed, false);
    proxy.resume();
    proxy.resume();
    socket.write('3');
    await waitUntil('the rest', () => received() === '123' && lateReceived() === 'a');
  });

  it('refuses new connections and keeps the old ones, on the same port before and after', async () => {
    const { socket, received } = await open();
    socket.write('1');
    await waitUntil('the echo', () => received() === '1');
    proxy.refuse();
    await assert.rejects(open(), /ECONNREFUSED/);
    socket.write('2');
    await waitUntil('the echo', () => received() === '12');
    const { port } = proxy;
    await proxy.accept();
    assert.equal(proxy.port, port);
    await open();
  });
});
