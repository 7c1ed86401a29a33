/**
 * Steps that may have happened or not. They are what makes a search long: each may come at any later time. Three facts, none of
 * which loses a linearization, keep them few:
 *
 * - one that nothing can have seen need not have happened at all;
 * - one that somebody saw may as well have happened right before it was first seen;
 * - of several that are alike in all but their start, the earliest may as well be the first.
 */
import type { KeyStep } from './key-history.ts';

/** Steps that are alike, in the order of their starts. */
export interface LikeSteps {
  readonly index: number;
  readonly steps: readonly KeyStep[];
  /** What they do depends on what was before them, which may be an optional step as well. */
  readonly needsOthers: boolean;
}

/** True of what depends on the message or the entry before it: a read and a condition. Another write replaces it, seen or not. */
const seesMessage = (step: KeyStep): boolean =>
  step.kind === 'read' || step.kind === 'conflict' || step.ifAbsent || step.ifRevision !== undefined;

/**
 * Whether `step` may come right after an optional one: only if it makes a difference to it. A tag may spare what was put, and
 * `isNamed` says that a condition may name a message even after a clear.
 */
export function mayFollowOptional(optional: KeyStep, step: KeyStep, isNamed: boolean): boolean {
  // One whose position is known cannot be moved to where it is seen.
  if (optional.revision !== undefined) return true;
  if (optional.kind === 'clear' || optional.kind === 'tag') return seesAbsence(step);
  if (step.kind === 'tag') return isNamed || optional.kind === 'put';
  return step.kind === 'clear' ? isNamed : seesMessage(step);
}

/** True when a condition names a position that no acknowledged write has: it can only be that of an optional one. */
export function namesUnknownPosition(steps: readonly KeyStep[]): boolean {
  const known = new Set(steps.map((step) => (step.kind !== 'read' && step.isRequired ? step.revision : undefined)));
  return steps.some(
    ({ kind, ifRevision }) => kind !== 'conflict' && ifRevision !== undefined && !known.has(ifRevision),
  );
}

const removes = (step: KeyStep): boolean => step.kind === 'delete' || step.kind === 'clear' || step.kind === 'tag';

/** What can see that a key is absent. */
const seesAbsence = (step: KeyStep): boolean =>
  (step.kind === 'read' && step.value === null) ||
  step.ifAbsent ||
  step.kind === 'conflict' ||
  step.basis !== undefined;

/** The optional steps that may be needed, alike ones together. */
export function likeStepsOf(steps: readonly KeyStep[]): LikeSteps[] {
  const mayBeSeenByAny = namesUnknownPosition(steps) || steps.some((step) => step.kind === 'conflict');
  const hasSeenAbsence = steps.some(seesAbsence);
  const seen = new Set(steps.map((step) => (step.kind === 'read' ? step.value : null)));
  const groups = new Map<string, KeyStep[]>();
  for (const step of steps) {
    if (step.isRequired) continue;
    const isNeeded =
      mayBeSeenByAny ||
      (removes(step) ? hasSeenAbsence : seen.has(step.value) || (hasSeenAbsence && mayEndByItself(step, steps)));
    if (!isNeeded) continue;
    const { kind, value, revision, ifRevision, ifAbsent, basis, expiresAt, tags } = step;
    const name = JSON.stringify([kind, value, revision, ifRevision, ifAbsent, basis, expiresAt, tags]);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [step]);
    else group.push(step);
  }
  return [...groups.values()].map((alike, index) => {
    const [first] = alike;
    const needsOthers =
      first !== undefined && (first.kind === 'tag' || first.basis !== undefined || seesMessage(first));
    return { index, steps: alike, needsOthers };
  });
}

/** A put that was void on arrival, that expires, or whose tag is invalidated, may explain a miss. */
function mayEndByItself(step: KeyStep, steps: readonly KeyStep[]): boolean {
  return (
    step.basis !== undefined ||
    step.expiresAt !== Number.POSITIVE_INFINITY ||
    steps.some((other) => other.kind === 'tag' && other.tags.some((tag) => step.tags.includes(tag)))
  );
}

/** Finds the optional steps that one of the next ones may have seen, of all that may be needed. */
export function createOptionalChoice(
  groups: readonly LikeSteps[],
  steps: readonly KeyStep[],
): (next: readonly KeyStep[]) => readonly LikeSteps[] {
  const byValue = new Map<string | null, LikeSteps[]>();
  const removers: LikeSteps[] = [];
  const isNamed = namesUnknownPosition(steps);
  const puts = groups.filter((group) => group.steps[0]?.kind === 'put');
  for (const group of groups) {
    const [first] = group.steps;
    if (first === undefined) continue;
    if (removes(first) || first.basis !== undefined || first.expiresAt !== Number.POSITIVE_INFINITY)
      removers.push(group);
    if (first.kind === 'put') byValue.set(first.value, [...(byValue.get(first.value) ?? []), group]);
  }
  return (next) => {
    if (groups.length === 0) return groups;
    const chosen = new Set<LikeSteps>();
    for (const step of next) {
      if (step.kind === 'conflict' || step.ifRevision !== undefined) return groups;
      if (isNamed && (step.kind === 'tag' || step.kind === 'clear')) return groups;
      // A tag at a known position may be below that of an entry that it ends or spares.
      if (step.kind === 'tag') for (const group of puts) chosen.add(group);
      if (step.kind === 'read' && step.value !== null)
        for (const group of byValue.get(step.value) ?? []) chosen.add(group);
      if (seesAbsence(step)) for (const group of removers) chosen.add(group);
    }
    return [...chosen].some((group) => group.needsOthers) ? groups : [...chosen];
  };
}
