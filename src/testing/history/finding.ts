/** What a checker has to say: each finding is one broken promise (or one that could not be decided), with what shows it. */
import type { HistoryRecord } from './record.ts';

/** The promises that histories are checked for, by the name that findings carry. */
export type CheckName =
  | 'register'
  | 'read-your-writes'
  | 'monotonic-reads'
  | 'writes-follow-reads'
  | 'position-reads'
  | 'bounded-staleness'
  | 'convergence'
  | 'no-lost-write'
  | 'no-future'
  | 'no-resurrection'
  | 'one-winner'
  | 'log-order'
  | 'membership'
  | 'watch-ordered'
  | 'watch-unique'
  | 'watch-genuine'
  | 'watch-reliable'
  | 'watch-resumable'
  | 'watch-progress'
  | 'watch-filtered';

export interface Finding {
  readonly check: CheckName;
  /** `undecided`: the budget ended first, which is no proof of anything. */
  readonly verdict: 'broken' | 'undecided';
  /** One sentence with the names, values and positions. */
  readonly message: string;
  readonly key?: string | undefined;
  readonly partition?: number | undefined;
  /** The records that show it, the most telling one first. */
  readonly records: readonly HistoryRecord[];
}

/** Options that all checkers have. */
export interface CheckOptions {
  /** A checker stops after so many findings: one defect can show a thousand times. Default 20. */
  readonly findingsMax?: number | undefined;
}

export const findingsMaxDefault = 20;

/** Takes findings from a generator until there are enough of them. */
export function collectFindings(
  found: Iterable<Finding>,
  { findingsMax = findingsMaxDefault }: CheckOptions,
): Finding[] {
  const findings: Finding[] = [];
  if (findingsMax < 1) return findings;
  for (const finding of found) {
    findings.push(finding);
    if (findings.length >= findingsMax) break;
  }
  return findings;
}

type Facts = Pick<Finding, 'key' | 'partition'>;

export function broken(
  check: CheckName,
  message: string,
  records: readonly HistoryRecord[],
  facts: Facts = {},
): Finding {
  return { check, verdict: 'broken', message, ...facts, records };
}
