/**
 * Real cache-node processes for integration tests: started, killed, paused and restarted by pid, with a fresh data folder and
 * a port chosen by the system.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cliFolder } from './project.ts';
import { waitUntil } from './wait-until.ts';

export interface NodeOptions {
  readonly id: string;
  readonly nats: string | readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface NodeProcess {
  readonly id: string;
  /** Base address of the HTTP door of the process that runs now. */
  readonly url: string;
  readonly pid: number;
  readonly folder: string;
  /** What the current process has written, both streams. */
  readonly output: string;
  /** Resolves when /readyz says so. */
  ready(): Promise<void>;
  kill(signal?: NodeJS.Signals): Promise<number | null>;
  signal(signal: NodeJS.Signals): void;
  /** Starts again with the same id and data folder, on another port. */
  restart(): Promise<void>;
  /** Ends the process by SIGTERM and removes the folder; resolves with the exit code. */
  stop(): Promise<number | null>;
}

const living = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

/** Runs cache-node until it ends by itself; for the ways in which it refuses to start. */
export async function runNode(
  env: Readonly<Record<string, string>>,
  args: readonly string[] = [],
): Promise<{ code: number | null; output: string }> {
  const child = spawnNode(env, args);
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}

function spawnNode(env: Readonly<Record<string, string>>, args: readonly string[]): ChildProcess {
  const clean = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('SLUICE_') && name !== 'NODE_TEST_CONTEXT'),
  );
  const child = spawn(process.execPath, [join(cliFolder, 'cache-node.js'), ...args], {
    env: { ...clean, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  living.add(child);
  child.once('exit', () => living.delete(child));
  return child;
}

export async function startNode(options: NodeOptions): Promise<NodeProcess> {
  const folder = mkdtempSync(join(tmpdir(), `sluice-${options.id}-`));
  const env = {
    SLUICE_NODE_ID: options.id,
    SLUICE_NODE_DATA_FOLDER: folder,
    SLUICE_HTTP_PORT: '0',
    SLUICE_NATS_SERVERS: [options.nats].flat().join(','),
    SLUICE_LOGGING_FORMAT: 'json',
    ...options.env,
  };
  let child: ChildProcess;
  let output = '';
  let url = '';

  async function start(): Promise<void> {
    output = '';
    const started = spawnNode(env, []);
    child = started;
    for (const stream of [started.stdout, started.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        if (started === child) output += chunk.toString();
      });
    }
    await waitUntil(
      `${options.id} listens`,
      () => {
        if (started.exitCode !== null || started.signalCode !== null) throw new Error(`${options.id} ended: ${output}`);
        return /"address":"(http:[^"]+)"/.test(output);
      },
      60_000,
    );
    url = /"address":"(http:[^"]+)"/.exec(output)?.[1] ?? '';
  }

  async function kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<number | null> {
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    const ended = once(child, 'exit');
    child.kill(signal);
    if (signal === 'SIGKILL') child.kill('SIGCONT');
    await ended;
    return child.exitCode;
  }

  try {
    await start();
  } catch (error) {
    await kill();
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  return {
    id: options.id,
    folder,
    get url() {
      return url;
    },
    get pid() {
      return child.pid ?? 0;
    },
    get output() {
      return output;
    },
    async ready() {
      await waitUntil(
        `${options.id} is ready`,
        async () => (await fetch(`${url}/readyz`).catch(() => undefined))?.status === 200,
        60_000,
      );
    },
    kill,
    signal: (signal) => void child.kill(signal),
    restart: async () => {
      await kill('SIGTERM');
      await start();
    },
    async stop() {
      child.kill('SIGCONT');
      const code = await kill('SIGTERM');
      rmSync(folder, { recursive: true, force: true });
      return code;
    },
  };
}
