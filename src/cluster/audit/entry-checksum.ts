/**
 * The checksum by which two holders of an entry show that they have the same one: the first 16 hex digits of the SHA-256 of
 * `[contentType, tags, expiresAtMs, basis]` as JSON without spaces, a newline, and the value. docs/wire-format.md has an example.
 */
import { createHash } from 'node:crypto';
import type { Position } from '../../events/record.ts';
import { hashText, mix32 } from '../../placement/hash.ts';
import { basisOf, type EntryPut } from '../../store/entry.ts';

const digits = 16;

/** The checksum of what a put brings, or of an entry that a store holds. */
export function entryChecksum(put: EntryPut, revision: Position): string {
  const { contentType = null, tags = [], expiresAtMs, value } = put;
  const head = [contentType, tags, Number.isFinite(expiresAtMs) ? expiresAtMs : null, basisOf(put, revision)];
  return createHash('sha256')
    .update(`${JSON.stringify(head)}\n`)
    .update(value)
    .digest('hex')
    .slice(0, digits);
}

/** One of `of` equal shares of all keys. */
export interface KeyShare {
  readonly of: number;
  /** 0 to `of` - 1. */
  readonly at: number;
}

/** Shares go by the lower bits of the hash whose upper bits choose the partition, so that every partition has all of them. */
export const isInShare = (key: string, { of, at }: KeyShare): boolean =>
  of === 1 || mix32(hashText(key)) % of === at % of;
