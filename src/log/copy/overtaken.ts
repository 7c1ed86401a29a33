/**
 * Answers of the log that the copy has overtaken: they name a head below what was applied by the time they were read. What is
 * above came into the log after the answer; or it had been delivered to a process that stood still, and is gone from the log
 * since, which nothing in the answer contradicts. The next answer shows which. Invariant: an answer is taken for a proof of its
 * moment only when the log was shown to have all that the copy held when it was read.
 */
import { withGetters } from '../../base/with-getters.ts';
import type { Position } from '../../events/record.ts';
import type { KnownBounds } from './history.ts';

export interface Overtaken {
  /** An answer waits for the next one. */
  readonly isWaiting: boolean;
  /**
   * The moment (monotonic, ms) up to which the log is known by this answer, read when `applied` was; undefined: the next one will
   * tell. The answer must be about the history that was applied.
   */
  momentOf(bounds: KnownBounds, applied: Position): number | undefined;
  forget(): void;
}

export function createOvertaken(): Overtaken {
  let waiting: { readonly applied: Position; readonly askedAtMs: number } | undefined;

  const getters = {
    isWaiting: () => waiting !== undefined,
  };
  return withGetters<Overtaken, keyof typeof getters>(getters, {
    momentOf({ last, askedAtMs }, applied) {
      if (last >= applied) {
        waiting = undefined;
        return askedAtMs;
      }
      if (waiting !== undefined && last < waiting.applied) return undefined;
      const confirmed = waiting;
      waiting = { applied, askedAtMs };
      return confirmed?.askedAtMs;
    },
    forget() {
      waiting = undefined;
    },
  });
}
