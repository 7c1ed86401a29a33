/**
 * Decoded values for hits that look at nothing else: one look into a plain map, no entry, no order of use.
 *
 * A value may be shown while nothing about its entry needs to be asked at a hit: the store has room for everything, so the order
 * of use does not matter; its life does not end within seconds; it is not next to the log's floor. Whatever changes or ends an
 * entry hides its value first. What is not shown is read in the store as ever, so hiding is always right.
 */
import type { Clock } from '../base/clock.ts';
import { type CoarseTime, coarseMs, neverCoarse } from './coarse-time.ts';
import type { HeldEntry, Position } from './entry.ts';

export type Shown = NonNullable<unknown>;

export interface ShownValues {
  /** By key; undefined, too, stands for a value that is not shown. */
  readonly values: ReadonlyMap<string, Shown | undefined>;
  /** Shows the value of an entry that the store holds, or leaves it. */
  show(entry: HeldEntry, value: Shown): void;
  hide(entry: HeldEntry): void;
  /** Hides it, and keeps its place: the store holds another entry of the key now, whose value may soon be shown. */
  replaced(entry: HeldEntry): void;
  hideAll(): void;
  /** The floor rises to `first` in a log that ends at `last`. */
  raiseFloor(first: Position, last: Position): void;
  /** Forgets the floor, too. */
  reset(): void;
}

/** In units of coarse time; more than one, so that a late timer does no harm. */
const marginCoarse = 2;
/**
 * Share of the log above the floor that is hidden at once, so that all shown entries are walked through once for many moves of
 * the floor: a log that is written to moves it all the time. As there are no more entries than positions, this costs at most
 * sixteen steps for each event.
 */
const floorNeighbourhood = 1 / 16;

export function createShownValues(
  clock: Clock,
  time: CoarseTime,
  entryOf: (key: string) => HeldEntry | undefined,
): ShownValues {
  // A place is kept while the store holds its key: tables that are deleted from and added to have to be made anew all the time.
  const values = new Map<string, Shown | undefined>();
  /** The entries of shown values that expire, by the unit of coarse time in which they do. */
  const byExpiry = new Map<number, Set<HeldEntry>>();
  /** All that is shown is at least as new as `shownFrom`; nothing below `hiddenBelow` is shown any more. */
  let shownFrom: Position = Number.POSITIVE_INFINITY;
  let hiddenBelow: Position = 0;
  let isWatching = false;

  function hide(entry: HeldEntry): void {
    if (values.size > 0 && values.delete(entry.key)) forgetExpiry(entry);
  }

  function replaced(entry: HeldEntry): void {
    if (values.size === 0 || values.get(entry.key) === undefined) return;
    values.set(entry.key, undefined);
    forgetExpiry(entry);
  }

  function forgetExpiry(entry: HeldEntry): void {
    if (entry.expiresCoarse === neverCoarse) return;
    const sharing = byExpiry.get(entry.expiresCoarse);
    sharing?.delete(entry);
    if (sharing?.size === 0) byExpiry.delete(entry.expiresCoarse);
  }

  function noteExpiry(entry: HeldEntry): void {
    watchExpiry();
    const sharing = byExpiry.get(entry.expiresCoarse);
    if (sharing === undefined) byExpiry.set(entry.expiresCoarse, new Set([entry]));
    else sharing.add(entry);
  }

  function hideAll(): void {
    values.clear();
    byExpiry.clear();
    shownFrom = Number.POSITIVE_INFINITY;
  }

  function hideExpiring(): void {
    const endsBy = time.now() + marginCoarse;
    for (const [expiresCoarse, sharing] of byExpiry) {
      if (expiresCoarse <= endsBy) for (const entry of sharing) hide(entry);
    }
  }

  /** Looks once in each unit of time, as long as anything shown expires. */
  function watchExpiry(): void {
    if (isWatching) return;
    isWatching = true;
    clock.timer(coarseMs, () => {
      isWatching = false;
      hideExpiring();
      if (byExpiry.size > 0) watchExpiry();
    });
  }

  return {
    values,
    show(entry, value) {
      if (entry.revision < hiddenBelow) return;
      if (entry.expiresCoarse !== neverCoarse) {
        if (entry.expiresCoarse <= time.now() + marginCoarse) return;
        noteExpiry(entry);
      }
      values.set(entry.key, value);
      shownFrom = Math.min(shownFrom, entry.revision);
    },
    hide,
    replaced,
    hideAll,
    raiseFloor(first, last) {
      if (first <= shownFrom) return;
      hiddenBelow = first + Math.ceil(Math.max(0, last - first) * floorNeighbourhood);
      for (const key of values.keys()) {
        const entry = entryOf(key);
        if (entry !== undefined && entry.revision < hiddenBelow) hide(entry);
      }
      shownFrom = hiddenBelow;
    },
    reset() {
      hideAll();
      hiddenBelow = 0;
    },
  };
}
