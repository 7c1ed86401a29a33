/**
 * Connected clients of the library on one real server: some straight, some through a proxy that can cut or stall their
 * connection. What was opened for a test is closed at its end, by `end`.
 */
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { type CacheRegistry, createCacheRegistry } from '../../src/cluster/cache-registry.ts';
import { createSession } from '../../src/cluster/session.ts';
import { builtInCacheSettings } from '../../src/config/cache-settings.ts';
import { type CoherentCache, type ConnectOptions, connect, type OpenOptions, type Sluice } from '../../src/index.ts';
import { requestJetStream } from './raw-nats.ts';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';

export interface LibraryClients {
  /** A cache name that no other test uses. */
  freshName(): string;
  connect(options?: ConnectOptions): Promise<Sluice>;
  /** Opens one cache in so many clients, each with a connection of its own; the first one creates it. */
  openIn<Value>(count: number, name: string, options?: OpenOptions<Value>): Promise<CoherentCache<Value>[]>;
  connectThroughProxy(options?: ConnectOptions): Promise<{ readonly sluice: Sluice; readonly proxy: TcpProxy }>;
  /** Declares and drops caches from outside of all clients. */
  asOperator<Result>(work: (registry: CacheRegistry) => Promise<Result>): Promise<Result>;
  /** Closes all that was made since the last call. */
  end(): Promise<void>;
}

let names = 0;

export function createLibraryClients(port: () => number): LibraryClients {
  const closers: (() => Promise<unknown>)[] = [];
  const urlOf = (of: number): string => `nats://127.0.0.1:${of}`;

  async function connectTo(servers: string, options: ConnectOptions): Promise<Sluice> {
    const sluice = await connect({ servers, ...options });
    closers.push(() => sluice.close());
    return sluice;
  }

  const clients: LibraryClients = {
    freshName() {
      names += 1;
      return `cache${names}`;
    },
    connect: (options = {}) => connectTo(urlOf(port()), options),
    async openIn<Value>(count: number, name: string, options: OpenOptions<Value> = {}) {
      const opened: CoherentCache<Value>[] = [];
      for (let index = 0; index < count; index += 1)
        opened.push(await (await clients.connect()).open<Value>(name, options));
      return opened;
    },
    async connectThroughProxy(options = {}) {
      const proxy = await startTcpProxy(port());
      closers.push(() => proxy.close());
      return { proxy, sluice: await connectTo(urlOf(proxy.port), options) };
    },
    async asOperator(work) {
      const session = await createSession({
        cluster: 'sluice',
        origin: 'operator',
        nats: { servers: [urlOf(port())] },
        connectWaitMs: 10_000,
        controlReplicas: 1,
        storage: 'file',
        clock: systemClock,
        random: systemRandom,
        onNotice: () => undefined,
      });
      const registry = createCacheRegistry({
        session,
        hold: 'none',
        defaults: builtInCacheSettings,
        read: { onMiss: 'none', waitMs: 5_000, expiryToleranceMs: 0, tombstoneHorizonMs: 86_400_000 },
        cachesMax: 1_024,
      });
      try {
        return await work(registry);
      } finally {
        await registry.stop();
        await session.stop();
      }
    },
    async end() {
      for (const close of closers.splice(0).reverse()) await close();
    },
  };
  return clients;
}

/** Names of the consumers that a stream of the server has now. */
export async function consumersOf(port: number, stream: string): Promise<readonly string[]> {
  const answer = await requestJetStream(port, `CONSUMER.NAMES.${stream}`, {}, 5_000);
  if (answer === undefined) throw new Error(`${stream}: its consumers cannot be asked for`);
  return (answer['consumers'] as string[] | null) ?? [];
}
