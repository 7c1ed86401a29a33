/**
 * Where in a log a time is. The log can only be entered at a position, and positions grow with time, so the place is found by
 * halving: some twenty looks for a million events.
 */
import type { Clock } from '../../base/clock.ts';
import { SluiceError } from '../../errors.ts';
import type { LogRecord, Position } from '../../events/record.ts';
import type { Log } from '../../log/log.ts';

const lookLimitMs = 5_000;

/** The position of the first message that was stored at or after the time; last + 1 when there is none. */
export async function findPosition(log: Log, clock: Clock, sinceMs: number, signal: AbortSignal): Promise<Position> {
  const { first, last } = await log.bounds(signal);
  let low = first;
  let high = last + 1;
  // Invariant: every message below `low` is older; the one at `high`, if there is one, is not.
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const record = await firstRecord(log, clock, middle);
    if (record === undefined || record.position >= high) high = middle;
    else if (record.atMs >= sinceMs) high = middle;
    else low = record.position + 1;
  }
  return low;
}

type Seen = Pick<LogRecord, 'position' | 'atMs'>;

/** The first message at or above a position, or undefined when there is none. */
async function firstRecord(log: Log, clock: Clock, from: Position): Promise<Seen | undefined> {
  let settle: (seen: Seen | undefined) => void = () => undefined;
  let fail: (error: SluiceError) => void = () => undefined;
  const found = new Promise<Seen | undefined>((resolve, reject) => {
    settle = resolve;
    fail = reject;
  });
  found.catch(() => undefined);
  const unavailable = (reason: string): void =>
    fail(new SluiceError('log-unavailable', `${log.name}: cannot be read at ${from}: ${reason}`));
  const limit = clock.timer(lookLimitMs, () => unavailable(`nothing within ${lookLimitMs} ms`));
  try {
    const reader = await log.open(from, {
      record: ({ position, atMs }) => settle({ position, atMs }),
      idle: () => settle(undefined),
      alive: () => undefined,
      ended: unavailable,
    });
    try {
      return await found;
    } finally {
      await reader.close();
    }
  } finally {
    limit.cancel();
  }
}
