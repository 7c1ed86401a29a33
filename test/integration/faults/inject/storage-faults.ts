/** Logs that an operator purges or makes anew, that are full, and disks that are full or fail. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { waitUntil } from '../../../support/wait-until.ts';
import { type FaultCache, faultCaches, streamsOf } from '../harness/caches.ts';
import { shownValue } from '../harness/histories.ts';
import { type Fault, type FaultContext, possible } from './fault.ts';

const cacheWhere = (is: (cache: FaultCache) => boolean): FaultCache => {
  const found = faultCaches.find(is);
  if (found === undefined) throw new Error('no such cache');
  return found;
};
const lossy = cacheWhere(({ isLossy }) => isLossy);
const refusing = cacheWhere(({ name }) => name === 'refusing');

const patienceMs = 30_000;
const noHeal = async (): Promise<void> => undefined;

export const streamPurged: Fault = {
  name: 'stream-purged',
  layer: 'log',
  missing: possible,
  async inject({ log }) {
    const [stream = ''] = streamsOf(lossy);
    await waitUntil(`${stream} is purged`, () => log.call(`STREAM.PURGE.${stream}`, { keep: 3 }), patienceMs);
    return { what: `an operator purges ${stream} down to three messages`, heal: noHeal };
  },
};

export const streamRecreated: Fault = {
  name: 'stream-recreated',
  layer: 'log',
  missing: possible,
  async inject({ log, holdMs }) {
    const [stream = ''] = streamsOf(lossy);
    const info = await waitUntil(`${stream} is there`, () => log.call(`STREAM.INFO.${stream}`), patienceMs);
    await waitUntil(`${stream} is deleted`, () => log.call(`STREAM.DELETE.${stream}`), patienceMs);
    return {
      what: `an operator deletes ${stream}, and makes it anew after ${holdMs} ms`,
      async heal() {
        await waitUntil(
          `${stream} is made anew`,
          async () =>
            (await log.call(`STREAM.CREATE.${stream}`, info['config'] as object)) ??
            (await log.call(`STREAM.INFO.${stream}`)),
          patienceMs,
        );
      },
    };
  },
};

/** Puts large values until the log refuses, or has turned over. All are operations of the history. */
async function flood({ histories, nodeDoors, random }: FaultContext, cache: FaultCache): Promise<number> {
  const pad = 'x'.repeat(8_000);
  const mark = random.below(2 ** 31);
  let refused = 0;
  for (let index = 0; index < 60 && refused < 3; index += 1) {
    const door = nodeDoors[index % nodeDoors.length];
    const value = `${mark}-${index}-${pad}`;
    const key = `flood-${index}`;
    const operation = { type: 'put' as const, process: 'flood', key, value: shownValue(value), partition: 0 };
    const done = await histories.run(cache.name, operation, async () => ({
      revision: (await door?.put(cache.name, key, value)) ?? Number.NaN,
    }));
    if (done === undefined) refused += 1;
  }
  return refused;
}

export const streamFull: Fault = {
  name: 'stream-full',
  layer: 'log',
  missing: possible,
  async inject(context) {
    const refused = await flood(context, refusing);
    return {
      what: `the log of ${refusing.name} is full (${refused} writes refused)`,
      async heal() {
        for (const door of context.nodeDoors) {
          const call = context.histories.of(refusing.name).begin({ type: 'clear', process: 'operator', partition: 0 });
          const position = await door.clear(refusing.name).then(
            (positions) => positions.get(0),
            () => undefined,
          );
          if (position === undefined) call.unknown();
          else {
            call.ok({ revision: position });
            return;
          }
        }
      },
    };
  },
};

export const streamDropping: Fault = {
  name: 'stream-dropping',
  layer: 'log',
  missing: possible,
  async inject(context) {
    await flood(context, lossy);
    return { what: `the log of ${lossy.name} is full and drops its oldest`, heal: noHeal };
  },
};

export const diskFull: Fault = {
  name: 'disk-full',
  layer: 'log',
  missing: ({ world }) =>
    world.servers.all.every(({ disk }) => disk !== undefined) ? undefined : 'a tmpfs cannot be mounted here',
  async inject(context) {
    const { name, server, disk } = context.random.pick(context.world.servers.all);
    disk?.fill();
    const refused = await flood(context, lossy);
    return {
      what: `the disk of ${name} is full (${refused} large writes failed)`,
      async heal() {
        disk?.drain();
        // A server that ran out of space has switched JetStream off until it is started again.
        await server.restart();
      },
    };
  },
};

/** Every fsync of a server fails, as on a broken disk. */
export const syncFailing: Fault = {
  name: 'sync-failing',
  layer: 'log',
  missing: () => (canTrace() ? undefined : 'strace cannot attach to a process here'),
  async inject({ world, random }) {
    const { name, server } = random.pick(world.servers.all);
    const tracer = spawn(
      'strace',
      ['-f', '-qq', '-p', String(server.pid), '-e', 'trace=fsync,fdatasync', '-e', 'inject=fsync,fdatasync:error=EIO'],
      { stdio: 'ignore' },
    );
    tracers.add(tracer);
    await Promise.race([once(tracer, 'spawn'), once(tracer, 'error')]);
    return {
      what: `every fsync of ${name} fails`,
      async heal() {
        await detach(tracer);
        // A stream whose file could not be synced takes no writes any more until its server is started again.
        await server.restart();
      },
    };
  },
};

const tracers = new Set<ChildProcess>();
process.once('exit', () => {
  for (const tracer of tracers) tracer.kill('SIGKILL');
});

async function detach(tracer: ChildProcess): Promise<void> {
  tracers.delete(tracer);
  if (tracer.exitCode !== null || tracer.signalCode !== null) return;
  const ended = once(tracer, 'exit');
  tracer.kill('SIGINT');
  await ended;
}

let tracing: boolean | undefined;

function canTrace(): boolean {
  tracing ??= spawnSync('strace', ['-qq', '-o', '/dev/null', '-e', 'inject=fsync:error=EIO', 'true']).status === 0;
  return tracing;
}
