/**
 * The programs as a user runs them: real processes with their own argv, environment and signals. What is still running when the
 * tests end is ended by its pid.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { cliFolder } from '../../support/project.ts';
import { waitUntil } from '../../support/wait-until.ts';

export type ProgramName = 'sluice' | 'cache-node' | 'cache-controller';

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Standard input; without it there is none. */
  readonly input?: string | Uint8Array;
  /** Standard input stays open until `closeInput`. */
  readonly holdInput?: boolean;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly bytes: Buffer;
  readonly stderr: string;
}

export interface RunningProgram {
  readonly pid: number;
  /** What it has written so far. */
  readonly stdout: string;
  readonly stderr: string;
  readonly ended: Promise<Ended>;
  signal(signal: NodeJS.Signals): void;
  closeInput(): void;
  /** Stops reading its standard output, as `head` does. */
  closeOutput(): void;
  /** Resolves with the match in what it wrote to standard output or standard error. */
  sees(pattern: RegExp, limitMs?: number): Promise<RegExpExecArray>;
}

const living = new Set<ChildProcess>();

/** By SIGTERM: a cluster must get the time to end its own processes. */
function endLiving(): void {
  for (const child of living) child.kill('SIGTERM');
}

process.once('exit', endLiving);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    endLiving();
    process.kill(process.pid, signal);
  });
}

const endLimitMs = 20_000;

/** Ends what a failed test has left running, in order, so that it does not disturb the next one. */
export async function endPrograms(): Promise<void> {
  await Promise.all(
    [...living].map(async (child) => {
      const closed = once(child, 'close');
      child.kill('SIGTERM');
      const limit = setTimeout(() => child.kill('SIGKILL'), endLimitMs);
      // Who stopped reading would keep a writer from ending.
      child.stdout?.resume();
      await closed;
      clearTimeout(limit);
    }),
  );
}

/** Ours, without the settings and the test runner's own variables. */
function cleanEnvironment(): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('SLUICE_') && name !== 'NODE_TEST_CONTEXT'),
  );
}

export function startProgram(name: ProgramName, args: readonly string[], options: RunOptions = {}): RunningProgram {
  const hasInput = options.input !== undefined || options.holdInput === true;
  const child = spawn(process.execPath, [join(cliFolder, `${name}.js`), ...args], {
    env: { ...cleanEnvironment(), ...options.env },
    stdio: [hasInput ? 'pipe' : 'ignore', 'pipe', 'pipe'],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  living.add(child);
  const { stdout, stderr } = child;
  assert.ok(stdout !== null && stderr !== null);
  const chunks: Buffer[] = [];
  let errors = '';
  stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  // The program may end without having read all of it.
  child.stdin?.on('error', () => undefined);
  if (options.input !== undefined) child.stdin?.end(options.input);
  const text = (): string => Buffer.concat(chunks).toString();
  const ended = once(child, 'close').then(([code, signal]): Ended => {
    living.delete(child);
    return { code, signal, stdout: text(), bytes: Buffer.concat(chunks), stderr: errors };
  });
  return {
    pid: child.pid ?? 0,
    ended,
    get stdout() {
      return text();
    },
    get stderr() {
      return errors;
    },
    signal: (signal) => void child.kill(signal),
    closeInput: () => void child.stdin?.end(),
    closeOutput: () => void stdout.destroy(),
    sees: async (pattern, limitMs = 20_000) =>
      waitUntil(
        `${name} ${args.join(' ')} says ${pattern}; it said:\n${text().slice(-2_000)}\n${errors.slice(-2_000)}`,
        () => {
          const match = pattern.exec(text()) ?? pattern.exec(errors) ?? undefined;
          if (match === undefined && child.exitCode !== null)
            throw new Error(`${name} ended with ${child.exitCode}:\n${text().slice(-2_000)}\n${errors}`);
          return match;
        },
        limitMs,
      ),
  };
}

export function runProgram(name: ProgramName, args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  return startProgram(name, args, options).ended;
}

/** `sluice` against one server. */
export interface Sluice {
  (...args: string[]): Promise<Ended>;
  with(options: RunOptions, ...args: string[]): Promise<Ended>;
  start(...args: string[]): RunningProgram;
  /** The one result of a command that has to succeed. */
  json(...args: string[]): Promise<Record<string, unknown>>;
  /** All of them. */
  lines(...args: string[]): Promise<Record<string, unknown>[]>;
}

export function createSluice(natsUrl: string): Sluice {
  const env = { SLUICE_NATS_SERVERS: natsUrl };
  const withOptions = (options: RunOptions, ...args: string[]): Promise<Ended> =>
    runProgram('sluice', args, { ...options, env: { ...env, ...options.env } });
  const lines = async (...args: string[]): Promise<Record<string, unknown>[]> => {
    const { code, stdout, stderr } = await withOptions({}, ...args, '--json');
    if (code !== 0) throw new Error(`sluice ${args.join(' ')}: exit ${code}: ${stderr}`);
    return stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  };
  return Object.assign((...args: string[]) => withOptions({}, ...args), {
    with: withOptions,
    start: (...args: string[]) => startProgram('sluice', args, { env }),
    lines,
    async json(...args: string[]) {
      const [result, ...others] = await lines(...args);
      if (result === undefined || others.length > 0) throw new Error(`${others.length + 1} results, not one`);
      return result;
    },
  });
}
