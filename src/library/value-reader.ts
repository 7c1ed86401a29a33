/**
 * From an entry's bytes to the value that its user sees, decoded once per revision.
 *
 * Several opened caches share one copy. The first codec keeps its values in the entries themselves, which costs a hit nothing;
 * any other keeps its own beside them, so that no one is handed a value of another's type.
 */
import { messageOf } from '../errors.ts';
import type { Entry } from '../store/entry-store.ts';
import type { Codec } from './codec.ts';

export interface ValueReader<Value> {
  /** undefined: there is no entry, or its bytes are not a value of this codec. */
  toValue(entry: Entry | undefined): Value | undefined;
  /** Entries whose bytes the codec refused. */
  readonly undecodable: number;
}

export interface ValueReaderOptions<Value> {
  readonly codec: Codec<Value>;
  readonly isFirstCodec: boolean;
  readonly onUndecodable: (message: string) => void;
}

export function createValueReader<Value>(options: ValueReaderOptions<Value>): ValueReader<Value> {
  const { codec } = options;
  /** Values of entries that belong to the first codec. */
  const others = new WeakMap<Entry, Value>();
  /** Entries without a value: their bytes were refused, or mean undefined. */
  const without = new WeakSet<Entry>();
  let undecodable = 0;

  function decode(entry: Entry): Value | undefined {
    if (without.has(entry)) return undefined;
    let value: Value | undefined;
    try {
      value = codec.decode(entry.value);
    } catch (error) {
      undecodable += 1;
      options.onUndecodable(
        `the value of ${JSON.stringify(entry.key.slice(0, 64))} cannot be decoded: ${messageOf(error)}`,
      );
    }
    if (value === undefined) without.add(entry);
    return value;
  }

  /** Kept out of the way of a hit, which only compares with undefined; anything else takes the engine several times as long. */
  function decodeFirst(entry: Entry): Value | undefined {
    const value = decode(entry);
    entry.decoded = value;
    return value;
  }

  function firstValueOf(entry: Entry | undefined): Value | undefined {
    if (entry === undefined) return undefined;
    const { decoded } = entry;
    return decoded === undefined ? decodeFirst(entry) : (decoded as Value);
  }

  function otherValueOf(entry: Entry | undefined): Value | undefined {
    if (entry === undefined) return undefined;
    const known = others.get(entry);
    if (known !== undefined) return known;
    const value = decode(entry);
    if (value !== undefined) others.set(entry, value);
    return value;
  }

  return {
    toValue: options.isFirstCodec ? firstValueOf : otherValueOf,
    get undecodable() {
      return undecodable;
    },
  };
}
