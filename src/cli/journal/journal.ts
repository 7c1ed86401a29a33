/**
 * Reading a log as a journal: every message from a position to its end, or on and on. It tells honestly what it cannot show:
 * what is no longer in the log, and a log that began anew.
 */
import type { LogRecord, Position } from '../../events/record.ts';
import { createFollower } from '../../log/follower.ts';
import type { Log } from '../../log/log.ts';
import type { CommandContext } from '../command/context.ts';

export interface JournalOptions {
  readonly log: Log;
  readonly from: Position;
  /** Goes on after the end until this fires. Without it, the end is the end. */
  readonly follow: AbortSignal | undefined;
  readonly onRecord: (record: LogRecord) => void;
  readonly onRemark: (remark: string) => void;
  /** The end that the log had at the beginning was reached; called once. */
  readonly onEnd?: () => void;
}

/** A log that delivers nothing for so long is not waited for. */
const readLimitMs = 600_000;

/** Resolves at the end, or when it was told to stop by `follow` or the signal of the context. */
export async function readJournal(
  { clock, random, signal }: Pick<CommandContext, 'clock' | 'random' | 'signal'>,
  { log, from, follow, onRecord, onRemark, onEnd }: JournalOptions,
): Promise<void> {
  const { last } = await log.bounds(signal);
  // A follower that begins behind the end would take the log for one that was rolled back.
  const start = Math.max(1, Math.min(from, last + 1));
  if (start > last && follow === undefined) {
    onEnd?.();
    return;
  }
  const follower = createFollower({
    log,
    clock,
    random,
    applied: start - 1,
    sink: {
      apply: (record) => {
        if (record.position >= from) onRecord(record);
      },
      rebuild: (reason) => onRemark(`${log.name}: ${reason}; its events follow from the beginning`),
      floor: () => undefined,
    },
  });
  await follower.start();
  try {
    await follower.reached(last, { signal: follow ?? signal, waitMs: readLimitMs }).then(onEnd, (error: unknown) => {
      if (!(follow ?? signal).aborted) throw error;
    });
    if (follow !== undefined && !follow.aborted) {
      await new Promise<void>((resolve) => follow.addEventListener('abort', () => resolve(), { once: true }));
    }
  } finally {
    await follower.stop();
  }
}
