/** What callers may hand in, checked where it arrives: a door, or a program without a compiler, may pass anything. */
import { SluiceError } from '../errors.ts';
import { defaultContentType, validateContentType, validateTags } from '../events/entry.ts';
import type { ListOptions, PutOptions, WriteOptions } from './cache-service.ts';

const refuse = (field: string, rule: string, value?: number | string): SluiceError =>
  new SluiceError('bad-request', `${field}: ${rule}`, { details: { field, value } });

/** Throws `too-large` or `bad-request`. */
export function checkValue(cache: string, value: unknown, bytesMax: number): void {
  if (!(value instanceof Uint8Array)) throw refuse('value', `must be bytes (a Uint8Array), not ${typeof value}`);
  if (value.length <= bytesMax) return;
  throw new SluiceError('too-large', `value: ${value.length} bytes; cache ${cache} takes at most ${bytesMax}`, {
    details: { field: 'value', bytes: value.length, bytesMax },
  });
}

/** Throws `bad-request`. */
export function checkConditions(write: PutOptions): void {
  const { ifAbsent, ifRevision } = write;
  if (ifRevision === undefined) return;
  if (ifAbsent) throw refuse('ifAbsent', 'cannot be demanded together with ifRevision');
  if (!Number.isSafeInteger(ifRevision) || ifRevision < 0)
    throw refuse('ifRevision', `${ifRevision} is not a revision`, ifRevision);
}

/** The tags of an entry, each once; undefined for none. Throws `bad-request`. */
export function completeTags(tags: unknown): readonly string[] | undefined {
  if (tags === undefined || (Array.isArray(tags) && tags.length === 0)) return undefined;
  if (!Array.isArray(tags) || !tags.every((tag) => typeof tag === 'string'))
    throw refuse('tags', 'must be an array of texts');
  return validateTags(tags);
}

/** The type as events carry it: undefined for the default. Throws `bad-request`. */
export function completeContentType(contentType: unknown): string | undefined {
  if (contentType === undefined || contentType === defaultContentType) return undefined;
  if (typeof contentType !== 'string') throw refuse('contentType', 'must be a text');
  return validateContentType(contentType);
}

/** Absolute expiry, ms since 1970 UTC; Infinity: never. Throws `bad-request`. */
export function expiryOf(ttlMs: number | null, nowMs: number): number {
  if (ttlMs === null) return Number.POSITIVE_INFINITY;
  if (typeof ttlMs !== 'number' || !Number.isFinite(ttlMs) || ttlMs <= 0)
    throw refuse('ttl', `${ttlMs} ms; must be a positive duration`, ttlMs);
  return Math.ceil(nowMs + ttlMs);
}

/** Throws `bad-request` unless it is a duration in ms, 0 included. */
export function requireDuration(field: string, ms: number): void {
  if (typeof ms !== 'number' || !Number.isFinite(ms) || ms < 0) throw refuse(field, `${ms} ms; must be a duration`, ms);
}

/** Throws `bad-request`. */
export function checkList({ limit }: ListOptions): void {
  if (!Number.isSafeInteger(limit) || limit < 1)
    throw refuse('limit', `${limit}; must be a whole number from 1`, limit);
}

/** What the log's `append` takes of it. */
export function appendOptions({
  signal,
  deadlineMs,
}: WriteOptions): Pick<Defined<WriteOptions>, 'signal' | 'deadlineMs'> {
  if (signal === undefined && deadlineMs === undefined) return asUsual;
  return {
    ...(signal === undefined ? {} : { signal }),
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
  };
}

/** Nearly every write's. */
const asUsual = {};

type Defined<Fields> = { [Name in keyof Fields]: Exclude<Fields[Name], undefined> };
