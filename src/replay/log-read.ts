/**
 * Reading one key from the log itself, for what memory does not hold: an evicted entry, or a partition that is not here.
 *
 * The newest message of the key alone is not the truth: a clear or a tag invalidation above it makes it void. They are read
 * after the key, so whatever was acknowledged before the read began is obeyed.
 */
import type { Clock } from '../base/clock.ts';
import { decodeBucketRecord } from '../events/entry.ts';
import { encodeKey } from '../events/key.ts';
import type { LogRecord, Position } from '../events/record.ts';
import type { BucketSubjects } from '../events/subjects.ts';
import type { Log } from '../log/log.ts';
import { basisOf, type EntryPut } from '../store/entry.ts';
import type { Entry } from '../store/entry-store.ts';

export interface LogEntry {
  readonly put: EntryPut;
  readonly position: Position;
  readonly atMs: number;
}

/** The newest message of a key: the entry when it is valid once the log has answered, and the position of whatever stands there. */
export interface KeyState {
  readonly entry: LogEntry | undefined;
  /** 0 when the log has no message of that key. */
  readonly position: Position;
  /** Set when the message is not a readable put. */
  readonly record: LogRecord | undefined;
}

/** A bucket and the log that it is in. */
export interface LogBucket {
  readonly subjects: BucketSubjects;
  readonly log: Log;
}

export async function readKeyState(
  bucket: LogBucket,
  key: string,
  clock: Pick<Clock, 'now'>,
  signal?: AbortSignal,
): Promise<KeyState> {
  const record = await bucket.log.latest(bucket.subjects.keyPrefix + encodeKey(key).token, signal);
  if (record === undefined) return { entry: undefined, position: 0, record };
  const event = decodeBucketRecord(bucket, record);
  const absent: KeyState = { entry: undefined, position: record.position, record };
  if (event.type !== 'entry.put' || event.key !== key) return absent;
  const basis = basisOf(event, record.position);
  if (await isOverruled(bucket, { basis, tags: event.tags }, signal)) return absent;
  // Answers may take their time, and an entry's may be over by then.
  if (event.expiresAtMs <= clock.now()) return absent;
  return { entry: { put: event, position: record.position, atMs: record.atMs }, position: record.position, record };
}

/** Whether a clear, or an invalidation of one of its tags, has ended an entry. */
export async function isOverruled(
  { log, subjects }: LogBucket,
  { basis, tags }: Pick<Entry, 'basis' | 'tags'>,
  signal?: AbortSignal,
): Promise<boolean> {
  const overruling = [subjects.clear, ...(tags ?? []).map((tag) => subjects.tagPrefix + encodeKey(tag).token)];
  const newest = await Promise.all(overruling.map((subject) => log.latest(subject, signal)));
  return newest.some((other) => other !== undefined && other.position > basis);
}

export async function readEntry(
  bucket: LogBucket,
  key: string,
  clock: Pick<Clock, 'now'>,
  signal?: AbortSignal,
): Promise<LogEntry | undefined> {
  return (await readKeyState(bucket, key, clock, signal)).entry;
}
