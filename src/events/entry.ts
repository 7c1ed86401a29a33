/**
 * Events of one partition: put, delete, clear and tag invalidation, and their messages.
 *
 * The layout is that of a NATS KV bucket (ADR-8); what KV does not define travels in `Sluice-` headers. Decoding is
 * total: whatever another writer stored yields an event or a counted reason, never an exception.
 */
import { standsAt } from '../base/bytes.ts';
import { SluiceError } from '../errors.ts';
import { formatNatsTtl, parseNatsTtl } from './duration.ts';
import { formatField, headerNames } from './header.ts';
import { createHeaderScan } from './header-scan.ts';
import { decodeKey, decodePlainKey, encodeKey } from './key.ts';
import type { LogRecord, LogWrite, Position } from './record.ts';
import type { BucketSubjects } from './subjects.ts';

export const tagBytesMax = 128;
export const tagCountMax = 64;
export const contentTypeBytesMax = 256;
/** What a value is of whose type nothing is said; it goes without saying. */
export const defaultContentType = 'application/octet-stream';

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
  /** `maxAgeMs`: the stream's own `max_age` in ms, an upper bound of every life; Infinity when it has none. */
  readonly log: { readonly maxAgeMs: number };
}

const cleared: BucketEvent = { type: 'cache.cleared' };

/** What decoding asks of a header, by its number in the scan. */
const fields = { expires: 0, ttl: 1, basis: 2, tags: 3, type: 4, key: 5, operation: 6, markerReason: 7 } as const;
const header = createHeaderScan((Object.keys(fields) as (keyof typeof fields)[]).map((name) => headerNames[name]));

export function decodeBucketRecord(context: BucketContext, record: LogRecord): BucketEvent {
  const { subjects } = context;
  if (standsAt(record.subjectBytes, 0, subjects.keyPrefixBytes)) return decodeEntry(context, record);
  const { subject } = record;
  if (subject === subjects.clear) return cleared;
  if (subject.startsWith(subjects.tagPrefix)) {
    header.read(record.payload, record.headerLength);
    const tag = decodeKey(subject.slice(subjects.tagPrefix.length), header.text(fields.key));
    return tag === undefined ? { type: 'foreign', reason: 'tag token' } : { type: 'tag.invalidated', tag };
  }
  return { type: 'foreign', reason: 'subject' };
}

function decodeEntry({ subjects, log }: BucketContext, record: LogRecord): BucketEvent {
  header.read(record.payload, record.headerLength);
  const key =
    decodePlainKey(record.subjectBytes, subjects.keyPrefixBytes.length) ??
    decodeKey(record.subject.slice(subjects.keyPrefix.length), header.text(fields.key));
  if (key === undefined) return { type: 'foreign', reason: 'key token' };
  // A marker is a delete, whatever else it looks like.
  if (header.has(fields.markerReason)) return { type: 'entry.deleted', key };
  if (header.has(fields.operation)) {
    const operation = header.text(fields.operation) ?? '';
    if (operation === 'DEL' || operation === 'PURGE') return { type: 'entry.deleted', key };
    if (operation !== 'PUT')
      return { type: 'entry.unreadable', key, reason: `${headerNames.operation}: ${operation.slice(0, 32)}` };
  }
  return decodePut(key, record, record.atMs + log.maxAgeMs);
}

function decodePut(key: string, record: LogRecord, ageLimitMs: number): BucketEvent {
  let expiresAtMs = ageLimitMs;
  let tags: readonly string[] | undefined;
  let contentType: string | undefined;
  let basis: Position | undefined;
  if (header.has(fields.expires)) {
    const at = header.count(fields.expires);
    if (at === undefined) return { type: 'entry.unreadable', key, reason: headerNames.expires };
    expiresAtMs = Math.min(expiresAtMs, at);
  } else if (header.has(fields.ttl)) {
    const ttlMs = parseNatsTtl(header.text(fields.ttl) ?? '');
    if (ttlMs === undefined) return { type: 'entry.unreadable', key, reason: headerNames.ttl };
    // `never` exempts a message from max_age too.
    expiresAtMs = ttlMs === Number.POSITIVE_INFINITY ? ttlMs : Math.min(expiresAtMs, record.atMs + ttlMs);
  }
  // No longer an exact integer, and a hundred thousand years away: what a writer says so is for ever.
  if (expiresAtMs >= Number.MAX_SAFE_INTEGER) expiresAtMs = Number.POSITIVE_INFINITY;
  if (header.has(fields.basis)) {
    basis = header.count(fields.basis);
    if (basis === undefined) return { type: 'entry.unreadable', key, reason: headerNames.basis };
  }
  if (header.has(fields.tags)) {
    tags = parseTags(header.text(fields.tags) ?? '');
    if (tags === undefined) return { type: 'entry.unreadable', key, reason: headerNames.tags };
  }
  // The value is good without its type, and it will stand in HTTP headers: a bad one is left out.
  if (header.has(fields.type)) contentType = knownType(header.text(fields.type) ?? '');
  return { type: 'entry.put', key, value: record.data, expiresAtMs, tags, contentType, basis };
}

/**
 * Content types seen lately. A cache has few and many entries of each: they share one text, which is checked once, and none
 * keeps the header alive that it was cut out of.
 */
const knownTypes = new Map<string, string>();
const knownTypesMax = 1_000;

function knownType(type: string): string | undefined {
  const known = knownTypes.get(type);
  if (known !== undefined || !contentTypeText.test(type)) return known;
  if (knownTypes.size >= knownTypesMax) knownTypes.clear();
  knownTypes.set(type, type);
  return type;
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

/** Letters, digits and most signs of ASCII, which nearly all tags are made of. */
const plainTag = /^[-+./0-9:=@A-Z_a-z]{1,128}$/;

const isTag = (tag: string): boolean => plainTag.test(tag) || isUncommonTag(tag);

const isUncommonTag = (tag: string): boolean =>
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
  return { subject: subjects.keyPrefix + token, fields: fieldsOf(escaped, put), data: value };
}

/** The fields of the last put that said nothing but origin and type; the next one mostly says the same, with the same text. */
let lastPlain = {
  origin: '',
  contentType: undefined as string | undefined,
  fields: formatField(headerNames.origin, ''),
};

function fieldsOf(escaped: string | undefined, put: PutFields): string {
  const isPlain =
    escaped === undefined &&
    put.expiresAtMs === Number.POSITIVE_INFINITY &&
    put.natsTtlMs === undefined &&
    put.tags === undefined &&
    put.basis === undefined;
  if (!isPlain) return formatFields(escaped, put);
  const { origin, contentType } = put;
  if (lastPlain.origin !== origin || lastPlain.contentType !== contentType)
    lastPlain = { origin, contentType, fields: formatFields(undefined, put) };
  return lastPlain.fields;
}

function formatFields(escaped: string | undefined, put: PutFields): string {
  let fields = formatField(headerNames.origin, put.origin);
  if (escaped !== undefined) fields += formatField(headerNames.key, escaped);
  // Beyond the exact integers (year 287,396) an expiry is none, and no reader would accept its digits.
  if (put.expiresAtMs < Number.MAX_SAFE_INTEGER) fields += formatField(headerNames.expires, Math.ceil(put.expiresAtMs));
  if (put.natsTtlMs !== undefined) fields += formatField(headerNames.ttl, formatNatsTtl(put.natsTtlMs));
  if (put.tags !== undefined && put.tags.length > 0) fields += formatField(headerNames.tags, put.tags.join(','));
  if (put.contentType !== undefined) fields += formatField(headerNames.type, put.contentType);
  if (put.basis !== undefined) fields += formatField(headerNames.basis, put.basis);
  return fields;
}

/** The message of a delete: a tombstone that every KV client understands. */
export function encodeDelete(subjects: BucketSubjects, key: string, origin: string, natsTtlMs?: number): LogWrite {
  const { token, escaped } = encodeKey(key);
  let fields = formatField(headerNames.operation, 'DEL') + formatField(headerNames.origin, origin);
  if (escaped !== undefined) fields += formatField(headerNames.key, escaped);
  if (natsTtlMs !== undefined) fields += formatField(headerNames.ttl, formatNatsTtl(natsTtlMs));
  return { subject: subjects.keyPrefix + token, fields, data: new Uint8Array(0) };
}

/** `replacesAll`: the log removes everything before it in the same step, so that clients that know only KV see the same. */
export function encodeClear(subjects: BucketSubjects, origin: string, replacesAll: boolean): LogWrite {
  let fields = formatField(headerNames.origin, origin);
  if (replacesAll) fields += formatField(headerNames.rollup, 'all');
  return { subject: subjects.clear, fields, data: new Uint8Array(0) };
}

export function encodeTagInvalidation(subjects: BucketSubjects, tag: string, origin: string): LogWrite {
  const { token, escaped } = encodeKey(tag);
  let fields = formatField(headerNames.origin, origin);
  if (escaped !== undefined) fields += formatField(headerNames.key, escaped);
  return { subject: subjects.tagPrefix + token, fields, data: new Uint8Array(0) };
}
