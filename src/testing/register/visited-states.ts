/**
 * Where a search has been. A place is the steps that have places, the state of the key, and how many optional steps were used.
 * Whatever can follow when more of them are used, can follow when fewer are: an optional step may be left out. So a place that
 * was left without success need not be seen again with the same or more of them used.
 */
import type { KeyStep } from './key-history.ts';
import type { LikeSteps } from './optional-steps.ts';

export interface VisitedStates {
  /** False: this place, or one with fewer optional steps used, has been seen before. Else it is noted. */
  isNew(name: string, optionalCounts: readonly number[]): boolean;
  /** How many places were noted. */
  size(): number;
}

export function createVisited(groups: readonly LikeSteps[], steps: readonly KeyStep[]): VisitedStates {
  const seen = new Map<string, (readonly number[])[]>();
  // An invalidation that was used decides what a loaded value meets, so there using more is not only a loss.
  const isExact =
    steps.some((step) => step.basis !== undefined) && groups.some(({ steps: [first] }) => isRemoval(first));
  let size = 0;
  return {
    isNew(name, counts) {
      const exactName = isExact ? `${name};${counts.join()}` : name;
      const before = seen.get(exactName);
      if (before?.some((one) => isWithin(one, counts)) === true) return false;
      if (before === undefined) seen.set(exactName, [counts]);
      else before.push(counts);
      size += 1;
      return true;
    },
    size: () => size,
  };
}

const isRemoval = (step: KeyStep | undefined): boolean => step?.kind === 'clear' || step?.kind === 'tag';

const isWithin = (one: readonly number[], other: readonly number[]): boolean =>
  one.every((count, index) => count <= (other[index] ?? 0));
