/** Processes that die, stand still and come back. */
import { faultCaches, streamsOf } from '../harness/caches.ts';
import type { FaultyServer } from '../harness/servers.ts';
import { markersOf } from '../harness/settle.ts';
import { type Fault, type FaultContext, onThreeServers, possible } from './fault.ts';

export const nodeKilled: Fault = {
  name: 'node-killed',
  layer: 'process',
  missing: possible,
  async inject(context) {
    const { world, random, nodeDoors } = context;
    const victim = random.pick(world.nodes).node;
    await victim.kill('SIGKILL');
    await measureReroute(
      context,
      nodeDoors.filter(({ process }) => process !== victim.id),
    );
    return { what: `SIGKILL of ${victim.id}`, heal: () => world.restartNode(victim) };
  },
};

/** How long until every key of the partitioned cache is answered by every node that lives. */
async function measureReroute(context: FaultContext, doors: FaultContext['nodeDoors']): Promise<void> {
  const killedAt = performance.now();
  const cache = faultCaches.find(({ isFull }) => !isFull);
  if (cache === undefined) return;
  for (;;) {
    const sweep = await Promise.allSettled(
      doors.flatMap((door) => markersOf(cache).map((key) => door.read(cache.name, key, { consistency: 'local' }))),
    );
    const tookMs = performance.now() - killedAt;
    if (sweep.every(({ status }) => status === 'fulfilled')) return context.rerouted(tookMs);
    if (tookMs > 30_000) return context.rerouted(tookMs);
  }
}

export const nodePaused: Fault = {
  name: 'node-paused',
  layer: 'process',
  missing: possible,
  async inject({ world, random }) {
    const victim = random.pick(world.nodes).node;
    victim.signal('SIGSTOP');
    return {
      what: `SIGSTOP of ${victim.id}`,
      heal: async () => victim.signal('SIGCONT'),
    };
  },
};

export const clientKilled: Fault = {
  name: 'client-killed',
  layer: 'process',
  missing: possible,
  async inject({ world, random }) {
    const { client } = random.pick(world.clients);
    await client.kill();
    return { what: `SIGKILL of ${client.id}`, heal: () => client.restart() };
  },
};

export const clientPaused: Fault = {
  name: 'client-paused',
  layer: 'process',
  missing: possible,
  async inject({ world, random }) {
    const { client } = random.pick(world.clients);
    client.signal('SIGSTOP');
    return { what: `SIGSTOP of ${client.id}`, heal: async () => client.signal('SIGCONT') };
  },
};

export const serverKilled: Fault = {
  name: 'server-killed',
  layer: 'log',
  missing: possible,
  inject: ({ world, random }) => killServer(random.pick(world.servers.all)),
};

export const serverPaused: Fault = {
  name: 'server-paused',
  layer: 'log',
  missing: possible,
  inject: ({ world, random }) => pauseServer(random.pick(world.servers.all)),
};

export const leaderKilled: Fault = {
  name: 'leader-killed',
  layer: 'log',
  missing: onThreeServers,
  inject: async (context) => killServer(await leaderOfSome(context)),
};

export const leaderPaused: Fault = {
  name: 'leader-paused',
  layer: 'log',
  missing: onThreeServers,
  inject: async (context) => pauseServer(await leaderOfSome(context)),
};

const leaderOfSome = ({ world, random }: FaultContext): Promise<FaultyServer> =>
  world.servers.leaderOf(random.pick(faultCaches.flatMap(streamsOf)));

async function killServer({ name, server }: FaultyServer): ReturnType<Fault['inject']> {
  await server.kill('SIGKILL');
  return { what: `SIGKILL of ${name}`, heal: () => server.restart() };
}

async function pauseServer({ name, server }: FaultyServer): ReturnType<Fault['inject']> {
  await server.pause();
  return { what: `SIGSTOP of ${name}`, heal: async () => server.resume() };
}

export const everythingRestarted: Fault = {
  name: 'everything-restarted',
  layer: 'everything',
  missing: possible,
  async inject({ world }) {
    const { servers, nodes, clients } = world;
    await Promise.all([
      ...servers.all.map(({ server }) => server.kill('SIGKILL')),
      ...nodes.map(({ node }) => node.kill('SIGKILL')),
      ...clients.map(({ client }) => client.kill()),
    ]);
    return {
      what: 'SIGKILL of everything at once',
      async heal() {
        await Promise.all(servers.all.map(({ server }) => server.restart()));
        await Promise.all([
          ...nodes.map(({ node }) => world.restartNode(node)),
          ...clients.map(({ client }) => client.restart()),
        ]);
      },
    };
  },
};

/** A node's wall clock jumps beyond the horizon of deletes, and later back. */
export const clockJumped: Fault = {
  name: 'clock-jumped',
  layer: 'process',
  missing: possible,
  async inject({ world, random }) {
    const victim = random.pick(world.nodes).node;
    const pid = victim.pid;
    victim.signal('SIGUSR2');
    return {
      what: `the clock of ${victim.id} jumps 30 hours ahead`,
      async heal() {
        // Another process has a clock of its own.
        if (victim.pid === pid) victim.signal('SIGUSR2');
      },
    };
  },
};
