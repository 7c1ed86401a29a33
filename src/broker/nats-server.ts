/**
 * Runs one local nats-server with JetStream on a data folder: the embedded default of `sluice up`, and the real server
 * of the integration tests.
 *
 * The folder says all: `nats-server.conf` (written anew at each start), `nats-server.log`, the store and the lock. The
 * server does not end with us when we are killed by SIGKILL; the next start on the same folder ends it by its very
 * pid, after making sure what that pid is (`folder-lock.ts`). Restarting a crashed server is not done here.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type Clock, pause } from '../base/clock.ts';
import { type Random, systemRandom } from '../base/random.ts';
import { messageOf, SluiceError } from '../errors.ts';
import { type ChildLife, type ProcessExit, startLife } from './process/child-life.ts';
import { signalGroup } from './process/process-ties.ts';
import { type FolderLock, lockFolder } from './server/folder-lock.ts';
import { buildServerConfig, formatEndpoint, type ServerConfig } from './server/server-config.ts';
import { buildStartFailure, lastLines, measureLog, pruneOldLogs, readLastLines } from './server/server-log.ts';
import { readClientPort, readServerInfo } from './server/server-ready.ts';

export interface NatsServerOptions extends Partial<Omit<ServerConfig, 'storeFolder'>> {
  /** Path of the nats-server program, e.g. from `provisionNatsServer`. */
  readonly binary: string;
  /** Created if need be. One server at a time may use it. */
  readonly storeFolder: string;
  readonly clock: Clock;
  readonly random?: Random;
  /** How long a start may take, recovery of the store included. */
  readonly startLimitMs?: number;
  /** How long the server may take to stop before it gets SIGKILL. */
  readonly stopLimitMs?: number;
}

export interface RunningServer {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly version: string;
}

export interface NatsServer {
  /**
   * Resolves when the server greets connections. While it runs, further calls give the same result; after it ended, a
   * call starts it again. Throws `in-use` (port or data folder), `bad-config` (folder), `broker-unavailable` (anything
   * else; the message holds its last lines), `aborted`.
   */
  start(signal?: AbortSignal): Promise<RunningServer>;
  /** SIGTERM, and SIGKILL after the limit. Resolves when the process has ended; never fails for its exit code. */
  stop(): Promise<void>;
  /** Sends a signal. Resolves when the process has ended, or at once for signals that do not end it. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Called at each end of a server that was up. */
  onExit(listener: (exit: ProcessExit) => void): void;
  /** The process that runs now. */
  readonly pid: number | undefined;
}

const stderrCharsMax = 16 * 1024;
const pollMs = 10;
const greetingLimitMs = 2_000;
const lastingSignals: ReadonlySet<string> = new Set(['SIGSTOP', 'SIGCONT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2']);

export function createNatsServer(options: NatsServerOptions): NatsServer {
  const { clock, binary, startLimitMs = 120_000, stopLimitMs = 10_000 } = options;
  const host = options.host ?? '127.0.0.1';
  const folder = resolve(options.storeFolder);
  const logFile = options.logFile ?? join(folder, 'nats-server.log');
  const configPath = join(folder, 'nats-server.conf');
  const portsFolder = join(folder, 'ports');
  const listeners: ((exit: ProcessExit) => void)[] = [];
  let starting: Promise<RunningServer> | undefined;
  let isStopAsked = false;
  let life: ChildLife | undefined;

  async function launch(signal: AbortSignal | undefined): Promise<RunningServer> {
    isStopAsked = false;
    const random = options.random ?? systemRandom;
    const lock = await lockFolder(folder, { clock, random, childMark: configPath, stopLimitMs });
    let current: ChildLife | undefined;
    let stderrText = '';
    try {
      refuseIfGivenUp(signal);
      prepareFolder();
      const logStart = measureLog(logFile);
      const readLast = (): string[] => [...readLastLines(logFile, logStart), ...lastLines(stderrText)];
      const spec = { command: binary, args: ['-c', configPath, '--ports_file_dir', portsFolder] };
      const onStderr = (text: string): void => {
        stderrText = (stderrText + text).slice(-stderrCharsMax);
      };
      current = await startLife(spec, { clock, hasStdin: false, onOutput: { stderr: onStderr } });
      life = current;
      lock.recordChild(current.pid);
      const running = await awaitGreeting(current, signal, readLast);
      current.ended.then((exit) => {
        leave(lock);
        for (const listener of listeners) listener(exit);
      });
      return running;
    } catch (error) {
      await current?.end('SIGKILL', stopLimitMs);
      leave(lock);
      throw error;
    }
  }

  function leave(lock: FolderLock): void {
    lock.release();
    life = starting = undefined;
  }

  function refuseIfGivenUp(signal: AbortSignal | undefined): void {
    if (signal?.aborted || isStopAsked) throw new SluiceError('aborted', 'the start of nats-server was given up');
  }

  function prepareFolder(): void {
    try {
      mkdirSync(portsFolder, { recursive: true });
      for (const name of readdirSync(portsFolder)) rmSync(join(portsFolder, name), { force: true });
      mkdirSync(dirname(logFile), { recursive: true });
      pruneOldLogs(logFile);
      const config = { ...options, host, port: options.port ?? 0, storeFolder: folder, logFile };
      writeFileSync(configPath, buildServerConfig(config));
    } catch (error) {
      throw new SluiceError('bad-config', `cannot prepare the data folder ${folder}: ${messageOf(error)}`, {
        cause: error,
        details: { folder },
      });
    }
  }

  async function awaitGreeting(
    current: ChildLife,
    signal: AbortSignal | undefined,
    readLast: () => string[],
  ): Promise<RunningServer> {
    const deadline = clock.monotonic() + startLimitMs;
    // "Any address" is where a server listens, not where one connects.
    const address = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
    while (clock.monotonic() < deadline) {
      refuseIfGivenUp(signal);
      if (current.exit !== undefined) throw buildStartFailure(current.exit, readLast(), logFile);
      const port = readClientPort(portsFolder, current.pid);
      const info =
        port === undefined ? undefined : await readServerInfo({ host: address, port }, clock, greetingLimitMs);
      if (port !== undefined && info !== undefined && current.exit === undefined) {
        return { url: `nats://${formatEndpoint(address, port)}`, port, pid: current.pid, version: info.version };
      }
      await Promise.race([current.ended, pause(clock, pollMs, signal)]);
    }
    throw new SluiceError(
      'broker-unavailable',
      `nats-server (pid ${current.pid}) did not answer within ${startLimitMs / 1_000} s; see ${logFile}`,
      { details: { logFile } },
    );
  }

  return {
    get pid() {
      return life?.pid;
    },
    onExit(listener) {
      listeners.push(listener);
    },
    start(signal) {
      if (starting !== undefined) return starting;
      const attempt = launch(signal);
      starting = attempt;
      attempt.catch(() => {
        if (starting === attempt) starting = undefined;
      });
      return attempt;
    },
    async stop() {
      isStopAsked = true;
      // Also a start under way: it ends itself when it sees that its process was stopped, or before it makes one.
      await Promise.all([life?.end('SIGTERM', stopLimitMs), starting?.catch(() => undefined)]);
      await life?.end('SIGTERM', stopLimitMs);
    },
    async kill(signal) {
      if (life === undefined) return;
      if (lastingSignals.has(signal)) signalGroup(life.pid, signal);
      else await life.end(signal, stopLimitMs);
    },
  };
}
