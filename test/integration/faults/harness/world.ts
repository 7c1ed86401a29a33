/**
 * Real servers, nodes and clients of the library in processes of their own, with a proxy of its own between each of them and each
 * server. What is done to them is in `inject/`.
 */
import { createSeededRandom, type SeededRandom } from '../../../../src/testing/seeded-random.ts';
import { type FaultProxy, startFaultProxy } from '../../../support/fault-proxy.ts';
import { declareCache } from '../../../support/http-cache-client.ts';
import { type NodeProcess, startNode } from '../../../support/node-process.ts';
import { waitUntil } from '../../../support/wait-until.ts';
import { faultCaches } from './caches.ts';
import { type ClientProcess, startClient } from './client.ts';
import { type Servers, startServers } from './servers.ts';

export interface FaultyNode {
  readonly node: NodeProcess;
  /** One to each server. */
  readonly network: readonly FaultProxy[];
}

export interface FaultyClient {
  readonly client: ClientProcess;
  readonly network: readonly FaultProxy[];
}

export interface World {
  readonly servers: Servers;
  readonly nodes: readonly FaultyNode[];
  readonly clients: readonly FaultyClient[];
  readonly random: SeededRandom;
  /** Starts a node again and waits until it is ready. */
  restartNode(node: NodeProcess): Promise<void>;
  stop(): Promise<void>;
}

export interface WorldOptions {
  readonly seed: number;
  readonly replicas: 1 | 3;
  readonly nodes: number;
  readonly clients: number;
  /** Path of nats-server; default: the one under test. */
  readonly binary?: string | undefined;
  readonly onReset: (process: string, incarnation: string, cache: string, partition: number) => void;
}

/** Moves the wall clock of a node by 30 hours, more than the horizon of deletes, when it gets the signal, and back. */
const clockSwitch = `--import=data:text/javascript,${encodeURIComponent(
  'const now = Date.now; let shift = 0; Date.now = () => now() + shift; process.on("SIGUSR2", () => { shift = shift === 0 ? 108e6 : 0; });',
)}`;

export async function startWorld(options: WorldOptions): Promise<World> {
  const { seed, replicas } = options;
  const random = createSeededRandom(seed);
  // The proxies draw from another sequence: how often they do depends on time.
  const weather = createSeededRandom(seed + 1);
  const chance = (): number => weather.fraction();
  const servers = await startServers({ count: replicas, binary: options.binary, chance });
  const nodes: FaultyNode[] = [];
  const clients: FaultyClient[] = [];
  const networks: FaultProxy[] = [];

  async function makeNetwork(first: number): Promise<readonly FaultProxy[]> {
    const network: FaultProxy[] = [];
    for (const { server } of servers.all) network.push(await startFaultProxy(server.port, chance));
    networks.push(...network);
    // Not all begin with the same server, so that the loss of any hits somebody.
    const turn = first % network.length;
    return [...network.slice(turn), ...network.slice(0, turn)];
  }

  const addresses = (network: readonly FaultProxy[]): string[] => network.map(({ port }) => `nats://127.0.0.1:${port}`);

  async function stop(): Promise<void> {
    await Promise.all(clients.map(({ client }) => client.stop()));
    await Promise.all(nodes.map(({ node }) => node.kill('SIGKILL').then(() => node.stop())));
    for (const proxy of networks) proxy.close();
    await servers.stop();
  }

  async function restartNode(node: NodeProcess): Promise<void> {
    await node.restart();
    await node.ready();
  }

  try {
    for (let index = 0; index < options.nodes; index += 1) {
      const network = await makeNetwork(index);
      const node = await startNode({
        id: `node-${index + 1}`,
        nats: addresses(network),
        env: {
          NODE_OPTIONS: clockSwitch,
          SLUICE_LOG_REPLICAS: String(replicas),
          SLUICE_NATS_PING_INTERVAL: '1s',
          SLUICE_LOG_FLOOR_CHECK: '1s',
          SLUICE_LOGGING_LEVEL: process.env['SLUICE_LOGGING_LEVEL'] ?? 'info',
        },
      });
      nodes.push({ node, network });
    }
    await Promise.all(nodes.map(({ node }) => node.ready()));
    for (const { name, settings } of faultCaches) {
      await waitUntil(
        `${name} is declared`,
        async () =>
          (await declareCache(nodes[0]?.node.url ?? '', name, { ...settings, logReplicas: replicas })).status < 300,
        30_000,
      );
    }
    for (let index = 0; index < options.clients; index += 1) {
      const network = await makeNetwork(index + 1);
      const id = `client-${index + 1}`;
      let client: ClientProcess | undefined;
      client = await startClient({
        id,
        servers: addresses(network),
        caches: faultCaches.map(({ name }) => name),
        onReset: ({ cache, partition }) => options.onReset(id, String(client?.pid ?? 0), cache, partition),
      });
      clients.push({ client, network });
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return { servers, nodes, clients, random, restartNode, stop };
}
