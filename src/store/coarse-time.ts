/**
 * The store's time. A date in ms is a number on the heap; in whole units of 1.024 s since the store was made it is a small
 * integer, which the engine keeps in the object itself. Time stands still for 1 ms, or until the event loop turns, so that a
 * burst of hits asks the clock once.
 */
import type { Clock } from '../base/clock.ts';

export const coarseMs = 1_024;
/** Stands for no end of a life. */
export const neverCoarse = 2 ** 30;
const unknown = -2;

export interface CoarseTime {
  /** In units, rounded down. */
  now(): number;
  /** In ms since 1970. */
  nowMs(): number;
  /** A date in ms since 1970 in units, rounded down. */
  toCoarse(atMs: number): number;
  /** How far the store's time lags behind the clock, in ms. */
  setLag(lagMs: number): void;
}

export function createCoarseTime(clock: Clock): CoarseTime {
  const madeAtMs = clock.now();
  let lagMs = 0;
  let nowMs = 0;
  let coarseNow = unknown;

  const toCoarse = (atMs: number): number =>
    Math.max(-1, Math.min(neverCoarse, Math.floor((atMs - madeAtMs) / coarseMs)));

  function readClock(): void {
    nowMs = clock.now() - lagMs;
    coarseNow = toCoarse(nowMs);
    clock.timer(1, () => {
      coarseNow = unknown;
    });
  }

  return {
    now() {
      if (coarseNow === unknown) readClock();
      return coarseNow;
    },
    nowMs() {
      if (coarseNow === unknown) readClock();
      return nowMs;
    },
    toCoarse,
    setLag(ms) {
      lagMs = ms;
      coarseNow = unknown;
    },
  };
}
