/**
 * Real nats-servers for integration tests: one, or a cluster. Each has a fresh temp folder and ports chosen by the
 * system; `stop()` leaves no process and no folder behind.
 *
 * `SLUICE_TEST_NATS_BIN` names the server to test against; without it the preferred version is provisioned.
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { createNatsServer, type NatsServerOptions, type RunningServer } from '../../src/broker/nats-server.ts';
import { provisionNatsServer } from '../../src/broker/provision.ts';
import { isSluiceError } from '../../src/errors.ts';
import { requestJetStream } from './raw-nats.ts';
import { waitUntil } from './wait-until.ts';

export interface TestServerOptions extends Partial<Omit<NatsServerOptions, 'clock' | 'storeFolder'>> {
  /** Where the temp folder is made. Default: where the system has its own. */
  readonly parentFolder?: string;
}

export interface TestServer {
  readonly url: string;
  readonly port: number;
  /** Of the process that runs now; the last one's after an end. */
  readonly pid: number;
  readonly version: string;
  readonly storeFolder: string;
  /** Starts again on the same port and store; a server that runs is stopped by SIGTERM first. */
  restart(): Promise<void>;
  /** Resolves when the process has ended (SIGKILL: a crash). The store stays. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** SIGSTOP: the process stays, its connections stay, nothing moves. Resolves when that is so. */
  pause(): Promise<void>;
  resume(): void;
  /** Ends the process and removes the store. */
  stop(): Promise<void>;
}

export interface TestCluster {
  readonly urls: readonly string[];
  readonly servers: readonly TestServer[];
  stop(): Promise<void>;
}

const portRetries = 20;
const livingPids = new Set<number>();
const folders = new Set<string>();

function endLeftovers(): void {
  for (const pid of livingPids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      livingPids.delete(pid);
    }
  }
  livingPids.clear();
  for (const folder of folders) removeFolder(folder);
}

// A killed server may still be writing its last file for a moment.
function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 });
  folders.delete(folder);
}

process.once('exit', endLeftovers);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    endLeftovers();
    process.kill(process.pid, signal);
  });
}

let found: Promise<string> | undefined;

/** The nats-server under test. */
export function findTestBinary(): Promise<string> {
  const named = process.env['SLUICE_TEST_NATS_BIN'];
  found ??=
    named === undefined || named === ''
      ? provisionNatsServer({ env: process.env, clock: systemClock, log: () => undefined }).then(({ path }) => path)
      : Promise.resolve(named);
  return found;
}

export async function startNatsServer(options: TestServerOptions = {}): Promise<TestServer> {
  const binary = options.binary ?? (await findTestBinary());
  const storeFolder = mkdtempSync(join(options.parentFolder ?? tmpdir(), 'sluice-nats-'));
  folders.add(storeFolder);
  let running: RunningServer;
  let server = createNatsServer({ ...options, binary, storeFolder, clock: systemClock });

  async function start(): Promise<RunningServer> {
    const started = await server.start();
    livingPids.add(started.pid);
    server.onExit(() => livingPids.delete(started.pid));
    return started;
  }

  try {
    running = await start();
  } catch (error) {
    removeFolder(storeFolder);
    throw error;
  }

  return {
    get url() {
      return running.url;
    },
    get port() {
      return running.port;
    },
    get pid() {
      return running.pid;
    },
    get version() {
      return running.version;
    },
    storeFolder,
    async restart() {
      await server.stop();
      server = createNatsServer({ ...options, binary, storeFolder, port: running.port, clock: systemClock });
      // While it was down the system may have lent the port to an outgoing connection for a moment.
      running = await waitUntil(`port ${running.port} free again`, () =>
        start().catch((error: unknown) => {
          if (isSluiceError(error, 'in-use')) return undefined;
          throw error;
        }),
      );
    },
    kill: (signal = 'SIGKILL') => server.kill(signal),
    async pause() {
      process.kill(running.pid, 'SIGSTOP');
      await waitUntil('the server stopped', () => isPaused(running.pid));
    },
    resume: () => void process.kill(running.pid, 'SIGCONT'),
    async stop() {
      await server.stop();
      removeFolder(storeFolder);
    },
  };
}

/** A signal takes effect a moment after it was sent; until then the server may still answer. */
function isPaused(pid: number): boolean {
  return execFileSync('ps', ['-p', String(pid), '-o', 'stat='], { encoding: 'utf8' }).startsWith('T');
}

/** `count` different free ports. Another process may take one before it is used: callers retry. */
export async function findFreePorts(count: number): Promise<number[]> {
  const holders = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(holders.map((holder) => once(holder, 'listening')));
  const ports = holders.map((holder) => (holder.address() as AddressInfo).port);
  await Promise.all(holders.map((holder) => once(holder.close(), 'close')));
  return ports;
}

/** A cluster that has proved that it can make a stream with a replica on each server. */
export async function startNatsCluster(count = 3, options: TestServerOptions = {}): Promise<TestCluster> {
  const servers = await startMembers(count, options);
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()));
  };
  try {
    await awaitReplication(servers);
  } catch (error) {
    await stop();
    throw error;
  }
  return { urls: servers.map((server) => server.url), servers, stop };
}

async function startMembers(count: number, options: TestServerOptions): Promise<TestServer[]> {
  for (let attempt = 1; ; attempt += 1) {
    const ports = await findFreePorts(count);
    const routes = ports.map((port) => `nats://127.0.0.1:${port}`);
    const started = await Promise.allSettled(
      ports.map((port, index) =>
        startNatsServer({
          ...options,
          serverName: `${options.serverName ?? 'test'}-${index + 1}`,
          cluster: { name: 'test', port, routes },
        }),
      ),
    );
    const failed = started.find((result) => result.status === 'rejected');
    const members = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    if (failed === undefined) return members;
    await Promise.all(members.map((member) => member.stop()));
    if (!isSluiceError(failed.reason, 'in-use') || attempt === portRetries) throw failed.reason;
  }
}

async function awaitReplication(servers: readonly TestServer[]): Promise<void> {
  const name = 'TEST_CLUSTER_READY';
  const stream = { name, subjects: ['test.cluster.ready'], storage: 'memory', num_replicas: servers.length };
  for (const { port } of servers) {
    await waitUntil('a JetStream leader of the cluster', () => requestJetStream(port, 'INFO'), 30_000);
  }
  const port = servers[0]?.port ?? 0;
  await waitUntil('a replicated stream', () => requestJetStream(port, `STREAM.CREATE.${name}`, stream, 2_000), 30_000);
  await waitUntil(
    'no stream any more',
    () => requestJetStream(port, `STREAM.DELETE.${name}`, undefined, 2_000),
    30_000,
  );
}
