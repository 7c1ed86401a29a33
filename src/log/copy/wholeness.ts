/**
 * Whether a copy may lack something that the log has. Where positions are missing, messages were removed or replaced before they
 * were delivered; what replaced them stands above, and may still be on its way. Until it must have come, a key can be older than
 * the copy's position says, or absent.
 */
import { withGetters } from '../../base/with-getters.ts';
import type { Position } from '../../events/record.ts';

export interface Wholeness {
  readonly isWhole: boolean;
  /** Of a copy that has got to `applied`: the position up to which nothing is lacking. */
  upTo(applied: Position): Position;
  /** Messages above `applied` are missing; that was seen at `nowMs` (monotonic). */
  miss(applied: Position, nowMs: number): void;
  /** Everything that was in the log at `atMs` has been delivered. */
  prove(atMs: number): void;
  reset(): void;
}

export function createWholeness(): Wholeness {
  let isWhole = true;
  /** The position before the first thing that may be lacking. Only while not whole. */
  let before: Position = 0;
  let seenAtMs = 0;

  const getters = {
    isWhole: () => isWhole,
  };
  return withGetters<Wholeness, keyof typeof getters>(getters, {
    upTo: (applied) => (isWhole ? applied : before),
    miss(applied, nowMs) {
      if (isWhole) before = applied;
      isWhole = false;
      seenAtMs = nowMs;
    },
    prove(atMs) {
      if (atMs >= seenAtMs) isWhole = true;
    },
    reset() {
      isWhole = true;
    },
  });
}
