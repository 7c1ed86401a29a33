/**
 * Clears and tag invalidations that this process wrote and obeys since their acknowledgement, ahead of the follower. One that
 * the follower passes without meeting it was replaced by a newer one of the kind, or its history was given up: then the copy has
 * made entries void that are not.
 */
import type { LogRecord, Position } from '../events/record.ts';
import type { Log } from '../log/log.ts';

export interface OwnInvalidations {
  /** Returns the position. */
  wrote(subject: string, position: Position): Position;
  met(record: LogRecord): void;
  /** Looks into the log for those that were passed; `onLost` is told of one that is not in it. */
  settle(applied: Position, onLost: (reason: string) => void): void;
  reset(): void;
}

export function createOwnInvalidations(log: Log): OwnInvalidations {
  /** By subject: the newest. */
  const unmet = new Map<string, Position>();

  function forget(subject: string, position: Position): void {
    if ((unmet.get(subject) ?? 0) <= position) unmet.delete(subject);
  }

  return {
    wrote(subject, position) {
      if (position > (unmet.get(subject) ?? 0)) unmet.set(subject, position);
      return position;
    },
    met(record) {
      if (unmet.size > 0) forget(record.subject, record.position);
    },
    settle(applied, onLost) {
      for (const [subject, position] of unmet) {
        if (position > applied) continue;
        Promise.all([log.latest(subject), log.bounds()]).then(
          ([newest, { first }]) => {
            // Below the floor it was dropped or purged.
            const isLost = (newest?.position ?? 0) < position && position >= first && unmet.get(subject) === position;
            forget(subject, position);
            if (isLost) onLost(`the log was rolled back: ${subject} at ${position} is no longer in it`);
          },
          // The log cannot be asked now; the next time will do.
          () => undefined,
        );
      }
    },
    reset: () => unmet.clear(),
  };
}
