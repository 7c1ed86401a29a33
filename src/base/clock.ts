/**
 * Time as a parameter. This file alone reads the clocks and makes timers, so that every rule that depends on time can
 * be tested by advancing a fake clock.
 */

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall-clock time, ms since 1970 UTC. May jump; used only for expiry and for people. */
  now(): number;
  /** Monotonic time in ms from an arbitrary start. Used for every interval, deadline and lag. */
  monotonic(): number;
  /** Calls `fire` once after `delayMs`. A timer never keeps the process alive by itself. */
  timer(delayMs: number, fire: () => void): Timer;
  /** Lets pending I/O run, then resolves. */
  yield(): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  timer(delayMs, fire) {
    const handle = setTimeout(fire, Math.max(0, Math.min(delayMs, 2 ** 31 - 1)));
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
  yield: () => new Promise((resolve) => setImmediate(resolve)),
};

/** Resolves after `delayMs`, or at once when the signal aborts. It never rejects: the caller looks at the signal. */
export function pause(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      timer.cancel();
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = clock.timer(delayMs, end);
    signal?.addEventListener('abort', end, { once: true });
  });
}

/** Calls `fire` every `periodMs` until cancelled; the next call is planned after the last returned. */
export function every(clock: Clock, periodMs: number, fire: () => void): Timer {
  let timer = clock.timer(periodMs, tick);
  let isCancelled = false;
  function tick(): void {
    fire();
    if (!isCancelled) timer = clock.timer(periodMs, tick);
  }
  return {
    cancel() {
      isCancelled = true;
      timer.cancel();
    },
  };
}
