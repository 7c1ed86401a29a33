/**
 * The processes of a cluster on one machine: nats-server, then the nodes and the controller, each kept running by the supervisor, each with a data
 * folder of its own and its output in a file. Nothing here knows caches.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pause } from '../../base/clock.ts';
import { createNatsServer } from '../../broker/nats-server.ts';
import { provisionNatsServer } from '../../broker/provision.ts';
import { type ChildStatus, createSupervisor, type SupervisedChild } from '../../broker/supervisor.ts';
import { isSluiceError, SluiceError } from '../../errors.ts';
import type { CommandContext } from '../command/context.ts';
import { fileError } from '../file-error.ts';
import { type LogFile, openLogFile } from './log-file.ts';
import { type NodeLine, readControllerLine, readNodeLine } from './node-output.ts';
import { isPortBusy, type PortPlan, portInUse, upHost } from './ports.ts';

/** A line of progress: which process it is about, and what there is to say. */
export type Say = (source: string, text: string, facts?: Readonly<Record<string, unknown>>) => void;

export interface ServersOptions {
  readonly dataFolder: string;
  /** Processes of a cluster that was killed may still be about to end. */
  readonly mayHaveLeftover: boolean;
  readonly ports: PortPlan;
  /** Flags of `cache-node` that all nodes get. */
  readonly nodeFlags: readonly string[];
  readonly controllerFlags: readonly string[];
  readonly say: Say;
}

export interface RunningNode {
  readonly name: string;
  readonly url: string;
  /** Of the process that runs now. */
  readonly pid: number | undefined;
}

export interface RunningServers {
  readonly natsUrl: string;
  readonly nodes: readonly RunningNode[];
  readonly controller: RunningNode;
  /** In reverse order of the start; resolves when no process is left. */
  stop(): Promise<void>;
}

/** Room for a value of 1 MiB and its headers, and for larger values on request. */
const payloadBytesMax = 8 * 1024 * 1024;
const stopLimitMs = 15_000;
/** A node that never came up after so many attempts will not. */
const attemptsMax = 3;
/** How long the nodes of a cluster that was killed may take to notice and to end. */
const leftoverLimitMs = 10_000;

const nodeScript = fileURLToPath(new URL('../cache-node.js', import.meta.url));
const controllerScript = fileURLToPath(new URL('../cache-controller.js', import.meta.url));
const natsName = 'nats-server';
const controllerName = 'controller';

/** Throws `in-use` (a port), `broker-unavailable`, `bad-config`, `aborted`; then nothing is left running. */
export async function startServers(context: CommandContext, options: ServersOptions): Promise<RunningServers> {
  const { clock, random, env, signal } = context;
  const { dataFolder, ports, say } = options;
  const logFiles: LogFile[] = [];
  const attempts = new Map<string, { hasRun: boolean; giveUp: (error: SluiceError) => void }>();

  const nodes = ports.http.map((port, index) => {
    const name = `node-${index + 1}`;
    return { name, port, url: `http://${upHost}:${port}`, folder: join(dataFolder, name) };
  });
  for (const { name, port } of nodes) await requireFreePort(context, options, port, `HTTP of ${name}`);
  await requireFreePort(context, options, ports.controller, 'the controller');

  const binary = await provisionNatsServer({ env, clock, signal, log: (line) => say(natsName, withoutName(line)) });
  const server = createNatsServer({
    binary: binary.path,
    storeFolder: join(dataFolder, 'nats'),
    logFile: join(makeFolder(dataFolder, 'logs'), `${natsName}.log`),
    host: upHost,
    port: ports.nats,
    maxPayloadBytes: payloadBytesMax,
    clock,
    random,
  });
  const { url, pid, version } = await server.start(signal).catch((error: unknown) => {
    throw isSluiceError(error, 'in-use') && error.details['port'] !== undefined ? portInUse(ports.nats, 'NATS') : error;
  });
  say(natsName, `version ${version} at ${url}, pid ${pid}`, { version, url, pid });

  const supervisor = createSupervisor({
    clock,
    random,
    stopLimitMs,
    log: (line) => say('supervisor', line),
    onState: noteState,
  });

  function noteState({ name, state, restarts, problem, pid: current }: ChildStatus): void {
    const attempt = attempts.get(name);
    if (state === 'running') {
      if (attempt !== undefined) attempt.hasRun = true;
      if (name === natsName && restarts > 0) say(name, `runs again, pid ${current}`, { pid: current });
    } else if (state === 'backing-off' && attempt?.hasRun === false && restarts + 1 >= attemptsMax) {
      attempt.giveUp(new SluiceError('broker-unavailable', `${name} does not start: ${problem}`));
    } else if (state === 'stopped' && signal.aborted) {
      say(name, 'stopped');
    }
  }

  interface Program {
    readonly name: string;
    readonly url: string;
    readonly args: readonly string[];
    readonly read: (line: string) => NodeLine;
  }

  const nodeProgram = ({ name, port, url: nodeUrl, folder }: (typeof nodes)[number]): Program => ({
    name,
    url: nodeUrl,
    args: [
      nodeScript,
      ...['--node-id', name, '--node-data-folder', folder],
      ...['--http-host', upHost, '--http-port', String(port), '--logging-format', 'json'],
      ...options.nodeFlags,
    ],
    read: readNodeLine,
  });

  const controllerProgram: Program = {
    name: controllerName,
    url: `http://${upHost}:${ports.controller}`,
    args: [
      controllerScript,
      ...['--controller-host', upHost, '--controller-port', String(ports.controller), '--logging-format', 'json'],
      ...options.controllerFlags,
    ],
    read: readControllerLine,
  };

  function add({ name, url: ownUrl, args, read }: Program): {
    readonly running: RunningNode;
    readonly firstRun: Promise<void>;
  } {
    const logFile = openLogFile(join(dataFolder, 'logs', `${name}.log`), (error) =>
      say(name, `its log cannot be written: ${error.message}`),
    );
    logFiles.push(logFile);
    const gaveUp = new Promise<never>((_, reject) => {
      attempts.set(name, { hasRun: false, giveUp: reject });
    });
    const child: SupervisedChild = supervisor.add({
      name,
      command: process.execPath,
      args,
      env,
      onLine(_stream, line) {
        logFile.write(line);
        const { text, isReady } = read(line);
        if (text !== undefined) say(name, isReady ? `${ownUrl} ${text}` : text, isReady ? { url: ownUrl } : {});
      },
      isReady: (line) => read(line).isReady,
    });
    const firstRun = Promise.race([child.running(), gaveUp, abortedBy(signal)]);
    // Looked at below, all at once.
    firstRun.catch(() => undefined);
    const running = {
      name,
      url: ownUrl,
      get pid() {
        return child.status.pid;
      },
    };
    return { running, firstRun };
  }

  async function stop(): Promise<void> {
    await supervisor.stop();
    await Promise.all(logFiles.map((file) => file.close()));
  }

  try {
    supervisor.keep(natsName, server);
    const added = nodes.map((node) => add(nodeProgram(node)));
    const controller = add(controllerProgram);
    await Promise.all([...added, controller].map(({ firstRun }) => firstRun));
    return { natsUrl: url, nodes: added.map(({ running }) => running), controller: controller.running, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

const withoutName = (line: string): string => line.replace(/^nats-server: /, '');

function makeFolder(...parts: readonly string[]): string {
  const folder = join(...parts);
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    throw fileError('--data', error);
  }
  return folder;
}

function abortedBy(signal: AbortSignal): Promise<never> {
  const error = new SluiceError('aborted', 'the start was given up');
  if (signal.aborted) return Promise.reject(error);
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(error), { once: true }));
}

/** What a killed `sluice up` left behind ends by itself; only then a port is waited for. */
async function requireFreePort(
  { clock, signal }: CommandContext,
  { mayHaveLeftover, say }: ServersOptions,
  port: number,
  whose: string,
): Promise<void> {
  const untilMs = clock.monotonic() + (mayHaveLeftover ? leftoverLimitMs : 0);
  for (let attempt = 1; await isPortBusy(port); attempt += 1) {
    if (signal.aborted) throw new SluiceError('aborted', 'the start was given up');
    if (clock.monotonic() >= untilMs) throw portInUse(port, whose);
    if (attempt === 1) say('sluice', `waiting for port ${port}, which the last cluster may still be about to leave`);
    await pause(clock, 100, signal);
  }
}
