/** Keeps work at a steady rate: who takes more than the rate allows waits for its turn. */
import { type Clock, pause } from '../../base/clock.ts';

export interface Pacer {
  /** Resolves when so many units may be done; at once when the signal fires. */
  take(units: number): Promise<void>;
}

/** `perSecond` may be Infinity. A pause saves up no more than one second of work. */
export function createPacer(clock: Clock, perSecond: number, signal?: AbortSignal): Pacer {
  let freeAtMs = Number.NEGATIVE_INFINITY;
  return {
    async take(units) {
      if (perSecond === Number.POSITIVE_INFINITY) return;
      const nowMs = clock.monotonic();
      freeAtMs = Math.max(freeAtMs, nowMs - 1_000) + (units * 1_000) / perSecond;
      if (freeAtMs > nowMs) await pause(clock, freeAtMs - nowMs, signal);
    },
  };
}
