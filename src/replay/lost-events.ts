/** What a log has lost without an event that tells of it, as somebody finds it who was cut off, and how that is told. */
import type { Position } from '../events/record.ts';

/** Below it, messages missing at the front of the log are just being replaced while they are on their way here. */
const gapLagMs = 5_000;

/**
 * True when a follower that was cut off finds that the log begins above what it has seen. What is missing was replaced, or
 * dropped together with what replaced it, and then no event ever tells.
 */
export const isSuspectGap = (applied: Position, first: Position, lagMs: number): boolean =>
  applied > 0 && first > applied + 1 && lagMs > gapLagMs;
export const gapReason = 'the log has dropped events that were not seen yet';
export const goneReason = 'the log had removed entries without an event';
export const rolledBackReason = (position: Position): string =>
  `the log was rolled back: position ${position} is no longer in it`;
