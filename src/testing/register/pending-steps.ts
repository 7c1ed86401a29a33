/**
 * Where a search stands: which steps have their place in the order already. Every change can be taken back, in reverse order.
 * The required steps that have none are a linked list in the order of starts (Lowe: the list that is lifted out of and put back
 * into); whatever starts after one of them has ended must wait for it.
 */
import type { Position } from '../../events/record.ts';
import type { KeyStep } from './key-history.ts';
import type { LikeSteps } from './optional-steps.ts';
import type { Arrival } from './register-state.ts';

export interface NextSteps {
  readonly steps: readonly KeyStep[];
  readonly until: number;
}

export interface PendingSteps {
  readonly requiredCount: number;
  /** Required steps that wait for no other one, and the time until which an optional one must have begun to be next. */
  next(): NextSteps;
  /** The first of the group without a place, if it may be next. */
  nextOf(group: LikeSteps, until: number): KeyStep | undefined;
  place(step: KeyStep, group?: LikeSteps): void;
  /** Of the step that was placed last. */
  unplace(step: KeyStep, group?: LikeSteps): void;
  /** The lowest position of a required write without a place; Infinity: none. */
  lowestPosition(): Position;
  /** True when a required read still has to see `value`, and no write that is left writes it. */
  isLastChanceToSee(value: string | null): boolean;
  /** What was cleared and invalidated so far, to a loaded value. */
  arrivalOf(step: KeyStep): Arrival;
  /** Equal when the same required steps have places. */
  placesName(): string;
  /** How many of each group have places. */
  optionalCounts(): readonly number[];
}

/** How many steps there still are for each value. */
function createTally(): { add(value: string | null, amount: number): void; has(value: string): boolean } {
  const counts = new Map<string, number>();
  return {
    add(value, amount) {
      if (value !== null) counts.set(value, (counts.get(value) ?? 0) + amount);
    },
    has: (value) => (counts.get(value) ?? 0) > 0,
  };
}

export function createPendingSteps(steps: readonly KeyStep[], groups: readonly LikeSteps[]): PendingSteps {
  const required = steps.filter((step) => step.isRequired);
  const count = required.length;
  const placeOf = new Map(required.map((step, place) => [step, place]));
  // Links by place + 1; 0 is the head, count + 1 the end.
  const after = Int32Array.from({ length: count + 2 }, (_, place) => Math.min(place + 1, count + 1));
  const before = Int32Array.from({ length: count + 2 }, (_, place) => Math.max(place - 1, 0));
  const isPlaced = new Uint8Array(count);
  const highest: number[] = [];
  const counts: number[] = groups.map(() => 0);
  const positioned = required
    .filter((step) => step.revision !== undefined && step.kind !== 'read')
    .sort((one, other) => (one.revision ?? 0) - (other.revision ?? 0));
  const rankOf = new Map(positioned.map((step, rank) => [step, rank]));
  const toBeSeen = createTally();
  const toBeWritten = createTally();
  for (const step of required) tally(step, 1);
  for (const group of groups) for (const step of group.steps) tally(step, 1);
  const isRemoval = ({ kind }: KeyStep): boolean => kind === 'clear' || kind === 'tag';
  const removals = required.filter(isRemoval);
  const optionalRemovals = groups.filter(({ steps: [first] }) => first !== undefined && isRemoval(first));
  let lowest = 0;

  function tally(step: KeyStep, amount: number): void {
    if (step.kind === 'read') toBeSeen.add(step.value, amount);
    else if (step.kind === 'put') toBeWritten.add(step.value, amount);
  }

  const hasPlace = (step: KeyStep): boolean => isPlaced[placeOf.get(step) ?? 0] === 1;

  return {
    requiredCount: count,
    next() {
      const found: KeyStep[] = [];
      let until = Number.POSITIVE_INFINITY;
      for (let link = after[0] ?? 0; link <= count; link = after[link] ?? 0) {
        const step = required[link - 1];
        if (step === undefined || step.start > until) break;
        until = Math.min(until, step.end);
        found.push(step);
      }
      return { steps: found, until };
    },
    nextOf(group, until) {
      const step = group.steps[counts[group.index] ?? 0];
      return step !== undefined && step.start <= until ? step : undefined;
    },
    place(step, group) {
      tally(step, -1);
      if (group !== undefined) {
        counts[group.index] = (counts[group.index] ?? 0) + 1;
        return;
      }
      const place = placeOf.get(step) ?? 0;
      const link = place + 1;
      after[before[link] ?? 0] = after[link] ?? 0;
      before[after[link] ?? 0] = before[link] ?? 0;
      isPlaced[place] = 1;
      highest.push(Math.max(place, highest.at(-1) ?? -1));
    },
    unplace(step, group) {
      tally(step, 1);
      if (group !== undefined) {
        counts[group.index] = (counts[group.index] ?? 0) - 1;
        return;
      }
      const link = (placeOf.get(step) ?? 0) + 1;
      after[before[link] ?? 0] = link;
      before[after[link] ?? 0] = link;
      isPlaced[link - 1] = 0;
      highest.pop();
      lowest = Math.min(lowest, rankOf.get(step) ?? lowest);
    },
    lowestPosition() {
      for (; lowest < positioned.length; lowest += 1) {
        const step = positioned[lowest];
        if (step !== undefined && !hasPlace(step)) return step.revision ?? Number.POSITIVE_INFINITY;
      }
      return Number.POSITIVE_INFINITY;
    },
    isLastChanceToSee: (value) => value !== null && toBeSeen.has(value) && !toBeWritten.has(value),
    arrivalOf({ basis, tags }) {
      if (basis === undefined) return 'valid';
      let arrival: Arrival = 'valid';
      const isConcerned = ({ kind, tags: ended }: KeyStep): boolean =>
        kind === 'clear' || ended.some((tag) => tags.includes(tag));
      for (const { index, steps: alike } of optionalRemovals) {
        const [first] = alike;
        if (first === undefined || !counts[index] || !isConcerned(first)) continue;
        if (first.revision === undefined) arrival = 'either';
        else if (first.revision > basis) return 'void';
      }
      const highestPlace = highest.at(-1) ?? -1;
      for (const removal of removals) {
        const place = placeOf.get(removal) ?? 0;
        if (place > highestPlace) break;
        if (isPlaced[place] !== 1 || (removal.revision ?? basis + 1) <= basis || !isConcerned(removal)) continue;
        if (removal.revision !== undefined) return 'void';
        arrival = 'either';
      }
      return arrival;
    },
    placesName() {
      const highestPlace = highest.at(-1) ?? -1;
      let name = `${highestPlace}`;
      for (let link = after[0] ?? 0; link <= highestPlace; link = after[link] ?? 0) name += `,${link}`;
      return name;
    },
    optionalCounts: () => counts.slice(),
  };
}
