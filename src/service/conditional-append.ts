/**
 * Writes that depend on what the log has: create if absent, and compare-and-set. The log compares one thing only, the position
 * of the last message of the key; that this may be a tombstone, or an entry that is no longer valid, is decided here.
 */
import { type Clock, pause } from '../base/clock.ts';
import { isSluiceError, messageOf, SluiceError } from '../errors.ts';
import type { LogWrite, Position } from '../events/record.ts';
import type { Appended } from '../log/log.ts';
import { type KeyState, type LogBucket, readKeyState } from '../replay/log-read.ts';
import type { PutOptions } from './cache-service.ts';

export interface ConditionalTarget extends LogBucket {
  /** Of the cache, for messages. */
  readonly name: string;
  readonly clock: Clock;
  /** Position of the newest clear that is known here. */
  readonly clearedAt: Position;
}

type Condition = Pick<PutOptions, 'ifAbsent' | 'ifRevision' | 'signal' | 'deadlineMs'>;

/** A key changes between reading and writing so often only under a storm of writes; then the caller must know. */
const attemptsMax = 8;
/** Some servers refuse a comparison while any other write of the key is under way. Doubled with each attempt. */
const underWayMs = 1;

/** Appends the message if the condition holds. Throws `position-conflict` with the current revision in `details.current`. */
export async function appendIf(
  target: ConditionalTarget,
  key: string,
  message: LogWrite,
  condition: Condition,
): Promise<Appended> {
  const { log, clock, clearedAt } = target;
  const { ifRevision = 0, ifAbsent, signal, deadlineMs } = condition;
  const startedAtMs = clock.monotonic();
  let expected = ifAbsent ? 0 : ifRevision;
  // Its message may still be in the log for a moment, but its entry is gone.
  if (!ifAbsent && ifRevision > 0 && ifRevision < clearedAt) throw conflict(target, key, await stateOf(target, key));
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await log.append(message, {
        expected,
        ...(signal === undefined ? {} : { signal }),
        ...(deadlineMs === undefined
          ? {}
          : { deadlineMs: Math.max(1, deadlineMs - (clock.monotonic() - startedAtMs)) }),
      });
    } catch (error) {
      if (!isSluiceError(error, 'position-conflict')) throw error;
      const state = await stateOf(target, key, signal);
      // The message that was met may be a tombstone. Nothing was stored.
      if (state instanceof Error) throw ifAbsent ? unanswered(target, key, state) : conflict(target, key, state, error);
      const mayStill = ifAbsent ? state.entry === undefined : state.position === ifRevision;
      if (!mayStill || attempt === attemptsMax) throw conflict(target, key, state, error);
      if (state.position === expected) await pause(clock, underWayMs * 2 ** attempt, signal);
      expected = state.position;
    }
  }
}

/** What the log has of the key, or why it could not be asked. */
async function stateOf(target: ConditionalTarget, key: string, signal?: AbortSignal): Promise<KeyState | Error> {
  try {
    return await readKeyState(target, key, target.clock, signal);
  } catch (error) {
    if (isSluiceError(error, 'aborted')) throw error;
    return error instanceof Error ? error : new Error(messageOf(error));
  }
}

const unanswered = ({ name }: ConditionalTarget, key: string, cause: Error): SluiceError =>
  new SluiceError(
    'log-unavailable',
    `${name}: the log could not be asked whether ${JSON.stringify(key.slice(0, 64))} exists, and nothing was written: ${cause.message}`,
    { cause },
  );

/** Tells the revision that stands in the way; null: the key does not exist; none when it is not known. */
function conflict({ name }: ConditionalTarget, key: string, state: KeyState | Error, cause?: SluiceError): SluiceError {
  const current = state instanceof Error ? undefined : (state.entry?.position ?? null);
  const has = current === undefined ? 'another revision' : current === null ? 'no entry' : `revision ${current}`;
  return new SluiceError('position-conflict', `${name}: ${JSON.stringify(key.slice(0, 64))} has ${has}`, {
    ...(cause === undefined ? {} : { cause }),
    details: { ...cause?.details, current },
  });
}
