/**
 * Reads what a log has now between two positions, once, without the data: for who wants to know where messages stand and what their
 * headers say.
 */
import type { Clock } from '../../base/clock.ts';
import type { LogRecord, Position } from '../../events/record.ts';
import type { Log } from '../log.ts';
import { openWatchedReader } from './watched-reader.ts';

export interface ReadThroughOptions {
  readonly log: Log;
  readonly clock: Clock;
  readonly from: Position;
  /** Not above the head of the log: it would be waited for. */
  readonly through: Position;
  /** The reader is given up when it is silent for so long. */
  readonly silenceMs: number;
  readonly signal?: AbortSignal;
}

/** Tells the messages in order, with empty data, until the log has passed `through`. Rejects when that is not to be had. */
export async function readThrough(options: ReadThroughOptions, met: (record: LogRecord) => void): Promise<void> {
  const { log, clock, from, through, silenceMs, signal } = options;
  let hasPassed = false;
  const reader = openWatchedReader({
    ...{ log, clock, silenceMs, from, withoutData: true },
    record(record) {
      if (record.position <= through) met(record);
      if (record.position >= through) pass();
    },
    idle(_, passed) {
      if (passed >= through) pass();
    },
  });
  function pass(): void {
    hasPassed = true;
    reader.end('read');
  }
  const onAbort = (): void => reader.end('given up');
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    const reason = await reader.ended;
    if (!hasPassed) throw new Error(reason);
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}
