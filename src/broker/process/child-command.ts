/**
 * A program that can be started again and again, with its output as lines. It is what the supervisor keeps running;
 * a nats-server has the same shape (`nats-server.ts`).
 *
 * Its standard input is a pipe that ends when we do, however we end, and SLUICE_SUPERVISED=1 tells it so. A child that
 * calls `onParentGone` therefore never outlives us, not even after SIGKILL.
 */
import type { Clock } from '../../base/clock.ts';
import { SluiceError } from '../../errors.ts';
import {
  type ChildLife,
  type ChildSpec,
  describeExit,
  type OutputName,
  type ProcessExit,
  startLife,
} from './child-life.ts';
import { supervisedVariable } from './process-ties.ts';

/** Something with a process that comes and goes. */
export interface Runnable {
  /** Resolves when it is up. */
  start(): Promise<{ readonly pid: number }>;
  /** Resolves when it has ended. Also ends a start that is under way. */
  stop(): Promise<void>;
  /** Called at each end after it was up. */
  onExit(listener: (exit: ProcessExit) => void): void;
}

export interface CommandOptions extends ChildSpec {
  readonly clock: Clock;
  /** One line of output, without its end. Over-long lines come in pieces. */
  readonly onLine?: ((stream: OutputName, line: string) => void) | undefined;
  /** Whether that line says that it is up. Without it, a process is up as soon as it exists. */
  readonly isReady?: ((line: string) => boolean) | undefined;
  readonly stopLimitMs: number;
}

const lineCharsMax = 16 * 1024;
const lastLinesMax = 8;

/** The exit code by which our programs say that a setting is wrong: starting them again cannot help. */
export const badConfigExitCode = 78;

/**
 * `start` throws `broker-unavailable` when the program cannot be run or ends before it is up (the message holds its last
 * lines), `bad-config` when it does so with exit code 78, `aborted` when it was stopped meanwhile.
 */
export function createChildCommand(options: CommandOptions): Runnable {
  const listeners: ((exit: ProcessExit) => void)[] = [];
  let starting: Promise<{ readonly pid: number }> | undefined;
  let life: ChildLife | undefined;

  async function launch(): Promise<{ readonly pid: number }> {
    const lastLines: string[] = [];
    let becomeReady = (): void => undefined;
    const ready = new Promise<void>((resolve) => {
      becomeReady = resolve;
    });
    const createReader = (stream: OutputName): ((text: string) => void) =>
      createLineSplitter((line) => {
        lastLines.push(line);
        if (lastLines.length > lastLinesMax) lastLines.shift();
        options.onLine?.(stream, line);
        if (options.isReady?.(line) === true) becomeReady();
      });
    const current = await startLife(
      { ...options, env: { ...(options.env ?? process.env), [supervisedVariable]: '1' } },
      {
        clock: options.clock,
        hasStdin: true,
        onOutput: { stdout: createReader('stdout'), stderr: createReader('stderr') },
      },
    );
    life = current;
    let isUp = false;
    current.ended.then((exit) => {
      if (life === current) life = starting = undefined;
      if (isUp) for (const listener of listeners) listener(exit);
    });
    if (options.isReady === undefined) becomeReady();
    await Promise.race([ready, current.ended]);
    if (current.exit !== undefined) throw startFailure(current.exit, lastLines);
    isUp = true;
    return { pid: current.pid };
  }

  function startFailure(exit: ProcessExit, lastLines: readonly string[]): SluiceError {
    if (exit.isExpected) return new SluiceError('aborted', `${options.command} was stopped while it started`);
    const said = lastLines.length === 0 ? '' : `; its last lines:\n  ${lastLines.join('\n  ')}`;
    return new SluiceError(
      exit.code === badConfigExitCode ? 'bad-config' : 'broker-unavailable',
      `${options.command} ended at its start (${describeExit(exit)})${said}`,
      { details: { exitCode: exit.code, signal: exit.signal } },
    );
  }

  return {
    onExit(listener) {
      listeners.push(listener);
    },
    start() {
      if (starting !== undefined) return starting;
      const attempt = launch();
      starting = attempt;
      attempt.catch(() => {
        if (starting === attempt) starting = undefined;
      });
      return attempt;
    },
    async stop() {
      // Until the process exists there is nothing to signal; that takes no longer than spawning it.
      while (life === undefined && starting !== undefined) await options.clock.yield();
      await life?.end('SIGTERM', options.stopLimitMs);
    },
  };
}

/** Cuts text that comes in pieces into lines. What follows the last line end stays until more comes. */
export function createLineSplitter(onLine: (line: string) => void): (text: string) => void {
  let rest = '';
  return (text) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line.replace(/\r$/, ''));
    while (rest.length >= lineCharsMax) {
      onLine(rest.slice(0, lineCharsMax));
      rest = rest.slice(lineCharsMax);
    }
  };
}
