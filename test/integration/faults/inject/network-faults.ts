/** Networks that are silent, half-open, reset, slow, lossy or narrow, between any two. */
import type { FaultProxy } from '../../../support/fault-proxy.ts';
import { type Fault, type FaultContext, onThreeServers, possible } from './fault.ts';

type Way = 'silent' | 'half-open' | 'reset';

const ways: readonly Way[] = ['silent', 'half-open', 'reset'];

function cut(network: readonly FaultProxy[], way: Way): void {
  for (const proxy of network) {
    if (way === 'silent') proxy.stall();
    else if (way === 'half-open') proxy.halfOpen();
    else proxy.reset();
  }
}

const healed = (network: readonly FaultProxy[]) => async (): Promise<void> => {
  for (const proxy of network) proxy.heal();
};

function partition(name: string, find: (context: FaultContext) => readonly [string, readonly FaultProxy[]]): Fault {
  return {
    name,
    layer: 'network',
    missing: possible,
    async inject(context) {
      const [victim, network] = find(context);
      const way = context.random.pick(ways);
      cut(network, way);
      return { what: `${victim} is cut off from the servers (${way})`, heal: healed(network) };
    },
  };
}

export const nodePartitioned = partition('node-partitioned', ({ world, random }) => {
  const { node, network } = random.pick(world.nodes);
  return [node.id, network];
});

export const clientPartitioned = partition('client-partitioned', ({ world, random }) => {
  const { client, network } = random.pick(world.clients);
  return [client.id, network];
});

export const serverPartitioned: Fault = {
  name: 'server-partitioned',
  layer: 'network',
  missing: onThreeServers,
  async inject(context) {
    const { name, routes } = context.random.pick(context.world.servers.all);
    const way = context.random.pick(ways);
    cut(routes, way);
    return { what: `${name} is cut off from the other servers (${way})`, heal: healed(routes) };
  },
};

export const serversFarApart: Fault = {
  name: 'servers-far-apart',
  layer: 'network',
  missing: onThreeServers,
  async inject({ world }) {
    const routes = world.servers.all.flatMap((server) => server.routes);
    for (const proxy of routes) proxy.setQuality({ latencyMs: 20, jitterMs: 20 });
    return { what: '20 to 40 ms between the servers', heal: healed(routes) };
  },
};

function badNetwork(name: string, words: string, quality: Parameters<FaultProxy['setQuality']>[0]): Fault {
  return {
    name,
    layer: 'network',
    missing: possible,
    async inject({ world, random }) {
      const { node, network } = random.pick(world.nodes);
      const other = random.pick(world.clients);
      const both = [...network, ...other.network];
      for (const proxy of both) proxy.setQuality(quality);
      return { what: `${words} between the servers and ${node.id}, ${other.client.id}`, heal: healed(both) };
    },
  };
}

export const networkSlow = badNetwork('network-slow', '50 to 150 ms', { latencyMs: 50, jitterMs: 100 });
export const networkLossy = badNetwork('network-lossy', 'one chunk of ten lost', { lossChance: 0.1, resendMs: 300 });
export const networkNarrow = badNetwork('network-narrow', '32 KiB/s', { bytesPerSecond: 32 * 1024 });
