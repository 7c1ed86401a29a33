/** From values to bytes and back. A codec decides the type of a cache; it must give equal values for equal bytes. */
import { SluiceError } from '../errors.ts';

export interface Codec<Value> {
  /** Written into the log with each value, so that other readers know what it is. */
  readonly contentType: string;
  encode(value: Value): Uint8Array;
  /** Throws when the bytes are not a value; the entry then reads as absent. */
  decode(bytes: Uint8Array): Value;
}

const decoder = new TextDecoder('utf-8', { fatal: true });

/** Any JSON value. What `JSON.stringify` leaves out is refused, not stored as something else. */
export function json<Value>(): Codec<Value> {
  return {
    contentType: 'application/json',
    encode(value) {
      const text = JSON.stringify(value);
      if (text === undefined) throw new SluiceError('bad-request', `value: ${typeof value} has no JSON form`);
      return Buffer.from(text);
    },
    decode: (bytes) => JSON.parse(decoder.decode(bytes)) as Value,
  };
}

/** Text as UTF-8. */
export function text(): Codec<string> {
  return {
    contentType: 'text/plain; charset=utf-8',
    encode: (value) => Buffer.from(value, 'utf8'),
    decode: (bytes) => decoder.decode(bytes),
  };
}

/** Bytes as they are. The array that a read returns is the cache's own: do not write to it. */
export function bytes(): Codec<Uint8Array> {
  return { contentType: 'application/octet-stream', encode: (value) => value, decode: (value) => value };
}
