/**
 * Events of one partition: put, delete, clear and tag invalidation, and their messages.
 *
 * The layout is that of a NATS KV bucket (ADR-8); what KV does not define travels in `Sluice-` headers. Decoding is
 * total: whatever another writer stored yields an event or a counted reason, never an exception.
 */
import { SluiceError } from '../errors.ts';
import { formatNatsTtl, parseNatsTtl } from './duration.ts';
import { formatField, headerNames, headerText, readField } from './header.ts';
import { decodeKey, encodeKey } from './key.ts';
import type { LogRecord, LogWrite, Position } from './record.ts';
import type { BucketSubjects } from './subjects.ts';

export const tagBytesMax = 128;
export const tagCountMax = 64;
export const contentTypeBytesMax = 256;

/** What a put says beside its value. */
export interface EntryFields {
  /** Absolute expiry, ms since 1970 UTC; Infinity when the entry does not expire. */
  readonly expiresAtMs: number;
  readonly tags: readonly string[] | undefined;
  readonly contentType: string | undefined;
  /** Position up to which the writer of a loaded value had seen the log; undefined: its own revision. */
  readonly basis: Position | undefined;
}

export type BucketEvent =
  | ({ readonly type: 'entry.put'; readonly key: string; readonly value: Uint8Array } & EntryFields)
  | { readonly type: 'entry.deleted'; readonly key: string }
  /** The newest event of this key cannot be understood: the older value is no longer true, and no new one is known. */
  | { readonly type: 'entry.unreadable'; readonly key: string; readonly reason: string }
  | { readonly type: 'cache.cleared' }
  | { readonly type: 'tag.invalidated'; readonly tag: string }
  /** Nothing that Sluice knows; counted and skipped. */
  | { readonly type: 'foreign'; readonly reason: string };

export interface BucketContext {
  readonly subjects: BucketSubjects;
  /** The stream's own `max_age` in ms, an upper bound of every life; Infinity when it has none. */
  readonly maxAgeMs: number;
}

const cleared: BucketEvent = { type: 'cache.cleared' };

export function decodeBucketRecord(context: BucketContext, record: LogRecord): BucketEvent {
  const { subject } = record;
  const { subjects } = context;
  if (subject.startsWith(subjects.keyPrefix)) {
    return decodeEntry(context, record, subject.slice(subjects.keyPrefix.length));
  }
  if (subject === subjects.clear) return cleared;
  if (subject.startsWith(subjects.tagPrefix)) {
    const escaped = record.header === undefined ? undefined : readField(headerText(record.header), headerNames.key);
    const tag = decodeKey(subject.slice(subjects.tagPrefix.length), escaped);
    return tag === undefined ? { type: 'foreign', reason: 'tag token' } : { type: 'tag.invalidated', tag };
  }
  return { type: 'foreign', reason: 'subject' };
}

function decodeEntry(context: BucketContext, record: LogRecord, token: string): BucketEvent {
  const text = record.header === undefined ? '' : headerText(record.header);
  const key = decodeKey(token, text === '' ? undefined : readField(text, headerNames.key));
  if (key === undefined) return { type: 'foreign', reason: 'key token' };
  const ageLimitMs = record.atMs + context.maxAgeMs;
  if (text === '') {
    return {
      type: 'entry.put',
      key,
      value: record.data,
      expiresAtMs: ageLimitMs,
      tags: undefined,
      contentType: undefined,
      basis: undefined,
    };
  }
  // A marker is a delete, whatever else it looks like.
  if (text.includes('\nNats-Marker-Reason:')) return { type: 'entry.deleted', key };
  if (text.includes('\nKV-Operation:')) {
    const operation = readField(text, headerNames.operation) ?? '';
    if (operation === 'DEL' || operation === 'PURGE') return { type: 'entry.deleted', key };
    if (operation !== 'PUT')
      return { type: 'entry.unreadable', key, reason: `${headerNames.operation}: ${operation.slice(0, 32)}` };
  }
  return decodePut(key, record, text, ageLimitMs);
}

function decodePut(key: string, record: LogRecord, text: string, ageLimitMs: number): BucketEvent {
  let expiresAtMs = ageLimitMs;
  let tags: readonly string[] | undefined;
  let contentType: string | undefined;
  let basis: Position | undefined;
  if (text.includes('\nSluice-Expires:')) {
    const at = parseCount(readField(text, headerNames.expires));
    if (at === undefined) return { type: 'entry.unreadable', key, reason: headerNames.expires };
    expiresAtMs = Math.min(expiresAtMs, at);
  } else if (text.includes('\nNats-TTL:')) {
    const ttlMs = parseNatsTtl(readField(text, headerNames.ttl) ?? '');
    if (ttlMs === undefined) return { type: 'entry.unreadable', key, reason: headerNames.ttl };
    // `never` exempts a message from max_age too.
    expiresAtMs = ttlMs === Number.POSITIVE_INFINITY ? ttlMs : Math.min(expiresAtMs, record.atMs + ttlMs);
  }
  if (text.includes('\nSluice-Basis:')) {
    basis = parseCount(readField(text, headerNames.basis));
    if (basis === undefined) return { type: 'entry.unreadable', key, reason: headerNames.basis };
  }
  if (text.includes('\nSluice-Tags:')) {
    tags = parseTags(readField(text, headerNames.tags) ?? '');
    if (tags === undefined) return { type: 'entry.unreadable', key, reason: headerNames.tags };
  }
  if (text.includes('\nSluice-Type:')) {
    const type = readField(text, headerNames.type) ?? '';
    // The value is good without it, and it will stand in HTTP headers: a bad one is left out.
    if (contentTypeText.test(type)) contentType = type;
  }
  return { type: 'entry.put', key, value: record.data, expiresAtMs, tags, contentType, basis };
}

function parseCount(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,16}$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** Tags of a header value; undefined when they break a rule, an empty list is no tags. */
function parseTags(text: string): readonly string[] | undefined {
  const tags = text
    .split(',')
    .map((tag) => tag.trim())
    .filter((tag) => tag !== '');
  return tags.length <= tagCountMax && tags.every(isTag) ? tags : undefined;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what the rule is about
const controlCharacter = /[\x00-\x1f\x7f]/;
const contentTypeText = /^[\x21-\x7e](?:[\x20-\x7e]{0,254}[\x21-\x7e])?$/;

const isTag = (tag: string): boolean =>
  tag !== '' &&
  tag === tag.trim() &&
  !tag.includes(',') &&
  !controlCharacter.test(tag) &&
  !/\p{Surrogate}/u.test(tag) &&
  Buffer.byteLength(tag) <= tagBytesMax;

/** Throws `bad-request` unless each tag is 1 to 128 bytes without commas, control characters or outer spaces. */
export function validateTags(tags: readonly string[]): readonly string[] {
  if (tags.length > tagCountMax)
    throw new SluiceError('bad-request', `tags: ${tags.length} given; at most ${tagCountMax} are allowed`);
  for (const tag of tags) {
    if (!isTag(tag)) {
      throw new SluiceError(
        'bad-request',
        `tags: ${JSON.stringify(tag)} is not 1 to ${tagBytesMax} bytes of text without comma, control character or outer space`,
      );
    }
  }
  return [...new Set(tags)];
}

/** Throws `bad-request` unless the content type is printable ASCII of at most 256 bytes. */
export function validateContentType(contentType: string): string {
  if (!contentTypeText.test(contentType)) {
    throw new SluiceError(
      'bad-request',
      `contentType: ${JSON.stringify(contentType.slice(0, 64))} is not 1 to ${contentTypeBytesMax} printable ASCII characters`,
    );
  }
  return contentType;
}

export interface PutFields extends EntryFields {
  readonly origin: string;
  /** Remaining life, when the stream honours `Nats-TTL`; undefined: do not send it. */
  readonly natsTtlMs: number | undefined;
}

/** The message of a put. All fields must have been validated. */
export function encodePut(subjects: BucketSubjects, key: string, value: Uint8Array, put: PutFields): LogWrite {
  const { token, escaped } = encodeKey(key);
  let fields = formatField(headerNames.origin, put.origin);
  if (escaped !== undefined) fields += formatField(headerNames.key, escaped);
  // Beyond the exact integers (year 287,396) an expiry is none, and no reader would accept its digits.
  if (put.expiresAtMs < Number.MAX_SAFE_INTEGER) fields += formatField(headerNames.expires, Math.ceil(put.expiresAtMs));
  if (put.natsTtlMs !== undefined) fields += formatField(headerNames.ttl, formatNatsTtl(put.natsTtlMs));
  if (put.tags !== undefined && put.tags.length > 0) fields += formatField(headerNames.tags, put.tags.join(','));
  if (put.contentType !== undefined) fields += formatField(headerNames.type, put.contentType);
  if (put.basis !== undefined) fields += formatField(headerNames.basis, put.basis);
  return { subject: subjects.keyPrefix + token, fields, data: value };
}

/** The message of a delete: a tombstone that every KV client understands. */
export function encodeDelete(subjects: BucketSubjects, key: string, origin: string, natsTtlMs?: number): LogWrite {
  const { token, escaped } = encodeKey(key);
  let fields = formatField(headerNames.operation, 'DEL') + formatField(headerNames.origin, origin);
  if (escaped !== undefined) fields += formatField(headerNames.key, escaped);
  if (natsTtlMs !== undefined) fields += formatField(headerNames.ttl, formatNatsTtl(natsTtlMs));
  return { subject: subjects.keyPrefix + token, fields, data: new Uint8Array(0) };
}

export function encodeClear(subjects: BucketSubjects, origin: string): LogWrite {
  return { subject: subjects.clear, fields: formatField(headerNames.origin, origin), data: new Uint8Array(0) };
}

export function encodeTagInvalidation(subjects: BucketSubjects, tag: string, origin: string): LogWrite {
  const { token, escaped } = encodeKey(tag);
  let fields = formatField(headerNames.origin, origin);
  if (escaped !== undefined) fields += formatField(headerNames.key, escaped);
  return { subject: subjects.tagPrefix + token, fields, data: new Uint8Array(0) };
}
