/**
 * What is certain before any search: an operation took effect within its time, and what others saw of it narrows that time. A
 * read of a value comes after the only put of it and before what replaced that; positions are an order of the writes. The order
 * that a linearization gives to the narrowed steps is one of the original steps and the other way round, so nothing is lost; and
 * a step with no time left means that there is no order, which is how most broken histories are found out without search.
 */
import type { Position } from '../../events/record.ts';
import type { KeyStep } from './key-history.ts';

type Narrowed = { -readonly [Name in keyof KeyStep]: KeyStep[Name] };

/** A read with the only put that it can have seen, if only one can be it, and the position of that. */
interface Sight {
  readonly read: Narrowed;
  readonly put: Narrowed | undefined;
  readonly position: Position | undefined;
}

/** More rounds narrow a little more; the search does the rest. */
const roundsMax = 8;

/** undefined: these steps have no order. */
export function narrowSteps(steps: readonly KeyStep[]): readonly KeyStep[] | undefined {
  const narrowed = steps.map((step): Narrowed => ({ ...step }));
  const sights = findSights(narrowed);
  if (sights === undefined) return undefined;
  const writes = narrowed.filter((step) => step.kind !== 'read' && step.kind !== 'conflict' && step.isRequired);
  const positioned = writes
    .filter((step) => step.revision !== undefined)
    .sort((one, other) => (one.revision ?? 0) - (other.revision ?? 0));
  if (positioned.some((step, rank) => step.revision === positioned[rank - 1]?.revision)) return undefined;
  for (let round = 0, before = -1; round < roundsMax; round += 1) {
    narrowByPositions(positioned, sights);
    narrowBySights(writes, sights);
    if (narrowed.some(({ start, end }) => start > end)) return undefined;
    const sum = narrowed.reduce((total, { start, end }) => total + (Number.isFinite(end) ? end - start : 0), 0);
    if (sum === before) break;
    before = sum;
  }
  if (hasBaselessMiss(narrowed)) return undefined;
  return narrowed
    .sort((one, other) => one.start - other.start || one.end - other.end)
    .map((step, index) => Object.assign(step, { index }));
}

/** Whom each read of a value can have seen; undefined: one can have seen nobody. What is certain of the put is noted in it. */
function findSights(steps: readonly Narrowed[]): Sight[] | undefined {
  const puts = new Map<string | null, Narrowed[]>();
  const known = new Map<Position, Narrowed>();
  for (const step of steps) {
    if (step.kind === 'read' || step.kind === 'conflict') continue;
    if (step.kind === 'put') puts.set(step.value, [...(puts.get(step.value) ?? []), step]);
    if (step.revision !== undefined && step.isRequired) known.set(step.revision, step);
  }
  const sights: Sight[] = [];
  for (const read of steps) {
    if (read.kind !== 'read' || read.value === null) continue;
    const { value, revision } = read;
    const there = revision === undefined ? undefined : known.get(revision);
    const possible = (there === undefined ? (puts.get(value) ?? []) : [there]).filter(
      (put) =>
        put.kind === 'put' &&
        put.value === value &&
        put.start <= read.end &&
        (revision === undefined || put.revision === undefined || put.revision === revision),
    );
    const [put, ...others] = possible;
    if (put === undefined) return undefined;
    if (others.length > 0) sights.push({ read, put: undefined, position: revision });
    else {
      // Somebody saw it, so it took place, by the end of that read, and at the position that was told.
      put.isRequired = true;
      put.revision ??= revision;
      sights.push({ read, put, position: undefined });
    }
  }
  return sights.map((sight) => ({ ...sight, position: sight.position ?? sight.put?.revision }));
}

const isMessage = ({ kind }: KeyStep): boolean => kind === 'put' || kind === 'delete';

/** Whether it certainly ends the entry that `put` made, if it comes later. */
const endsEntry = (step: KeyStep, put: KeyStep | undefined): boolean =>
  isMessage(step) || step.kind === 'clear' || (put !== undefined && step.tags.some((tag) => put.tags.includes(tag)));

function narrowByPositions(positioned: readonly Narrowed[], sights: readonly Sight[]): void {
  const places = positioned.map((step) => step.revision ?? 0);
  for (const { read, put, position } of sights) {
    if (position === undefined) continue;
    const above = firstAbove(places, position);
    read.start = Math.max(read.start, positioned[above - 1]?.start ?? read.start);
    const next = nextEnding(positioned, above, put);
    if (next === undefined) continue;
    read.end = Math.min(read.end, next.end);
    next.start = Math.max(next.start, read.start);
  }
  for (const [rank, step] of positioned.entries())
    step.start = Math.max(step.start, positioned[rank - 1]?.start ?? step.start);
  for (let rank = positioned.length - 2; rank >= 0; rank -= 1) {
    const step = positioned[rank];
    if (step !== undefined) step.end = Math.min(step.end, positioned[rank + 1]?.end ?? step.end);
  }
}

function nextEnding(positioned: readonly Narrowed[], from: number, put: KeyStep | undefined): Narrowed | undefined {
  for (let rank = from; rank < positioned.length; rank += 1) {
    const step = positioned[rank];
    if (step !== undefined && endsEntry(step, put)) return step;
  }
  return undefined;
}

/** The only put that a read can have seen comes before it, and what ends that comes before the put or after the read. */
function narrowBySights(writes: readonly Narrowed[], sights: readonly Sight[]): void {
  const enders = writes.filter((step) => isMessage(step) || step.kind === 'clear');
  const latestStart = latestBefore(enders);
  const earliestEnd = earliestAfter(enders);
  for (const { read, put } of sights) {
    if (put === undefined) continue;
    put.end = Math.min(put.end, read.end);
    read.end = Math.min(read.end, earliestEnd(put.end));
    put.start = Math.max(put.start, latestStart(read.start));
    read.start = Math.max(read.start, put.start);
  }
}

/** The latest start of those that ended before a moment. */
function latestBefore(steps: readonly KeyStep[]): (moment: number) => number {
  const ordered = [...steps].sort((one, other) => one.end - other.end);
  const ends = ordered.map(({ end }) => end);
  let latest = Number.NEGATIVE_INFINITY;
  const starts = ordered.map(({ start }) => (latest = Math.max(latest, start)));
  return (moment) => starts[firstFrom(ends, moment) - 1] ?? Number.NEGATIVE_INFINITY;
}

/** The earliest end of those that start after a moment. */
function earliestAfter(steps: readonly KeyStep[]): (moment: number) => number {
  const ordered = [...steps].sort((one, other) => one.start - other.start);
  const starts = ordered.map(({ start }) => start);
  let earliest = Number.POSITIVE_INFINITY;
  const ends = ordered.map(() => 0);
  for (let place = ordered.length - 1; place >= 0; place -= 1)
    ends[place] = earliest = Math.min(earliest, ordered[place]?.end ?? earliest);
  return (moment) => ends[firstAbove(starts, moment)] ?? Number.POSITIVE_INFINITY;
}

/** A read saw nothing after a put that nothing can have ended by then: no delete, no invalidation, no entry that ends by itself. */
function hasBaselessMiss(steps: readonly KeyStep[]): boolean {
  const endsByItself = (step: KeyStep): boolean => step.basis !== undefined || Number.isFinite(step.expiresAt);
  const isPut = (step: KeyStep): boolean => step.kind === 'put';
  const isEnding = (step: KeyStep): boolean =>
    isPut(step) ? endsByItself(step) : step.kind !== 'read' && step.kind !== 'conflict';
  const latestPut = latestBefore(steps.filter((step) => isPut(step) && step.isRequired && !endsByItself(step)));
  const endings = steps.filter(isEnding).sort((one, other) => one.start - other.start);
  const starts = endings.map(({ start }) => start);
  let latest = Number.NEGATIVE_INFINITY;
  const ends = endings.map(({ end }) => (latest = Math.max(latest, end)));
  return steps.some(
    (step) =>
      step.isRequired &&
      ((step.kind === 'read' && step.value === null) || (isPut(step) && step.ifAbsent)) &&
      latestPut(step.start) > (ends[firstAbove(starts, step.end) - 1] ?? Number.NEGATIVE_INFINITY),
  );
}

/** Index of the first that is at least `limit`, of numbers in order. */
const firstFrom = (numbers: readonly number[], limit: number): number => search(numbers, (one) => one >= limit);
const firstAbove = (numbers: readonly number[], limit: number): number => search(numbers, (one) => one > limit);

function search(numbers: readonly number[], isFound: (one: number) => boolean): number {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isFound(numbers[middle] ?? 0)) high = middle;
    else low = middle + 1;
  }
  return low;
}
