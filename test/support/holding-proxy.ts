/**
 * A TCP proxy that can hold back what a server sends, and later deliver only what was sent before a chosen moment: a slow
 * network, of which a test decides exactly what has arrived.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface HoldingProxy {
  readonly port: number;
  /** From now on what the server sends is kept back. */
  hold(): void;
  /** Delivers what the server had sent before `untilMs` (by `performance.now`); the rest stays. */
  deliver(untilMs: number): void;
  /** Delivers everything and holds nothing any more. */
  release(): void;
  /** Destroys all connections; what was kept back is lost. */
  cut(): void;
  /** Chunks that are kept back. */
  readonly held: number;
  close(): void;
}

export async function startHoldingProxy(targetPort: number): Promise<HoldingProxy> {
  const held: { atMs: number; chunk: Buffer; near: Socket }[] = [];
  const sockets = new Set<Socket>();
  let isHolding = false;

  const server = createServer((near) => {
    const far = connect(targetPort, '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      const end = (): void => {
        near.destroy();
        far.destroy();
        sockets.delete(socket);
      };
      socket.on('error', end).on('close', end);
    }
    near.pipe(far);
    far.on('data', (chunk) => {
      if (isHolding) held.push({ atMs: performance.now(), chunk, near });
      else near.write(chunk);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  function deliver(untilMs: number): void {
    for (let next = held[0]; next !== undefined && next.atMs < untilMs; next = held[0]) {
      held.shift();
      next.near.write(next.chunk);
    }
  }

  return {
    port: (server.address() as AddressInfo).port,
    get held() {
      return held.length;
    },
    hold() {
      isHolding = true;
    },
    deliver,
    release() {
      isHolding = false;
      deliver(Number.POSITIVE_INFINITY);
    },
    cut() {
      isHolding = false;
      held.length = 0;
      for (const socket of sockets) socket.destroy();
    },
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
