/**
 * For the tests of those who build on Sluice, and for histories of other systems: what happened as a history, and checkers that
 * say what it breaks; a clock that stands still and randomness that repeats. `docs/testing.md` shows how. Nothing else in `src`
 * imports it.
 */
export {
  type Check,
  type CheckHistoryOptions,
  checkHistory,
  checks,
  describeFindings,
} from './check-history.ts';
export { createFakeClock, type FakeClock, type FakeClockOptions } from './fake-clock.ts';
export { describeRecord } from './history/describe-record.ts';
export type { CheckName, CheckOptions, Finding } from './history/finding.ts';
export { formatHistory, historyFormat, parseHistory } from './history/json-lines.ts';
export type {
  Actor,
  ClearOperation,
  DeleteOperation,
  History,
  HistoryRecord,
  InvalidateOperation,
  LogObservation,
  MemberObservation,
  Observation,
  Operation,
  Outcome,
  PutOperation,
  ReadOperation,
  ResetObservation,
  StateEntry,
  StateObservation,
  WatchObservation,
  WriteOperation,
} from './history/record.ts';
export {
  type Begun,
  type Call,
  createHistoryRecorder,
  type Ended,
  type HistoryRecorder,
  outcomeOfError,
  type Refused,
} from './history/recorder.ts';
export {
  checkRegister,
  judgeRegister,
  type RegisterFinding,
  type RegisterOptions,
  type RegisterReport,
} from './register/check-register.ts';
export { createSeededRandom, type SeededRandom } from './seeded-random.ts';
export { checkBoundedStaleness } from './sessions/bounded-staleness.ts';
export { checkMonotonicReads } from './sessions/monotonic-reads.ts';
export { checkPositionReads } from './sessions/position-reads.ts';
export { checkReadYourWrites } from './sessions/read-your-writes.ts';
export { checkWritesFollowReads } from './sessions/writes-follow-reads.ts';
export { checkConvergence, checkNoLostWrite } from './truth/convergence.ts';
export { checkLogOrder } from './truth/log-order.ts';
export { checkMembership } from './truth/membership-events.ts';
export { checkNoFuture } from './truth/no-future.ts';
export { checkNoResurrection } from './truth/no-resurrection.ts';
export { checkOneWinner } from './truth/one-winner.ts';
export {
  checkWatchFiltered,
  checkWatchGenuine,
  checkWatchOrdered,
  checkWatchProgress,
  checkWatchReliable,
  checkWatchResumable,
  checkWatchUnique,
} from './watch/check-watches.ts';
