/**
 * A clock that stands still until it is told to move. Rules that depend on time are tested with it in no time at all,
 * and the same way at every run.
 *
 * It runs what is due one by one and in order, and lets promises settle after each, so that code that awaits between two
 * timers behaves as it does with real time. It must not be used where real sockets have to answer.
 */
import type { Clock, Timer } from '../base/clock.ts';

export interface FakeClock extends Clock {
  /** Moves both clocks on by `durationMs` and runs all timers that fall due, each at its own time. */
  advance(durationMs: number): Promise<void>;
  /** Lets everything that waits only for promises run, without moving time. */
  settle(): Promise<void>;
  /** Moves the wall clock alone, as a suspended machine or an administrator does; may be negative. */
  jump(durationMs: number): void;
  /** Timers that have neither fired nor been cancelled. */
  readonly timers: number;
}

export interface FakeClockOptions {
  /** Wall-clock time at the start, ms since 1970 UTC. */
  readonly nowMs?: number;
  /** Monotonic time at the start. Not 0 by default: no code may take it for one. */
  readonly monotonicMs?: number;
}

interface Waiting {
  readonly atMs: number;
  readonly fire: () => void;
}

/** Rounds of settling: each lets a whole chain of microtasks end, and the I/O-free macrotasks between them. */
const settleRounds = 3;

export function createFakeClock(options: FakeClockOptions = {}): FakeClock {
  const startMs = options.monotonicMs ?? 50_000;
  let monotonicMs = startMs;
  let wallOffsetMs = (options.nowMs ?? Date.UTC(2030, 0, 1)) - startMs;
  // In order of creation, which decides between timers of the same moment.
  const waiting = new Set<Waiting>();

  function nextDue(untilMs: number): Waiting | undefined {
    let first: Waiting | undefined;
    for (const timer of waiting) {
      if (timer.atMs <= untilMs && (first === undefined || timer.atMs < first.atMs)) first = timer;
    }
    return first;
  }

  async function settle(): Promise<void> {
    for (let round = 0; round < settleRounds; round += 1) await new Promise<void>((resolve) => setImmediate(resolve));
  }

  return {
    now: () => monotonicMs + wallOffsetMs,
    monotonic: () => monotonicMs,
    timer(delayMs, fire): Timer {
      const timer = { atMs: monotonicMs + Math.max(0, delayMs), fire };
      waiting.add(timer);
      return { cancel: () => void waiting.delete(timer) };
    },
    yield: () => new Promise((resolve) => setImmediate(resolve)),
    get timers() {
      return waiting.size;
    },
    settle,
    jump(durationMs) {
      wallOffsetMs += durationMs;
    },
    async advance(durationMs) {
      const untilMs = monotonicMs + durationMs;
      await settle();
      for (let due = nextDue(untilMs); due !== undefined; due = nextDue(untilMs)) {
        waiting.delete(due);
        monotonicMs = Math.max(monotonicMs, due.atMs);
        due.fire();
        await settle();
      }
      monotonicMs = untilMs;
    },
  };
}
