/**
 * Runs a program to its end, with a limit of time and of kept output. It is for tools that answer and leave; servers
 * are run elsewhere.
 */
import { spawn } from 'node:child_process';
import type { Clock } from '../../base/clock.ts';
import { SluiceError } from '../../errors.ts';
import { endWithUs, signalGroup } from '../process/process-ties.ts';

export interface ProgramOptions {
  readonly clock: Clock;
  readonly limitMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
}

export interface ProgramRun {
  /** Standard output and standard error as they came, the last 16 Ki characters of them. */
  readonly output: string;
  /** Undefined when it ended with exit code 0. */
  readonly failure: string | undefined;
}

const outputCharsMax = 16 * 1024;
const lastLinesMax = 5;

/** Never rejects for what the program does; throws `aborted` when the caller gives up. */
export async function runProgram(
  command: string,
  args: readonly string[],
  options: ProgramOptions,
): Promise<ProgramRun> {
  if (options.signal?.aborted) throw givenUp(command);
  let output = '';
  let stopReason: string | undefined;
  const failure = await new Promise<string | undefined>((resolve) => {
    // A process group of its own: a limit also ends what the program started (compilers, package scripts).
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      ...(options.env === undefined ? {} : { env: options.env }),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    endWithUs(child);
    const end = (reason: string): void => {
      stopReason ??= reason;
      if (child.pid !== undefined) signalGroup(child.pid, 'SIGKILL');
    };
    const onAbort = (): void => end('aborted');
    const limit = options.clock.timer(options.limitMs, () => end(`no end after ${options.limitMs / 1_000} s`));
    options.signal?.addEventListener('abort', onAbort, { once: true });
    const keep = (chunk: string): void => {
      output = (output + chunk).slice(-outputCharsMax);
    };
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', keep);
    const settle = (reason: string | undefined): void => {
      limit.cancel();
      options.signal?.removeEventListener('abort', onAbort);
      resolve(stopReason ?? reason);
    };
    child.once('error', (error) => settle(error.message));
    child.once('close', (code, signal) => settle(code === 0 ? undefined : describeEnd(code, signal, output)));
  });
  if (options.signal?.aborted) throw givenUp(command);
  return { output, failure };
}

function describeEnd(code: number | null, signal: NodeJS.Signals | null, output: string): string {
  const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
  const lines = output.trim().split('\n').slice(-lastLinesMax).join('\n').trim();
  return lines === '' ? how : `${how}: ${lines}`;
}

const givenUp = (command: string): SluiceError => new SluiceError('aborted', `${command} was given up`);
