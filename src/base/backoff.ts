/**
 * Exponential back-off with full jitter. Many processes that lost the same server must not come back in step, so the
 * wait is uniform between half the step and the whole of it.
 */
import type { Random } from './random.ts';

export interface BackoffLimits {
  readonly firstMs: number;
  readonly maxMs: number;
}

export interface Backoff {
  /** The wait before the next attempt, in ms. */
  next(): number;
  /** Attempts since the last reset. */
  readonly attempts: number;
  reset(): void;
}

export function createBackoff(limits: BackoffLimits, random: Random): Backoff {
  let attempts = 0;
  return {
    get attempts() {
      return attempts;
    },
    next() {
      const stepMs = Math.min(limits.maxMs, limits.firstMs * 2 ** Math.min(attempts, 30));
      attempts += 1;
      return stepMs / 2 + (random.fraction() * stepMs) / 2;
    },
    reset() {
      attempts = 0;
    },
  };
}
