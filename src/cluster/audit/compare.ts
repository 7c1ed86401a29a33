/**
 * What the log says of keys against what a copy says of them. Pure: two readings and the time in, a verdict for each key out.
 *
 * A reading is true at a position. Whatever may have changed between the positions of two readings is `moved`, and so is no
 * divergence; whether a difference that is left is one, the auditor finds out by asking both again.
 */
import type { Position } from '../../events/record.ts';

/** A key as a reader of the log or a copy has it. */
export interface HeldKey {
  readonly revision: Position;
  readonly checksum: string;
  /** ms since 1970 UTC; Infinity: never. */
  readonly expiresAtMs: number;
}

export type DivergenceKind = 'missing' | 'extra' | 'revision' | 'checksum';

/**
 * `moved`: it changed between the two readings. `evicted`: the copy does not have it and never said that it has all.
 * `expired`: it is about to end, or has just ended, by the clock of one of both.
 */
export type Verdict = 'agrees' | 'moved' | 'evicted' | 'expired' | DivergenceKind;

export interface Reading {
  readonly entries: ReadonlyMap<string, HeldKey>;
  /** Everything up to here is in it. */
  readonly at: Position;
}

export interface CopyReading extends Reading {
  /** False once memory limits removed something. */
  readonly isComplete: boolean;
}

/** Clocks may differ by so much before an expiry is taken for a divergence. */
export const expirySlackMs = 30_000;

export function judge(
  inLog: HeldKey | undefined,
  inCopy: HeldKey | undefined,
  { log, copy, nowMs }: { readonly log: Reading; readonly copy: CopyReading; readonly nowMs: number },
): Verdict {
  const isEnding = (held: HeldKey): boolean => held.expiresAtMs <= nowMs + expirySlackMs;
  if (inLog === undefined && inCopy === undefined) return 'agrees';
  if (inCopy === undefined) {
    if (inLog === undefined || inLog.revision > copy.at) return 'moved';
    if (isEnding(inLog)) return 'expired';
    return copy.isComplete ? 'missing' : 'evicted';
  }
  if (inLog === undefined) {
    if (inCopy.revision > log.at) return 'moved';
    return isEnding(inCopy) ? 'expired' : 'extra';
  }
  if (inLog.revision === inCopy.revision) return inLog.checksum === inCopy.checksum ? 'agrees' : 'checksum';
  if (inLog.revision > copy.at || inCopy.revision > log.at) return 'moved';
  return 'revision';
}

export interface Comparison {
  readonly agreed: number;
  readonly moved: number;
  readonly evicted: number;
  readonly expired: number;
  /** Keys that differ, until they are looked at again. */
  readonly suspects: readonly string[];
}

const isDivergent = (verdict: Verdict): verdict is DivergenceKind =>
  verdict === 'missing' || verdict === 'extra' || verdict === 'revision' || verdict === 'checksum';

/** Every key that one of both has. */
export function compareReadings(log: Reading, copy: CopyReading, nowMs: number): Comparison {
  const counts = { agrees: 0, moved: 0, evicted: 0, expired: 0 };
  const suspects: string[] = [];
  const look = (key: string): void => {
    const verdict = judge(log.entries.get(key), copy.entries.get(key), { log, copy, nowMs });
    if (isDivergent(verdict)) suspects.push(key);
    else counts[verdict] += 1;
  };
  for (const key of log.entries.keys()) look(key);
  for (const key of copy.entries.keys()) if (!log.entries.has(key)) look(key);
  const { moved, evicted, expired } = counts;
  return { agreed: counts.agrees, moved, evicted, expired, suspects };
}

/** A difference that is one, when `judge` says so of two readings of the same moment. */
export function divergenceOf(
  inLog: HeldKey | undefined,
  inCopy: HeldKey | undefined,
  readings: Parameters<typeof judge>[2],
): DivergenceKind | undefined {
  const verdict = judge(inLog, inCopy, readings);
  return isDivergent(verdict) ? verdict : undefined;
}
