/**
 * One nats-server, or three whose routes all lead through proxies, so that any of them can be cut off from the others. Each
 * keeps its store on a small disk of its own where the machine can make one.
 */
import { type FaultProxy, startFaultProxy } from '../../../support/fault-proxy.ts';
import { findFreePorts, startNatsServer, type TestServer } from '../../../support/nats-server.ts';
import { requestJetStream } from '../../../support/raw-nats.ts';
import { waitUntil } from '../../../support/wait-until.ts';
import { mountSmallDisk, type SmallDisk } from './small-disk.ts';

export interface FaultyServer {
  readonly name: string;
  readonly server: TestServer;
  /** Undefined: this machine cannot mount one. */
  readonly disk: SmallDisk | undefined;
  /** All routes to the other servers; empty for a single one. */
  readonly routes: readonly FaultProxy[];
}

export interface Servers {
  readonly all: readonly FaultyServer[];
  readonly version: string;
  /** The one that leads a stream; for a single server that one. */
  leaderOf(stream: string): Promise<FaultyServer>;
  stop(): Promise<void>;
}

export interface ServersOptions {
  readonly count: 1 | 3;
  readonly binary?: string | undefined;
  readonly chance: () => number;
}

/** Room for the streams of all caches and their replacement while they are written. */
const diskBytes = 192 * 1024 * 1024;
const storeBytesMax = 128 * 1024 * 1024;
const nobodyHere = '127.0.0.1:1';

export async function startServers({ count, binary, chance }: ServersOptions): Promise<Servers> {
  const ports = await findFreePorts(count);
  const pairs: { readonly ends: readonly [number, number]; readonly proxy: FaultProxy }[] = [];
  for (let from = 0; from < count; from += 1)
    for (let to = from + 1; to < count; to += 1)
      pairs.push({ ends: [from, to], proxy: await startFaultProxy(ports[to] ?? 0, chance) });
  const disks = ports.map(() => mountSmallDisk(diskBytes));
  const stopped = async (servers: readonly TestServer[]): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()));
    for (const { proxy } of pairs) proxy.close();
    for (const disk of disks) disk?.unmount();
  };

  const started = await Promise.allSettled(
    ports.map((port, index) => {
      const disk = disks[index];
      const routes = pairs.filter(({ ends }) => ends[0] === index).map(({ proxy }) => `nats://127.0.0.1:${proxy.port}`);
      return startNatsServer({
        serverName: nameOf(index),
        jetStreamConfig: `max_file: ${storeBytesMax}`,
        ...(binary === undefined ? {} : { binary }),
        ...(disk === undefined ? {} : { parentFolder: disk.folder }),
        ...(count === 1 ? {} : { extraConfig: clusterConfig(port, routes) }),
      });
    }),
  );
  const servers = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const failed = started.find((result) => result.status === 'rejected');
  if (failed !== undefined) {
    await stopped(servers);
    throw failed.reason;
  }
  const all = servers.map((server, index) => ({
    name: nameOf(index),
    server,
    disk: disks[index],
    routes: pairs.filter(({ ends }) => ends.includes(index)).map(({ proxy }) => proxy),
  }));
  try {
    for (const { port } of servers)
      await waitUntil('JetStream answers', () => requestJetStream(port, 'INFO', undefined, 2_000), 60_000);
  } catch (error) {
    await stopped(servers);
    throw error;
  }

  return {
    all,
    version: servers[0]?.version ?? '',
    async leaderOf(stream) {
      const [only] = all;
      if (count === 1 && only !== undefined) return only;
      return waitUntil(
        `a leader of ${stream}`,
        async () => {
          for (const { server } of all) {
            const info = await requestJetStream(server.port, `STREAM.INFO.${stream}`, undefined, 500);
            const leader = (info as { cluster?: { leader?: string } } | undefined)?.cluster?.leader;
            const found = all.find(({ name }) => name === leader);
            if (found !== undefined) return found;
          }
          return undefined;
        },
        30_000,
      );
    },
    stop: () => stopped(servers),
  };
}

const nameOf = (index: number): string => `server-${index + 1}`;

/** Servers tell each other no address but these: nobody finds a way around the proxies, neither servers nor clients. */
function clusterConfig(port: number, routes: readonly string[]): string {
  const known = routes.length === 0 ? [`nats://${nobodyHere}`] : routes;
  return [
    'cluster {',
    '  name: "faulty"',
    `  listen: "127.0.0.1:${port}"`,
    `  advertise: "${nobodyHere}"`,
    '  no_advertise: true',
    `  routes: [${known.map((route) => JSON.stringify(route)).join(', ')}]`,
    '}',
  ].join('\n');
}
