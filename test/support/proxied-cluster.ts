/**
 * Three real servers of which the last can be cut off from the other two, while its clients stay connected to it.
 *
 * All routes to it lead through one proxy. So that no server finds another by itself, the first two advertise addresses
 * where nobody listens, and the last one looks for them there.
 */
import { findFreePorts, startNatsServer, type TestServer } from './nats-server.ts';
import { requestJetStream } from './raw-nats.ts';
import { startTcpProxy } from './tcp-proxy.ts';
import { waitUntil } from './wait-until.ts';

export interface ProxiedCluster {
  readonly servers: readonly [TestServer, TestServer, TestServer];
  /** Separates the last server from the others. */
  isolateLast(): Promise<void>;
  joinLast(): Promise<void>;
  stop(): Promise<void>;
}

const nobodyHere = ['127.0.0.1:1', '127.0.0.1:2'] as const;

export async function startProxiedCluster(): Promise<ProxiedCluster> {
  const [first = 0, second = 0, last = 0] = await findFreePorts(3);
  const proxy = await startTcpProxy(last);
  const toLast = `127.0.0.1:${proxy.port}`;

  const start = (name: string, port: number, advertised: string, routes: readonly string[]): Promise<TestServer> =>
    startNatsServer({
      serverName: name,
      extraConfig: [
        'cluster {',
        '  name: "test"',
        `  listen: "127.0.0.1:${port}"`,
        `  advertise: "${advertised}"`,
        `  routes: [${routes.map((address) => `"nats://${address}"`).join(', ')}]`,
        '}',
      ].join('\n'),
    });

  const started = await Promise.allSettled([
    start('test-1', first, nobodyHere[0], [`127.0.0.1:${second}`, toLast]),
    start('test-2', second, nobodyHere[1], [`127.0.0.1:${first}`, toLast]),
    start('test-3', last, toLast, nobodyHere),
  ]);
  const servers = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()));
    await proxy.close();
  };
  const [a, b, c] = servers;
  if (a === undefined || b === undefined || c === undefined) {
    await stop();
    throw started.find((result) => result.status === 'rejected')?.reason;
  }
  for (const { port } of servers) {
    await waitUntil('a JetStream leader of the cluster', () => requestJetStream(port, 'INFO'), 30_000);
  }
  return {
    servers: [a, b, c],
    async isolateLast() {
      await proxy.refuse();
      proxy.cut();
    },
    joinLast: () => proxy.accept(),
    stop,
  };
}
