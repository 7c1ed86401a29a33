/**
 * One life of a child process, from its start to its end. It leads a process group of its own: Ctrl-C in a terminal
 * reaches us alone, and what the child itself started ends with it.
 *
 * Nothing here decides to start again.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Clock } from '../../base/clock.ts';
import { SluiceError } from '../../errors.ts';
import { endWithUs, signalGroup } from './process-ties.ts';

export interface ChildSpec {
  readonly command: string;
  readonly args?: readonly string[] | undefined;
  /** All of it; by default ours. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  readonly cwd?: string | undefined;
}

export type OutputName = 'stdout' | 'stderr';

export interface ChildWatch {
  readonly clock: Clock;
  /** A pipe that ends when we do; see `onParentGone`. */
  readonly hasStdin: boolean;
  /** Called with pieces of text as they come. An output without listener is discarded by the system. */
  readonly onOutput: Readonly<Partial<Record<OutputName, (text: string) => void>>>;
}

export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** False when the process ended by itself or by somebody else's signal. */
  readonly isExpected: boolean;
}

export interface ChildLife {
  readonly pid: number;
  /** Set once it has ended. */
  readonly exit: ProcessExit | undefined;
  /** True from the first call of `end`. */
  readonly isStopping: boolean;
  /** Never rejects. */
  readonly ended: Promise<ProcessExit>;
  /** Sends the signal to the group, and SIGKILL after the limit; resolves when the process has ended. */
  end(signal: NodeJS.Signals, limitMs: number): Promise<void>;
}

const lastWordsLimitMs = 500;

/** Throws `broker-unavailable` when the program cannot be run. */
export async function startLife(spec: ChildSpec, { clock, hasStdin, onOutput }: ChildWatch): Promise<ChildLife> {
  const child = spawn(spec.command, spec.args ?? [], {
    stdio: [
      hasStdin ? 'pipe' : 'ignore',
      onOutput.stdout === undefined ? 'ignore' : 'pipe',
      onOutput.stderr === undefined ? 'ignore' : 'pipe',
    ],
    detached: true,
    ...(spec.env === undefined ? {} : { env: spec.env }),
    ...(spec.cwd === undefined ? {} : { cwd: spec.cwd }),
  });
  const { pid } = child;
  if (pid === undefined) {
    const error = await new Promise<Error>((report) => child.once('error', report));
    throw new SluiceError('broker-unavailable', `cannot run ${spec.command}: ${error.message}`, { cause: error });
  }
  endWithUs(child);
  for (const name of ['stdout', 'stderr'] as const) {
    const listener = onOutput[name];
    if (listener !== undefined) child[name]?.setEncoding('utf8').on('data', listener);
  }
  let exit: ProcessExit | undefined;
  let isStopping = false;
  const ended = awaitEnd(child, clock).then(({ code, signal }) => {
    exit = { code, signal, isExpected: isStopping };
    return exit;
  });
  return {
    pid,
    ended,
    get exit() {
      return exit;
    },
    get isStopping() {
      return isStopping;
    },
    async end(signal, limitMs) {
      isStopping = true;
      if (exit !== undefined) return;
      signalGroup(pid, signal);
      // A paused process gets its SIGTERM only when it goes on.
      signalGroup(pid, 'SIGCONT');
      const limit = clock.timer(limitMs, () => signalGroup(pid, 'SIGKILL'));
      await ended;
      limit.cancel();
    },
  };
}

/** With the end of its outputs, so that no last words are lost; but a process that it left behind may hold them open. */
function awaitEnd(child: ChildProcess, clock: Clock): Promise<Pick<ProcessExit, 'code' | 'signal'>> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      const end = (): void => {
        limit.cancel();
        child.stdout?.destroy();
        child.stderr?.destroy();
        resolve({ code, signal });
      };
      const limit = clock.timer(lastWordsLimitMs, end);
      child.once('close', end);
    });
  });
}

/** For people: `exit code 1`, `signal SIGKILL`. */
export function describeExit({ code, signal }: Pick<ProcessExit, 'code' | 'signal'>): string {
  return signal === null ? `exit code ${code}` : `signal ${signal}`;
}
