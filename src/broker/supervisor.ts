/**
 * Keeps a few processes running on one machine: starts them, starts them again after a crash with jittered exponential
 * back-off, and stops them in reverse order. It is the foreground cluster of `sluice up`, not a service manager.
 *
 * A process that ended well (exit code 0) or because a setting is wrong (78) is not started again.
 */
import { type Backoff, createBackoff } from '../base/backoff.ts';
import { type Clock, pause, type Timer } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { isSluiceError, messageOf, SluiceError } from '../errors.ts';
import { badConfigExitCode, type CommandOptions, createChildCommand, type Runnable } from './process/child-command.ts';
import { describeExit, type ProcessExit } from './process/child-life.ts';
import { stayAlive } from './process/process-ties.ts';

export type ChildState = 'starting' | 'running' | 'backing-off' | 'stopped';

export interface ChildStatus {
  readonly name: string;
  readonly state: ChildState;
  /** Of the process that runs now. */
  readonly pid: number | undefined;
  /** Starts after the first. */
  readonly restarts: number;
  /** Why it is not running: how it ended, or why it did not start. */
  readonly problem: string | undefined;
}

export interface SupervisedCommand extends Omit<CommandOptions, 'clock' | 'stopLimitMs'> {
  readonly name: string;
}

export interface SupervisedChild {
  readonly status: ChildStatus;
  /** Resolves when it runs. Throws the error of its start when it will not be tried again, or `closed`. */
  running(): Promise<void>;
}

export interface SupervisorOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: (line: string) => void;
  readonly onState?: (status: ChildStatus) => void;
  /** How long a child may take to stop before it gets SIGKILL. */
  readonly stopLimitMs?: number;
}

export interface Supervisor {
  /** Starts a program and keeps it running. */
  add(command: SupervisedCommand): SupervisedChild;
  /** The same for anything that starts, stops and tells of its end; its own `stop` has its own limit. */
  keep(name: string, runnable: Runnable): SupervisedChild;
  /** In the order of adding. */
  readonly children: readonly ChildStatus[];
  /** Stops all, the last added first, each when the one before has ended. */
  stop(): Promise<void>;
}

const backoffLimits = { firstMs: 200, maxMs: 10_000 };
/** So long must a child have been up for its next crash to count as the first again. */
const healthyMs = 30_000;
const defaultStopLimitMs = 10_000;

interface Entry {
  readonly name: string;
  readonly runnable: Runnable;
  readonly backoff: Backoff;
  status: ChildStatus;
  failure: unknown;
  readonly waiters: Set<() => void>;
  loop: Promise<void>;
}

export function createSupervisor(options: SupervisorOptions): Supervisor {
  const { clock, random, log, stopLimitMs = defaultStopLimitMs } = options;
  const entries: Entry[] = [];
  const stopSignal = new AbortController();
  let letGo: (() => void) | undefined;
  let stopping: Promise<void> | undefined;

  function setStatus(entry: Entry, change: Partial<ChildStatus>): void {
    entry.status = { ...entry.status, ...change };
    options.onState?.(entry.status);
    for (const wake of [...entry.waiters]) wake();
  }

  async function keepRunning(entry: Entry): Promise<void> {
    const { name, runnable, backoff } = entry;
    let onEnd: (exit: ProcessExit) => void = () => undefined;
    runnable.onExit((exit) => onEnd(exit));
    while (!stopSignal.signal.aborted) {
      // Listened for before the start: a process may end in the moment it is up.
      const ended = new Promise<ProcessExit>((resolve) => {
        onEnd = resolve;
      });
      const { problem, isFinal } = await oneLife(entry, ended);
      if (stopSignal.signal.aborted) break;
      if (isFinal) {
        log(`${name}: ${problem}; not started again`);
        setStatus(entry, { state: 'stopped', pid: undefined, problem });
        return;
      }
      const waitMs = backoff.next();
      log(`${name}: ${problem}; starting again in ${(waitMs / 1_000).toFixed(1)} s`);
      setStatus(entry, { state: 'backing-off', pid: undefined, problem });
      await pause(clock, waitMs, stopSignal.signal);
      if (stopSignal.signal.aborted) break;
      setStatus(entry, { state: 'starting', restarts: entry.status.restarts + 1 });
    }
    setStatus(entry, { state: 'stopped', pid: undefined });
  }

  /** From a start to the end. */
  async function oneLife(
    entry: Entry,
    ended: Promise<ProcessExit>,
  ): Promise<{ readonly problem: string; readonly isFinal: boolean }> {
    let healthy: Timer | undefined;
    try {
      const { pid } = await entry.runnable.start();
      entry.failure = undefined;
      setStatus(entry, { state: 'running', pid, problem: undefined });
      healthy = clock.timer(healthyMs, () => entry.backoff.reset());
      const exit = await ended;
      return { problem: `ended (${describeExit(exit)})`, isFinal: exit.code === 0 || exit.code === badConfigExitCode };
    } catch (error) {
      entry.failure = error;
      return { problem: messageOf(error), isFinal: isSluiceError(error, 'bad-config') };
    } finally {
      healthy?.cancel();
    }
  }

  function keep(name: string, runnable: Runnable): SupervisedChild {
    if (stopping !== undefined) throw new SluiceError('closed', `the supervisor is stopping; ${name} is not started`);
    letGo ??= stayAlive();
    const entry: Entry = {
      name,
      runnable,
      backoff: createBackoff(backoffLimits, random),
      status: { name, state: 'starting', pid: undefined, restarts: 0, problem: undefined },
      failure: undefined,
      waiters: new Set(),
      loop: Promise.resolve(),
    };
    entries.push(entry);
    options.onState?.(entry.status);
    entry.loop = keepRunning(entry);
    return {
      get status() {
        return entry.status;
      },
      running: () => awaitRunning(entry),
    };
  }

  function awaitRunning(entry: Entry): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const { state, problem } = entry.status;
        if (state !== 'running' && state !== 'stopped') return;
        entry.waiters.delete(look);
        if (state === 'running') resolve();
        else reject(entry.failure ?? new SluiceError('closed', `${entry.name} ${problem ?? 'was stopped'}`));
      };
      entry.waiters.add(look);
      look();
    });
  }

  async function stopAll(): Promise<void> {
    stopSignal.abort();
    for (const entry of entries.toReversed()) {
      await entry.runnable.stop().catch((error: unknown) => log(`${entry.name}: ${messageOf(error)}`));
      await entry.loop;
    }
    letGo?.();
  }

  return {
    keep,
    add: ({ name, ...command }) => keep(name, createChildCommand({ ...command, clock, stopLimitMs })),
    get children() {
      return entries.map((entry) => entry.status);
    },
    stop: () => (stopping ??= stopAll()),
  };
}
