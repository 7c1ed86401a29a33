/**
 * A TCP proxy that breaks connections on command: cut, stall, refuse. It stands in for the network between two
 * processes on one machine, where cables cannot be pulled.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface TcpProxy {
  readonly port: number;
  /** Connections that are open now. */
  readonly connections: number;
  /** Destroys all current connections, both sides. New ones are still accepted. */
  cut(): void;
  /** Stops forwarding bytes, without closing anything: what a silent network looks like. */
  stall(): void;
  resume(): void;
  /** New connections are refused (by the kernel: nothing listens). */
  refuse(): void;
  accept(): Promise<void>;
  close(): Promise<void>;
}

export async function startTcpProxy(targetPort: number, targetHost = '127.0.0.1'): Promise<TcpProxy> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let isStalled = false;

  const server = createServer((near) => {
    const far = connect(targetPort, targetHost);
    const pair = [near, far] as const;
    pairs.add(pair);
    near.setNoDelay(true);
    far.setNoDelay(true);
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      socket.on('error', () => other.destroy());
      // What has arrived is still delivered.
      socket.on('close', () => {
        other.destroySoon();
        pairs.delete(pair);
      });
    }
    near.pipe(far);
    far.pipe(near);
    if (isStalled) stallPair(pair);
  });

  // Unpiped and paused, the kernel's buffers fill up and the sender notices nothing but silence.
  function stallPair([near, far]: readonly [Socket, Socket]): void {
    near.unpipe(far).pause();
    far.unpipe(near).pause();
  }

  async function listen(port: number): Promise<number> {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }

  // Not awaited for the connections: those that exist outlive the listening socket.
  const stopListening = (): void => {
    if (server.listening) server.close();
  };
  const cut = (): void => {
    for (const pair of [...pairs]) for (const socket of pair) socket.destroy();
    pairs.clear();
  };

  const port = await listen(0);
  return {
    port,
    get connections() {
      return pairs.size;
    },
    cut,
    stall() {
      if (isStalled) return;
      isStalled = true;
      for (const pair of pairs) stallPair(pair);
    },
    resume() {
      if (!isStalled) return;
      isStalled = false;
      for (const [near, far] of pairs) {
        near.pipe(far);
        far.pipe(near);
      }
    },
    refuse: stopListening,
    async accept() {
      if (!server.listening) await listen(port);
    },
    async close() {
      stopListening();
      cut();
    },
  };
}
