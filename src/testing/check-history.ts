/** All checkers over one history. Each alone is a pure function from a history to its findings; an empty list means: it holds. */
import type { CheckName, CheckOptions, Finding } from './history/finding.ts';
import type { History } from './history/record.ts';
import { checkRegister, type RegisterOptions } from './register/check-register.ts';
import { checkBoundedStaleness } from './sessions/bounded-staleness.ts';
import { checkMonotonicReads } from './sessions/monotonic-reads.ts';
import { checkPositionReads } from './sessions/position-reads.ts';
import { checkReadYourWrites } from './sessions/read-your-writes.ts';
import { checkWritesFollowReads } from './sessions/writes-follow-reads.ts';
import { checkConvergence, checkNoLostWrite } from './truth/convergence.ts';
import { checkLogOrder } from './truth/log-order.ts';
import { checkMembership } from './truth/membership-events.ts';
import { checkNoFuture } from './truth/no-future.ts';
import { checkNoResurrection } from './truth/no-resurrection.ts';
import { checkOneWinner } from './truth/one-winner.ts';
import {
  checkWatchFiltered,
  checkWatchGenuine,
  checkWatchOrdered,
  checkWatchProgress,
  checkWatchReliable,
  checkWatchResumable,
  checkWatchUnique,
} from './watch/check-watches.ts';

export type Check = (history: History, options?: CheckOptions) => Finding[];

export const checks: Readonly<Record<CheckName, Check>> = {
  register: checkRegister,
  'read-your-writes': checkReadYourWrites,
  'monotonic-reads': checkMonotonicReads,
  'writes-follow-reads': checkWritesFollowReads,
  'position-reads': checkPositionReads,
  'bounded-staleness': checkBoundedStaleness,
  convergence: checkConvergence,
  'no-lost-write': checkNoLostWrite,
  'no-future': checkNoFuture,
  'no-resurrection': checkNoResurrection,
  'one-winner': checkOneWinner,
  'log-order': checkLogOrder,
  membership: checkMembership,
  'watch-ordered': checkWatchOrdered,
  'watch-unique': checkWatchUnique,
  'watch-genuine': checkWatchGenuine,
  'watch-reliable': checkWatchReliable,
  'watch-resumable': checkWatchResumable,
  'watch-progress': checkWatchProgress,
  'watch-filtered': checkWatchFiltered,
};

export interface CheckHistoryOptions extends RegisterOptions {
  /** Checks to leave out, because the history is of something that does not promise them. */
  readonly except?: readonly CheckName[] | undefined;
}

/** Runs every check. Empty: everything that the history can show holds. */
export function checkHistory(history: History, options: CheckHistoryOptions = {}): Finding[] {
  const names = Object.keys(checks) as CheckName[];
  return names.filter((name) => !options.except?.includes(name)).flatMap((name) => checks[name](history, options));
}

/** One line for each finding, for the message of a failed test. */
export function describeFindings(findings: readonly Finding[]): string {
  return findings.map(({ check, verdict, message }) => `${check} ${verdict}: ${message}`).join('\n');
}
