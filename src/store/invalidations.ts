/**
 * What clears and tag invalidations have made void: a value is invalid when one of them stands above the position from which
 * it stems, whatever the order in which they arrive. Positions decide, never a clock.
 */
import { withGetters } from '../base/with-getters.ts';
import type { Position } from './entry.ts';

export interface Invalidations {
  readonly clearedAt: Position;
  /** False when it changes nothing. */
  clear(position: Position): boolean;
  /** False when it changes nothing. */
  invalidateTag(tag: string, position: Position): boolean;
  /** True when a clear or an invalidation of one of the tags stands above the basis. */
  isInvalidated(basis: Position, tags: readonly string[] | undefined): boolean;
  /** The log has nothing below `floor` any more, so its tag invalidations need not be known one by one. */
  forgetBelow(floor: Position): void;
  reset(): void;
}

export function createInvalidations(): Invalidations {
  let clearedAt: Position = 0;
  /** Position of the newest tag invalidation that was forgotten; 0: none was. */
  let forgottenAt: Position = 0;
  const tagPositions = new Map<string, Position>();

  const getters = {
    clearedAt: () => clearedAt,
  };
  return withGetters<Invalidations, keyof typeof getters>(getters, {
    clear(position) {
      if (position <= clearedAt) return false;
      clearedAt = position;
      for (const [tag, at] of tagPositions) if (at <= position) tagPositions.delete(tag);
      return true;
    },
    invalidateTag(tag, position) {
      if (position <= clearedAt || position <= (tagPositions.get(tag) ?? 0)) return false;
      tagPositions.set(tag, position);
      return true;
    },
    isInvalidated(basis, tags) {
      if (basis < clearedAt) return true;
      if (tags === undefined) return false;
      // Any of its tags may be the one that was forgotten.
      if (basis < forgottenAt) return true;
      return tagPositions.size > 0 && tags.some((tag) => basis < (tagPositions.get(tag) ?? 0));
    },
    forgetBelow(floor) {
      for (const [tag, position] of tagPositions) {
        if (position >= floor) continue;
        tagPositions.delete(tag);
        forgottenAt = Math.max(forgottenAt, position);
      }
    },
    reset() {
      clearedAt = 0;
      forgottenAt = 0;
      tagPositions.clear();
    },
  });
}
