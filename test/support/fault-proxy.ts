/**
 * A network between two processes of one machine, of which a test decides how bad it is: slow, lossy, narrow, silent, half-open
 * or reset. It knows nothing of what it carries. TCP repairs loss by sending again, so a lost packet shows as a stall.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** How bad the way is, in both directions. */
export interface Quality {
  /** Of each chunk, one way. */
  readonly latencyMs?: number;
  /** Up to so much more, by chance. */
  readonly jitterMs?: number;
  /** Chance of a chunk to be lost once, which delays it, and all behind it, by `resendMs`. */
  readonly lossChance?: number;
  readonly resendMs?: number;
  readonly bytesPerSecond?: number;
}

export interface FaultProxy {
  readonly port: number;
  /** Connections that are open now. */
  readonly connections: number;
  /** Bytes that are on their way, in both directions of all connections. */
  readonly waitingBytes: number;
  /** Undefined: as good as it gets. */
  setQuality(quality: Quality | undefined): void;
  /** Nothing is forwarded and nothing is closed, for old connections and new ones. */
  stall(): void;
  /** The far sides are closed, and the near sides are not told: what they send disappears. */
  halfOpen(): void;
  /** All connections are reset, and new ones at once. */
  reset(): void;
  /** Ends all of that. Connections that are half open are reset now, as by a host that does not know them. */
  heal(): void;
  close(): void;
}

type Mode = 'open' | 'stalled' | 'half-open' | 'reset';

/** Bytes that may wait in one direction; then the sender is made to wait. */
const waitingBytesMax = 256 * 1024;

export async function startFaultProxy(targetPort: number, chance: () => number): Promise<FaultProxy> {
  const pairs = new Set<Pair>();
  let mode: Mode = 'open';
  let quality: Quality | undefined;

  interface Pair {
    readonly near: Socket;
    readonly far: Socket | undefined;
    readonly ways: readonly Way[];
  }

  const server = createServer((near) => {
    near.setNoDelay(true);
    // A connection that breaks is an event of its own, `close`; the error says nothing more.
    near.on('error', () => near.destroy());
    if (mode === 'reset') {
      near.resetAndDestroy();
      return;
    }
    const far = mode === 'half-open' ? undefined : connect(targetPort, '127.0.0.1');
    far?.setNoDelay(true);
    far?.on('error', () => far.destroy());
    const ways = far === undefined ? [] : [createWay(near, far, badness), createWay(far, near, badness)];
    const pair: Pair = { near, far, ways };
    pairs.add(pair);
    if (far === undefined) near.resume();
    near.on('close', () => {
      pairs.delete(pair);
      if (far !== undefined) ways[0]?.end();
    });
    far?.on('close', () => {
      if (mode !== 'half-open') ways[1]?.end();
    });
  });

  const badness = (): Badness => ({ isStalled: mode === 'stalled', quality, chance });
  const pumpAll = (): void => {
    for (const { ways } of pairs) for (const way of ways) way.pump();
  };

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return pairs.size;
    },
    get waitingBytes() {
      return [...pairs].flatMap(({ ways }) => ways).reduce((sum, way) => sum + way.waitingBytes, 0);
    },
    setQuality(wanted) {
      quality = wanted;
    },
    stall() {
      mode = 'stalled';
    },
    halfOpen() {
      mode = 'half-open';
      for (const { near, far } of pairs) {
        far?.destroy();
        near.resume();
      }
    },
    reset() {
      mode = 'reset';
      for (const { near, far } of [...pairs]) {
        near.resetAndDestroy();
        far?.resetAndDestroy();
      }
    },
    heal() {
      const wasHalfOpen = mode === 'half-open';
      mode = 'open';
      quality = undefined;
      if (wasHalfOpen) for (const { near } of [...pairs]) near.resetAndDestroy();
      pumpAll();
    },
    close() {
      server.close();
      for (const { near, far, ways } of pairs) {
        for (const way of ways) way.drop();
        near.destroy();
        far?.destroy();
      }
    },
  };
}

interface Badness {
  readonly isStalled: boolean;
  readonly quality: Quality | undefined;
  readonly chance: () => number;
}

/** One direction of one connection. */
interface Way {
  readonly waitingBytes: number;
  /** Sends what is due. */
  pump(): void;
  /** The sender has closed: what has arrived is still delivered, then the other side is closed. */
  end(): void;
  drop(): void;
}

function createWay(from: Socket, to: Socket, badness: () => Badness): Way {
  const waiting: { readonly chunk: Buffer; readonly dueMs: number }[] = [];
  let waitingBytes = 0;
  let lastDueMs = 0;
  let isFull = false;
  let isEnded = false;
  let timer: NodeJS.Timeout | undefined;

  function delayOf(chunk: Buffer, { quality, chance }: Badness): { readonly lateMs: number; readonly busyMs: number } {
    if (quality === undefined) return { lateMs: 0, busyMs: 0 };
    const { latencyMs = 0, jitterMs = 0, lossChance = 0, resendMs = 250, bytesPerSecond } = quality;
    const lost = chance() < lossChance ? resendMs : 0;
    return {
      lateMs: latencyMs + jitterMs * chance() + lost,
      busyMs: bytesPerSecond === undefined ? 0 : (chunk.length / bytesPerSecond) * 1_000,
    };
  }

  function pump(): void {
    clearTimeout(timer);
    timer = undefined;
    // A way that is good again carries at once what waits in it.
    if (badness().quality === undefined) lastDueMs = 0;
    while (!badness().isStalled && !isFull && !to.destroyed) {
      const next = waiting[0];
      if (next === undefined) break;
      const earlyMs = badness().quality === undefined ? 0 : next.dueMs - performance.now();
      if (earlyMs > 0) {
        timer = setTimeout(pump, earlyMs);
        return;
      }
      waiting.shift();
      waitingBytes -= next.chunk.length;
      isFull = !to.write(next.chunk);
    }
    if (waitingBytes < waitingBytesMax) from.resume();
    if (isEnded && waiting.length === 0) to.destroySoon();
  }

  from.on('data', (chunk: Buffer) => {
    const now = performance.now();
    const { lateMs, busyMs } = delayOf(chunk, badness());
    lastDueMs = Math.max(now + lateMs, lastDueMs) + busyMs;
    waiting.push({ chunk, dueMs: lastDueMs });
    waitingBytes += chunk.length;
    if (waitingBytes >= waitingBytesMax) from.pause();
    if (timer === undefined) pump();
  });
  to.on('drain', () => {
    isFull = false;
    pump();
  });
  return {
    get waitingBytes() {
      return waitingBytes;
    },
    pump,
    end() {
      isEnded = true;
      pump();
    },
    drop() {
      clearTimeout(timer);
      waiting.length = 0;
    },
  };
}
