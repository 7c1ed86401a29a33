/**
 * Asking the log where it stands, once for all who want to know at the same time.
 *
 * Who needs an answer that is true of a moment (a read of the latest state) must not share one that was asked before
 * that moment.
 */
import type { Clock } from '../../base/clock.ts';
import type { LogBounds } from '../log.ts';

export interface Probe {
  /** The answer to the question that is under way, or to a new one. */
  run(): Promise<LogBounds>;
  /** The answer to a question that was asked at or after `momentMs`. */
  after(momentMs: number): Promise<LogBounds>;
}

export function createProbe(clock: Clock, ask: () => Promise<LogBounds>): Probe {
  let current: { readonly askedAtMs: number; readonly answer: Promise<LogBounds> } | undefined;

  function run(): Promise<LogBounds> {
    if (current === undefined) {
      const askedAtMs = clock.monotonic();
      const answer = ask().finally(() => {
        current = undefined;
      });
      current = { askedAtMs, answer };
    }
    return current.answer;
  }

  return {
    run,
    async after(momentMs) {
      // Its failure is for those who asked for it; this caller gets its own answer.
      while (current !== undefined && current.askedAtMs < momentMs) await current.answer.then(ignore, ignore);
      return run();
    },
  };
}

const ignore = (): void => undefined;
