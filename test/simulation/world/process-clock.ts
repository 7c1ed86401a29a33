/**
 * The clock of one simulated process, which is also the gate to it: a paused process runs no timer and takes no message
 * until it goes on, and then all that has waited in order; a dead one never does.
 */
import type { Clock, Timer } from '../../../src/base/clock.ts';
import type { VirtualTime } from './virtual-time.ts';

export interface ProcessClock extends Clock {
  readonly isAlive: boolean;
  readonly isPaused: boolean;
  /** Runs the work in the process: now, when it goes on, or never. */
  enter(work: () => void): void;
  pause(): void;
  resume(): void;
  kill(): void;
  /** The latest wall-clock time that was ever shown: what expired then is gone, though the clock may have been set back since. */
  readonly latest: number;
  /** Moves the wall clock alone. */
  jump(durationMs: number): void;
}

/** Wall-clock time at the beginning of every world. */
export const epochMs = Date.UTC(2030, 0, 1);

export function createProcessClock(time: VirtualTime, wallOffsetMs: number, monotonicStartMs: number): ProcessClock {
  let offsetMs = epochMs + wallOffsetMs;
  let latest = 0;
  let isAlive = true;
  let isPaused = false;
  const waiting: (() => void)[] = [];

  function enter(work: () => void): void {
    if (!isAlive) return;
    if (isPaused || waiting.length > 0) waiting.push(work);
    else work();
  }

  /** One by one, so that promises run in between. */
  function catchUp(): void {
    if (!isAlive || isPaused) return;
    waiting.shift()?.();
    if (waiting.length > 0) time.after(0, catchUp);
  }

  return {
    get isAlive() {
      return isAlive;
    },
    get isPaused() {
      return isPaused;
    },
    now: () => offsetMs + time.nowMs,
    monotonic: () => monotonicStartMs + time.nowMs,
    timer(delayMs, fire): Timer {
      let isOver = false;
      const scheduled = time.after(delayMs, () =>
        enter(() => {
          if (!isOver) fire();
        }),
      );
      return {
        cancel() {
          isOver = true;
          scheduled.cancel();
        },
      };
    },
    yield: () => new Promise((resolve) => time.after(0, () => enter(resolve))),
    enter,
    pause() {
      isPaused = true;
    },
    resume() {
      if (!isPaused) return;
      isPaused = false;
      if (waiting.length > 0) time.after(0, catchUp);
    },
    kill() {
      isAlive = false;
      waiting.length = 0;
    },
    get latest() {
      return Math.max(latest, offsetMs + time.nowMs);
    },
    jump(durationMs) {
      latest = Math.max(latest, offsetMs + time.nowMs);
      offsetMs += durationMs;
    },
  };
}
