/**
 * When consumers could be made on a log. After a fault, servers can elect a leader, lose it again and elect another; a copy whose
 * consumer is gone waits for the one that lasts.
 */
import { setTimeout as delay } from 'node:timers/promises';

export interface ReadableSpans {
  /** When a consumer could be made for the first time; undefined: never yet. */
  readonly firstAt: number | undefined;
  /** The longest time from `from` to `to` during which no attempt failed. */
  longestMs(from: number, to: number): number;
}

export interface ReadableWatch extends ReadableSpans {
  /** Ends the attempts, at the earliest when one has succeeded. */
  stop(): Promise<void>;
}

interface Span {
  readonly from: number;
  to: number;
}

export interface Attempts extends ReadableSpans {
  /** An attempt that began then has ended now. */
  note(isMade: boolean, beganAt: number, endedAt: number): void;
}

export function createAttempts(): Attempts {
  const spans: Span[] = [];

  return {
    get firstAt() {
      return spans[0]?.from;
    },
    note(isMade, beganAt, endedAt) {
      const last = spans.at(-1);
      const isOpen = last?.to === Number.POSITIVE_INFINITY;
      if (isMade && !isOpen) spans.push({ from: endedAt, to: Number.POSITIVE_INFINITY });
      // Only at the end of the attempt it was known, but it may have been so from its beginning.
      if (!isMade && last !== undefined && isOpen) last.to = Math.max(last.from, beganAt);
    },
    longestMs: (from, to) => Math.max(0, ...spans.map((span) => Math.min(span.to, to) - Math.max(span.from, from))),
  };
}

/** So often, and no more, for each attempt is work for the servers that they would not have otherwise. */
const pauseMs = 500;
const patienceMs = 60_000;

/** `attempt` makes a consumer and removes it again; false: it could not. */
export function watchReadable(what: string, attempt: () => Promise<boolean>): ReadableWatch {
  const attempts = createAttempts();
  let isStopping = false;

  async function run(): Promise<void> {
    const untilAt = performance.now() + patienceMs;
    while (!isStopping || attempts.firstAt === undefined) {
      const beganAt = performance.now();
      const isMade = await attempt();
      attempts.note(isMade, beganAt, performance.now());
      if (attempts.firstAt === undefined && performance.now() > untilAt)
        throw new Error(`not within ${patienceMs} ms: a consumer on ${what}`);
      if (!isStopping) await delay(isMade ? pauseMs : 10);
    }
  }

  const running = run();
  // Whoever stops it hears of a failure.
  running.catch(() => undefined);
  return {
    get firstAt() {
      return attempts.firstAt;
    },
    longestMs: attempts.longestMs,
    async stop() {
      isStopping = true;
      await running;
    },
  };
}
