/** What a follower is given, and what it tells. */
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import type { LogRecord, Position } from '../events/record.ts';
import type { Verification } from './copy/doubt.ts';
import type { Log } from './log.ts';

export interface FollowerLimits {
  /** A reader that says nothing for so long is dead; when the last proof is so old, the log's leader is asked. More than
   *  twice the log's heartbeat. */
  readonly silenceMs: number;
  /** How often the floor and the identity of the log are checked. */
  readonly floorCheckMs: number;
  /** How long the log keeps tombstones. */
  readonly horizonMs: number;
  readonly retryFirstMs: number;
  readonly retryMaxMs: number;
}

export const defaultFollowerLimits: FollowerLimits = {
  silenceMs: 1_250,
  floorCheckMs: 30_000,
  horizonMs: 24 * 3_600_000,
  retryFirstMs: 50,
  // With the second that a creation may take, less than the 3 s within which a copy is to be whole again after a fault.
  retryMaxMs: 1_000,
};

/** What a follower has done since it was made. */
export interface FollowerCounters {
  readonly records: number;
  readonly reopened: number;
  readonly rebuilds: number;
  readonly applyFailures: number;
  /** Of the last replay from the floor to ready. */
  readonly replayMs: number;
  readonly replayRecords: number;
}

/** What a follower drives. Calls are synchronous and in order; a sink never throws. */
export interface FollowerSink {
  apply(record: LogRecord): void;
  /** Everything applied so far is void; records follow from the log's floor. */
  rebuild(reason: string): void;
  /** No message below `first` is in the log any more. */
  floor(first: Position): void;
  /** Begins to compare all that is held with the log; see `doubt.ts`. Without it, holes raise no doubt. */
  verify?(): Verification;
  /**
   * What the sink knows of the log ahead of the follower, and the log was shown at `provenAtMs` (monotonic) not to have any more:
   * the copy is no younger than this, the monotonic time as of which the oldest such thing was known. Infinity: there is none.
   */
  unmetSinceMs?(provenAtMs: number): number;
}

export interface FollowerNotice {
  readonly what: 'opened' | 'ended' | 'failed' | 'rebuild' | 'ready' | 'verified' | 'apply-failed';
  readonly log: string;
  readonly reason: string;
}

export interface FollowerOptions {
  readonly log: Log;
  readonly sink: FollowerSink;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits?: Partial<FollowerLimits>;
  /** The sink already holds everything up to here (a checkpoint). Default 0. */
  readonly applied?: Position;
  /** When the message there was stored; without it, the one that is met there is believed. See `history.ts`. */
  readonly appliedAtMs?: number | undefined;
  readonly onNotice?: (notice: FollowerNotice) => void;
}
