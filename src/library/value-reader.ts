/**
 * From an entry's bytes to the value that its user sees, decoded once per revision.
 *
 * Several opened caches share one copy. The first codec keeps its values in the entries themselves, which costs a hit nothing;
 * any other keeps its own beside them, so that no one is handed a value of another's type.
 */
import { messageOf } from '../errors.ts';
import { type Entry, notDecoded } from '../store/entry-store.ts';
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

/** Stands for the value of an entry whose bytes the codec refused. */
const refused: unique symbol = Symbol('refused');

export function createValueReader<Value>(options: ValueReaderOptions<Value>): ValueReader<Value> {
  const { codec } = options;
  const others = new WeakMap<Entry, unknown>();
  let undecodable = 0;

  function decode(entry: Entry): unknown {
    try {
      return codec.decode(entry.value);
    } catch (error) {
      undecodable += 1;
      options.onUndecodable(
        `the value of ${JSON.stringify(entry.key.slice(0, 64))} cannot be decoded: ${messageOf(error)}`,
      );
      return refused;
    }
  }

  /** Kept out of the way of a hit, which only compares. */
  function decodeFirst(entry: Entry): Value | undefined {
    if (entry.decoded === notDecoded) entry.decoded = decode(entry);
    return entry.decoded === refused ? undefined : (entry.decoded as Value);
  }

  function firstValueOf(entry: Entry | undefined): Value | undefined {
    if (entry === undefined) return undefined;
    const { decoded } = entry;
    return decoded === notDecoded || decoded === refused ? decodeFirst(entry) : (decoded as Value);
  }

  function otherValueOf(entry: Entry | undefined): Value | undefined {
    if (entry === undefined) return undefined;
    if (!others.has(entry)) others.set(entry, decode(entry));
    const value = others.get(entry);
    return value === refused ? undefined : (value as Value);
  }

  return {
    toValue: options.isFirstCodec ? firstValueOf : otherValueOf,
    get undecodable() {
      return undecodable;
    },
  };
}
