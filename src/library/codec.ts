/** From values to bytes and back. A codec decides the type of a cache; it must give equal values for equal bytes. */
import { messageOf, SluiceError } from '../errors.ts';

export interface Codec<Value> {
  /** Written into the log with each value, so that other readers know what it is. */
  readonly contentType: string;
  encode(value: Value): Uint8Array;
  /** Throws when the bytes are not a value; the entry then reads as absent. */
  decode(bytes: Uint8Array): Value;
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const jsonCodec: Codec<unknown> = {
  contentType: 'application/json',
  encode(value) {
    let encoded: string | undefined;
    try {
      encoded = JSON.stringify(value);
    } catch (error) {
      throw new SluiceError('bad-request', `value: has no JSON form: ${messageOf(error)}`, { cause: error });
    }
    if (encoded === undefined) throw new SluiceError('bad-request', `value: ${typeof value} has no JSON form`);
    return Buffer.from(encoded);
  },
  decode: (encoded) => JSON.parse(decoder.decode(encoded)),
};

const textCodec: Codec<string> = {
  contentType: 'text/plain; charset=utf-8',
  encode(value) {
    if (typeof value !== 'string') throw new SluiceError('bad-request', `value: must be a text, not ${typeof value}`);
    return Buffer.from(value, 'utf8');
  },
  decode: (encoded) => decoder.decode(encoded),
};

const bytesCodec: Codec<Uint8Array> = {
  contentType: 'application/octet-stream',
  encode(value) {
    if (!(value instanceof Uint8Array))
      throw new SluiceError('bad-request', `value: must be bytes (a Uint8Array), not ${typeof value}`);
    // Copied, for the caller may use its array again before the log has acknowledged. A small one shares its memory with others,
    // which costs far less than memory of its own; whoever keeps it longer than a write copies it.
    const { buffer, byteOffset, length } = Buffer.from(value);
    return new Uint8Array(buffer, byteOffset, length);
  },
  decode: (encoded) => encoded,
};

// Each is one object, so that caches opened with it share what was decoded.

/** Any JSON value. What `JSON.stringify` leaves out is refused, not stored as something else. */
export const json = <Value>(): Codec<Value> => jsonCodec as Codec<Value>;

/** Text as UTF-8. */
export const text = (): Codec<string> => textCodec;

/** Bytes as they are. The array that a read returns is the cache's own: do not write to it. */
export const bytes = (): Codec<Uint8Array> => bytesCodec;
