/** Short ways to say what is put into a store, and what is in it. */
import type { Entry, EntryPut, EntryStore } from '../../src/store/entry-store.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export const bytesOf = (text: string): Uint8Array => encoder.encode(text);
export const textOf = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : decoder.decode(bytes);

/** A put that never expires and has no tags, unless said otherwise. */
export function putOf(key: string, value = 'value', fields: Partial<Omit<EntryPut, 'key' | 'value'>> = {}): EntryPut {
  return {
    key,
    value: bytesOf(value),
    expiresAtMs: Number.POSITIVE_INFINITY,
    tags: undefined,
    contentType: undefined,
    basis: undefined,
    ...fields,
  };
}

/** The text of an entry's value; undefined for no entry. */
export const valueIn = (entry: Pick<Entry, 'value'> | undefined): string | undefined => textOf(entry?.value);

/** Keys in order of their names. */
export const keysOf = (store: EntryStore): string[] => [...store.entries()].map((entry) => entry.key).sort();
