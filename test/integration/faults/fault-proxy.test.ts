/** The network of the fault tests: each way in which it is bad shows, and it heals. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { type FaultProxy, startFaultProxy } from '../../support/fault-proxy.ts';
import { waitUntil } from '../../support/wait-until.ts';

describe('a network with faults', () => {
  let echo: Server;
  const served = new Set<Socket>();
  let proxy: FaultProxy;
  let chance = 0.5;
  const callers: Socket[] = [];

  before(async () => {
    echo = createServer((socket) => {
      served.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => served.delete(socket));
      socket.pipe(socket);
    }).listen(0, '127.0.0.1');
    await once(echo, 'listening');
  });
  after(() => echo.close());
  beforeEach(async () => {
    chance = 0.5;
    proxy = await startFaultProxy((echo.address() as AddressInfo).port, () => chance);
  });
  afterEach(() => {
    for (const caller of callers.splice(0)) caller.destroy();
    proxy.close();
  });

  interface Caller {
    readonly socket: Socket;
    readonly received: () => string;
    readonly error: () => string;
  }

  async function call(): Promise<Caller> {
    const socket = connect(proxy.port, '127.0.0.1');
    callers.push(socket);
    let received = '';
    let error = '';
    socket.on('data', (chunk: Buffer) => (received += chunk.toString()));
    socket.on('error', (failure: NodeJS.ErrnoException) => (error = failure.code ?? ''));
    await once(socket, 'connect');
    return { socket, received: () => received, error: () => error };
  }

  const arrived = (caller: Caller, text: string): Promise<true> =>
    waitUntil(`${text.length} bytes arrive`, () => caller.received() === text);

  it('forwards both ways, and closes when one side closes', async () => {
    const caller = await call();
    const text = 'x'.repeat(1_000_000);
    caller.socket.write(text);
    await arrived(caller, text);
    caller.socket.end();
    await waitUntil('both sides are closed', () => served.size === 0 && proxy.connections === 0);
  });

  it('delays by latency, loss and bandwidth, in order, and loses nothing', async () => {
    const caller = await call();
    const timed = async (text: string): Promise<number> => {
      const before = caller.received();
      const startedAt = performance.now();
      caller.socket.write(text);
      await arrived(caller, before + text);
      return performance.now() - startedAt;
    };
    proxy.setQuality({ latencyMs: 40, jitterMs: 20 });
    assert.ok((await timed('a')) >= 99, 'twice 40 ms and half of 20 ms');
    chance = 0;
    proxy.setQuality({ lossChance: 0.1, resendMs: 60 });
    assert.ok((await timed('b')) >= 119, 'lost once in each direction');
    proxy.setQuality({ bytesPerSecond: 10_000 });
    assert.ok((await timed('c'.repeat(1_000))) >= 199, 'a tenth of a second in each direction');
    proxy.heal();
    await timed('d');
  });

  it('carries at once, when it heals, what a narrow way would have carried for minutes', async () => {
    const caller = await call();
    await waitUntil('the server has the connection', () => served.size === 1);
    proxy.setQuality({ bytesPerSecond: 10 });
    const text = 'e'.repeat(2_000);
    caller.socket.write(text);
    await waitUntil('it is on its way', () => proxy.waitingBytes === text.length);
    proxy.heal();
    await arrived(caller, text);
    proxy.setQuality({ bytesPerSecond: 100_000 });
    caller.socket.write('f');
    await arrived(caller, `${text}f`);
  });

  it('is silent without closing anything, and delivers everything when it heals', async () => {
    const caller = await call();
    await waitUntil('the server has the connection', () => served.size === 1);
    proxy.stall();
    caller.socket.write('held');
    const late = await call();
    late.socket.write('held too');
    assert.equal(caller.received() + late.received(), '');
    proxy.heal();
    await arrived(caller, 'held');
    await arrived(late, 'held too');
  });

  it('is half open: the far side is closed and the near side is told only when it heals', async () => {
    const caller = await call();
    await waitUntil('the server has the connection', () => served.size === 1);
    proxy.halfOpen();
    await waitUntil('the far side is closed', () => served.size === 0);
    caller.socket.write('swallowed');
    assert.equal(caller.socket.destroyed, false);
    proxy.heal();
    await waitUntil('the near side is reset', () => caller.error() === 'ECONNRESET');
    const next = await call();
    next.socket.write('again');
    await arrived(next, 'again');
  });

  it('resets what is open and what comes, until it heals', async () => {
    const caller = await call();
    await waitUntil('the server has the connection', () => served.size === 1);
    proxy.reset();
    await waitUntil('the caller is reset', () => caller.error() === 'ECONNRESET');
    await waitUntil('the server lost it', () => served.size === 0);
    const refused = connect(proxy.port, '127.0.0.1');
    callers.push(refused);
    const [error] = (await once(refused, 'error')) as [NodeJS.ErrnoException];
    assert.equal(error.code, 'ECONNRESET');
    proxy.heal();
    const next = await call();
    next.socket.write('again');
    await arrived(next, 'again');
  });
});
