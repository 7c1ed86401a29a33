/**
 * Callers that wait until a growing number has reached their own. Kept sorted, so that progress costs one comparison
 * while nobody's number is reached.
 */
import { SluiceError } from '../errors.ts';
import type { Clock } from './clock.ts';

export interface WaitOptions {
  readonly signal?: AbortSignal | undefined;
  /** How long to wait in ms; undefined: for ever. */
  readonly waitMs?: number | undefined;
}

interface Waiter {
  readonly target: number;
  settle(error?: unknown): void;
}

export interface Waiters {
  readonly size: number;
  /** Resolves when `advance` is called with `target` or more; rejects with `onTimeout()`, the abort or `fail`. */
  wait(target: number, options: WaitOptions, onTimeout: () => Error): Promise<void>;
  advance(reached: number): void;
  fail(error: unknown): void;
}

export function createWaiters(clock: Clock): Waiters {
  let sorted: Waiter[] = [];
  let lowest = Number.POSITIVE_INFINITY;

  function update(next: Waiter[]): void {
    sorted = next;
    lowest = sorted[0]?.target ?? Number.POSITIVE_INFINITY;
  }

  return {
    get size() {
      return sorted.length;
    },
    wait(target, { signal, waitMs }, onTimeout) {
      if (signal?.aborted) return Promise.reject(abortedBy(signal));
      return new Promise((resolve, reject) => {
        const timer = waitMs === undefined ? undefined : clock.timer(waitMs, () => waiter.settle(onTimeout()));
        const onAbort = (): void => waiter.settle(abortedBy(signal));
        const waiter: Waiter = {
          target,
          settle(error) {
            timer?.cancel();
            signal?.removeEventListener('abort', onAbort);
            if (sorted.includes(waiter)) update(sorted.filter((other) => other !== waiter));
            if (error === undefined) resolve();
            else reject(error);
          },
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        update([...sorted, waiter].sort((a, b) => a.target - b.target));
      });
    },
    advance(reached) {
      if (reached < lowest) return;
      const due = sorted.filter((waiter) => waiter.target <= reached);
      update(sorted.filter((waiter) => waiter.target > reached));
      for (const waiter of due) waiter.settle();
    },
    fail(error) {
      const all = sorted;
      update([]);
      for (const waiter of all) waiter.settle(error);
    },
  };
}

/** The error of a call whose signal fired. */
export function abortedBy(signal: AbortSignal | undefined): SluiceError {
  return new SluiceError('aborted', 'the caller gave up', { cause: signal?.reason });
}
