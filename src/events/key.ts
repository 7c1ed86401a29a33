/**
 * Keys and their subject tokens.
 *
 * A key that NATS KV accepts is its own token, so that Sluice and every other KV client mean the same entry. Any other
 * key is escaped byte by byte, and a long escaped token is replaced by a hash. The mapping is injective: a token that
 * `encodeKey` would never produce is not decoded at all, because two tokens for one key would be two truths.
 */
import { createHash } from 'node:crypto';
import { asBuffer } from '../base/bytes.ts';
import { SluiceError } from '../errors.ts';
import { ownText } from './own-text.ts';

/** Longest key, in bytes of UTF-8. */
export const keyBytesMax = 1024;
/** Longest escaped token, in bytes; above it the token is a hash. A key that is its own token is never hashed. */
export const escapedTokenBytesMax = 256;

const hashPrefix = '=sha256-';
/** NATS KV keeps such names for itself. */
const reservedPrefix = '_kv';
const kvCharacters: ReadonlySet<string> = new Set(
  '-/_=.abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789',
);
/** By character code, or byte: 1 where NATS KV takes it. */
const isKvCode = Uint8Array.from({ length: 256 }, (_, code) => (kvCharacters.has(String.fromCharCode(code)) ? 1 : 0));
const dot = 0x2e;
const equalsSign = 0x3d;
const escapeSequence = /=[0-9A-F]{2}/;
const hashToken = /^=sha256-[0-9a-f]{64}$/;
const loneSurrogate = /\p{Surrogate}/u;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export interface KeyToken {
  /** What follows `$KV.<bucket>.` in the subject. */
  readonly token: string;
  /** The escaped key, to travel in the header `Sluice-Key`, when the token is only a hash of it. */
  readonly escaped?: string;
}

/** Throws `bad-key` unless the key is 1 to 1,024 bytes of well-formed UTF-8. */
export function validateKey(key: unknown): string {
  if (typeof key !== 'string' || key === '') throw new SluiceError('bad-key', 'key: must be a non-empty string');
  if (loneSurrogate.test(key))
    throw new SluiceError('bad-key', 'key: contains a lone surrogate, which is not Unicode text');
  const bytes = key.length > keyBytesMax / 3 ? Buffer.byteLength(key) : key.length;
  if (bytes > keyBytesMax) {
    throw new SluiceError('bad-key', `key: ${bytes} bytes of UTF-8; at most ${keyBytesMax} are allowed`);
  }
  return key;
}

/** The token of a valid key. */
export function encodeKey(key: string): KeyToken {
  if (isOwnToken(key)) return { token: key };
  const escaped = escapeKey(key);
  if (escaped.length <= escapedTokenBytesMax) return { token: escaped };
  return { token: hashPrefix + createHash('sha256').update(key, 'utf8').digest('hex'), escaped };
}

/**
 * The key of a token, or undefined when no key has that token. `escaped` is the header `Sluice-Key`, which a hashed
 * token needs and which must match its hash.
 */
export function decodeKey(token: string, escaped?: string): string | undefined {
  if (isOwnToken(token)) return token.length <= keyBytesMax ? ownText(token) : undefined;
  const source = token.startsWith(hashPrefix) && hashToken.test(token) ? escaped : token;
  if (source === undefined || source === '') return undefined;
  const key = unescapeKey(source);
  return key !== undefined && key !== '' && Buffer.byteLength(key) <= keyBytesMax && encodeKey(key).token === token
    ? key
    : undefined;
}

/**
 * The key that is its own token, from the bytes of a subject that it ends; undefined for one with an equals sign, and for whatever
 * else `decodeKey` has to look at. Each event of a replay passes here.
 */
export function decodePlainKey(subject: Uint8Array, from: number): string | undefined {
  const end = subject.length;
  if (from >= end || end - from > keyBytesMax) return undefined;
  // As if a dot stood before it, so that a leading dot is a double one.
  let previous = dot;
  for (let index = from; index < end; index += 1) {
    const code = subject[index] ?? 0;
    if (isKvCode[code] !== 1 || code === equalsSign || (code === dot && previous === dot)) return undefined;
    previous = code;
  }
  if (previous === dot) return undefined;
  const key = asBuffer(subject).toString('latin1', from, end);
  return key.startsWith(reservedPrefix) ? undefined : key;
}

function isOwnToken(key: string): boolean {
  // As if a dot stood before it, so that a leading dot is a double one.
  let previous = dot;
  let hasEqualsSign = false;
  for (let index = 0; index < key.length; index += 1) {
    const code = key.charCodeAt(index);
    if (isKvCode[code] !== 1 || (code === dot && previous === dot)) return false;
    if (code === equalsSign) hasEqualsSign = true;
    previous = code;
  }
  if (previous === dot || key.startsWith(reservedPrefix)) return false;
  return !hasEqualsSign || (!escapeSequence.test(key) && !key.startsWith(hashPrefix));
}

/** Every byte outside `[A-Za-z0-9_/-]` as `=HH`; also the first byte of a leading `_kv`, which NATS KV reserves. */
function escapeKey(key: string): string {
  let escaped = '';
  for (const byte of Buffer.from(key, 'utf8')) escaped += isSafeByte(byte) ? String.fromCharCode(byte) : hex(byte);
  return escaped.startsWith(reservedPrefix) ? `=5F${escaped.slice(1)}` : escaped;
}

const hex = (byte: number): string => `=${byte.toString(16).toUpperCase().padStart(2, '0')}`;

const isSafeByte = (byte: number): boolean =>
  (byte >= 0x30 && byte <= 0x39) ||
  (byte >= 0x41 && byte <= 0x5a) ||
  (byte >= 0x61 && byte <= 0x7a) ||
  byte === 0x2d ||
  byte === 0x2f ||
  byte === 0x5f;

function unescapeKey(escaped: string): string | undefined {
  const bytes = Buffer.allocUnsafe(escaped.length);
  let length = 0;
  for (let index = 0; index < escaped.length; index += 1) {
    const code = escaped.charCodeAt(index);
    if (code === 0x3d) {
      const pair = escaped.slice(index + 1, index + 3);
      if (!/^[0-9A-F]{2}$/.test(pair)) return undefined;
      bytes[length] = Number.parseInt(pair, 16);
      index += 2;
    } else if (isSafeByte(code)) {
      bytes[length] = code;
    } else {
      return undefined;
    }
    length += 1;
  }
  try {
    return utf8.decode(bytes.subarray(0, length));
  } catch {
    return undefined;
  }
}
