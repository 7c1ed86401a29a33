/**
 * What a process knows of keys above the follower's position: its own acknowledged writes, and what it read from the log.
 *
 * Until the follower has passed it, an older event that is still on its way must not bring back what was replaced or
 * deleted. Values are kept here too, because memory limits may take them from the store; beyond a limit only the fact is
 * kept that the log has one.
 */
import type { Clock } from '../base/clock.ts';
import { withGetters } from '../base/with-getters.ts';
import type { Position } from '../events/record.ts';
import type { Entry } from '../store/entry-store.ts';

export interface Known {
  readonly position: Position;
  /** undefined: the key has no valid entry as of `position`, or it is not held. */
  readonly entry: Entry | undefined;
  /** False when the log has an entry that there is no room for here. */
  readonly isHeld: boolean;
  /** Monotonic time of the question or write that told of it: it is not known to have been true later. */
  readonly askedAtMs: number;
  /** Monotonic time of the answer: then the log must have had it, or something newer. */
  readonly learnedAtMs: number;
}

export interface Ahead {
  /** True while the log is known to have entries that are not held. */
  readonly hasUnheld: boolean;
  /**
   * Twice as many as the last `pass` left, and some. Nearly all leave when their event is met; to look through them with each
   * write would cost more than the write.
   */
  readonly isCrowded: boolean;
  get(key: string): Known | undefined;
  /** What was learned first. */
  oldest(): Known | undefined;
  /** The least `askedAtMs` of what was learned before `momentMs`; Infinity: nothing was. */
  unmetSinceMs(momentMs: number): number;
  /** Takes in what stands at `position`; what is known at a higher position stays. */
  learn(key: string, position: Position, entry: Entry | undefined, askedAtMs: number): void;
  /** An event of the key has arrived: true when something newer is known, and the event must not change the key. */
  overrules(key: string, position: Position): boolean;
  clear(position: Position): void;
  invalidateTag(tag: string, position: Position): void;
  /** The log holds nothing below `first` any more. */
  raiseFloor(first: Position): void;
  /** The follower has passed `applied`. Tells of what it has passed without meeting it. */
  pass(applied: Position, onUnmet: (key: string, known: Known) => void): void;
  /** The same for one key: what was known of it, if the follower has passed that. */
  passOne(key: string, applied: Position): Known | undefined;
  reset(): void;
}

const crowdedAboveFirst = 64;

export function createAhead(clock: Clock, bytesMax: () => number): Ahead {
  // In the order in which it was learned, which is nearly that of positions.
  const known = new Map<string, Known>();
  let bytes = 0;
  let unheld = 0;
  let crowdedAbove = crowdedAboveFirst;

  function forget(key: string): void {
    const old = known.get(key);
    if (old === undefined) return;
    known.delete(key);
    bytes -= old.entry?.bytes ?? 0;
    if (!old.isHeld) unheld -= 1;
  }

  function keep(key: string, position: Position, entry: Entry | undefined, askedAtMs: number): void {
    forget(key);
    const isHeld = entry === undefined || bytes + entry.bytes <= bytesMax();
    const learnedAtMs = clock.monotonic();
    known.set(key, { position, entry: isHeld ? entry : undefined, isHeld, askedAtMs, learnedAtMs });
    if (!isHeld) unheld += 1;
    else bytes += entry?.bytes ?? 0;
  }

  /** The position goes on overruling older events; the value is void. */
  function voidWhere(isVoid: (entry: Entry) => boolean): void {
    for (const [key, old] of known) {
      if (old.entry === undefined || !isVoid(old.entry)) continue;
      bytes -= old.entry.bytes;
      known.set(key, { ...old, entry: undefined });
    }
  }

  const getters = {
    hasUnheld: () => unheld > 0,
    isCrowded: () => known.size > crowdedAbove,
  };
  return withGetters<Ahead, keyof typeof getters>(getters, {
    get: (key) => known.get(key),
    oldest: () => known.values().next().value,
    unmetSinceMs(momentMs) {
      let sinceMs = Number.POSITIVE_INFINITY;
      for (const { askedAtMs, learnedAtMs } of known.values()) {
        if (learnedAtMs >= momentMs) break;
        sinceMs = Math.min(sinceMs, askedAtMs);
      }
      return sinceMs;
    },
    learn(key, position, entry, askedAtMs) {
      const old = known.get(key);
      if (old === undefined || old.position <= position) keep(key, position, entry, askedAtMs);
    },
    overrules(key, position) {
      // A replay comes here with each event, and then there is nothing to look for.
      if (known.size === 0) return false;
      const old = known.get(key);
      if (old === undefined) return false;
      if (position < old.position) return true;
      forget(key);
      return false;
    },
    clear(position) {
      voidWhere((entry) => entry.basis < position);
    },
    invalidateTag(tag, position) {
      voidWhere((entry) => entry.basis < position && entry.tags?.includes(tag) === true);
    },
    raiseFloor(first) {
      voidWhere((entry) => entry.revision < first);
    },
    pass(applied, onUnmet) {
      for (const [key, unmet] of known) {
        // Later ones were learned later, so few of them are below; those go with the next call.
        if (unmet.position > applied) break;
        forget(key);
        onUnmet(key, unmet);
      }
      crowdedAbove = 2 * known.size + crowdedAboveFirst;
    },
    passOne(key, applied) {
      const unmet = known.get(key);
      if (unmet === undefined || unmet.position > applied) return undefined;
      forget(key);
      return unmet;
    },
    reset() {
      known.clear();
      bytes = 0;
      unheld = 0;
    },
  });
}
