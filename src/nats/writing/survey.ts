/**
 * What a stream has above a position, to find out whether a write was stored whose answer got lost with its server.
 *
 * A server that is started anew knows the ids of those messages that it still has. A message that was replaced or removed in the
 * meantime is gone with its id, so the same write, sent again, would be stored a second time. What stands above the place
 * from which the write can have been stored tells: it is there, or nothing is missing there, or something is, and then that may have been it.
 */
import type { Clock } from '../../base/clock.ts';
import { headerNames, headerText, readField } from '../../events/header.ts';
import type { Position } from '../../events/record.ts';
import { readThrough } from '../../log/copy/read-through.ts';
import type { Log } from '../../log/log.ts';

export interface Survey {
  positionOf(id: string): Position | undefined;
  /** True when every message that was ever stored above the position is still there. */
  isWholeAbove(position: Position): boolean;
}

/** A stream that has gone on by more than this is read only from here on; what may stand below is not known. */
const recordsMax = 100_000;
const silenceMs = 1_000;

/** Rejects when the log cannot be read. */
export async function surveyLog(log: Log, clock: Clock, above: Position): Promise<Survey> {
  const { last } = await log.bounds();
  const ids = new Map<string, Position>();
  /** Nothing is known, or something is missing, at this position; nothing is above it, as far as was read. */
  let hole = Math.max(above, last - recordsMax);
  let read = hole;
  if (hole < last) {
    await readThrough({ log, clock, from: hole + 1, through: last, silenceMs }, ({ position, header }) => {
      if (position > read + 1) hole = position - 1;
      read = position;
      const id = header === undefined ? undefined : readField(headerText(header), headerNames.messageId);
      if (id !== undefined) ids.set(id, position);
    });
  }
  if (read < last) hole = last;
  return {
    positionOf: (id) => ids.get(id),
    // A log that ends below the position was rolled back, or is another one.
    isWholeAbove: (position) => position >= hole && position <= last,
  };
}
