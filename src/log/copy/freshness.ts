/**
 * How old a copy may be, and how that is known.
 *
 * A proof says: at that moment the copy held everything that was in the log, or it holds by now everything that was in
 * it then. Between proofs the age only grows. Invariant: `lagMs` is never smaller than the truth; whatever cannot be
 * shown is not claimed.
 */
import type { Clock } from '../../base/clock.ts';
import { withGetters } from '../../base/with-getters.ts';
import type { Position } from '../../events/record.ts';

export interface Age {
  /** Monotonic time of the last proof; -Infinity before the first one. */
  readonly provenAtMs: number;
  /** ms since the last proof; Infinity before the first one. */
  lagMs(): number;
}

export interface Freshness extends Age {
  /** True when the last proof is older than the limit by either clock: the monotonic one stands still while a machine sleeps. */
  isOlderThan(limitMs: number): boolean;
  /** At `atMs` (monotonic) the copy held everything. */
  prove(atMs: number): void;
  /** At or after `atMs` the log's head was `head`: proven as of `atMs` once the copy has reached it. */
  expect(head: Position, atMs: number): void;
  /** The heads that were seen may be of another history. */
  expectNothing(): void;
  /** The copy has reached `applied`. */
  reached(applied: Position): void;
  /** The state was dropped: nothing is proven any more. */
  forget(): void;
}

/** Heads that were seen and not reached yet; above it the newest replaces its predecessor, which only makes proofs rarer. */
const expectationsMax = 64;

/** `onProof` hears of each proof that is newer than all before. */
export function createFreshness(clock: Clock, onProof: (atMs: number) => void = () => undefined): Freshness {
  let provenAtMs = Number.NEGATIVE_INFINITY;
  let provenWallMs = Number.NEGATIVE_INFINITY;
  let applied: Position = 0;
  // Heads only grow within one life of a log, so both columns ascend.
  let expectations: { head: Position; atMs: number }[] = [];

  function prove(atMs: number): void {
    if (atMs <= provenAtMs) return;
    provenAtMs = atMs;
    provenWallMs = clock.now() - (clock.monotonic() - atMs);
    onProof(atMs);
  }

  const getters = {
    provenAtMs: () => provenAtMs,
  };
  return withGetters<Freshness, keyof typeof getters>(getters, {
    lagMs: () => Math.max(0, clock.monotonic() - provenAtMs),
    isOlderThan: (limitMs) => Math.max(clock.monotonic() - provenAtMs, clock.now() - provenWallMs) > limitMs,
    prove,
    expect(head, atMs) {
      if (head <= applied) return prove(atMs);
      if (expectations.length >= expectationsMax) expectations.pop();
      expectations.push({ head, atMs });
    },
    reached(position) {
      applied = position;
      const first = expectations[0];
      if (first === undefined || first.head > applied) return;
      for (const { head, atMs } of expectations) if (head <= applied) prove(atMs);
      expectations = expectations.filter(({ head }) => head > applied);
    },
    expectNothing() {
      expectations = [];
    },
    forget() {
      provenAtMs = Number.NEGATIVE_INFINITY;
      provenWallMs = Number.NEGATIVE_INFINITY;
      applied = 0;
      expectations = [];
    },
  });
}
