/** How long a follower waits for what. */

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
