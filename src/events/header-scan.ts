/**
 * Finds the fields that a decoder asks for in a header block, in one pass over its bytes. Replay decodes millions of blocks,
 * and making text of each costs more than everything else about it. The rules are those of `readField`: names are
 * case-sensitive, the first field of a name counts, its value is trimmed.
 */
import { standsAt } from '../base/bytes.ts';

export interface HeaderScan {
  /** Reads the block that so many bytes begin with; 0 is a block without fields. What the last one had is forgotten. */
  read(bytes: Uint8Array, length: number): void;
  /** Fields are numbered as the names that the scan was made with. */
  has(field: number): boolean;
  /** The value in memory of its own, or undefined. The same value twice in a row is the same text. */
  text(field: number): string | undefined;
  /** The value of a field that is 1 to 16 digits and an exact integer, else undefined. */
  count(field: number): number | undefined;
}

const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const colon = 0x3a;
const space = 0x20;
const zero = 0x30;

const isSpace = (byte: number | undefined): boolean =>
  byte === space || (byte !== undefined && byte >= 0x09 && byte <= carriageReturn);

const nothing: Uint8Array = new Uint8Array(0);

export function createHeaderScan(names: readonly string[]): HeaderScan {
  const wanted = names.map((name) => Uint8Array.from(Buffer.from(name, 'latin1')));
  /** Index: length of the name. Few lengths have more than one. */
  const byLength: number[][] = [];
  for (const [field, name] of wanted.entries()) (byLength[name.length] ??= []).push(field);
  /** By field: where its value begins and ends; 0: the block does not have it. */
  const starts = new Uint32Array(names.length);
  const ends = new Uint32Array(names.length);
  /** By field: the value that was last made text of. Many are the same from record to record. */
  const lasts: ({ readonly bytes: Buffer; readonly text: string } | undefined)[] = [];
  let block: Uint8Array = nothing;
  let blockEnd = 0;

  function note(nameAt: number, colonAt: number, lineEnd: number): void {
    for (const field of byLength[colonAt - nameAt] ?? []) {
      if (starts[field] !== 0 || !standsAt(block, nameAt, wanted[field] ?? nothing)) continue;
      starts[field] = colonAt + 1;
      ends[field] = valueEnd(lineEnd);
      return;
    }
  }

  /** A value ends with both characters of a line end; it may hold each of them alone. */
  function valueEnd(lineEnd: number): number {
    let end = lineEnd;
    while (end < blockEnd && (block[end] !== lineFeed || block[end - 1] !== carriageReturn)) end += 1;
    return end < blockEnd ? end - 1 : end;
  }

  function trim(field: number): void {
    let start = starts[field] ?? 0;
    let end = ends[field] ?? 0;
    while (start < end && isSpace(block[start])) start += 1;
    while (end > start && isSpace(block[end - 1])) end -= 1;
    starts[field] = start;
    ends[field] = end;
  }

  const isLast = (bytes: Buffer, start: number, end: number): boolean =>
    bytes.length === end - start && standsAt(block, start, bytes);

  return {
    read(next, length) {
      for (let field = 0; field < starts.length; field += 1) starts[field] = 0;
      if (length === 0) return;
      block = next;
      blockEnd = length;
      // The first line is the version.
      let index = 0;
      while (index < length && next[index] !== lineFeed) index += 1;
      for (index += 1; index < length; index += 1) {
        const lineAt = index;
        while (index < length && next[index] !== colon && next[index] !== lineFeed) index += 1;
        const colonAt = index;
        while (index < length && next[index] !== lineFeed) index += 1;
        if (colonAt < index) note(lineAt, colonAt, index);
      }
    },
    has: (field) => starts[field] !== 0,
    text(field) {
      if (starts[field] === 0) return undefined;
      trim(field);
      const start = starts[field] ?? 0;
      const end = ends[field] ?? 0;
      let last = lasts[field];
      if (last === undefined || !isLast(last.bytes, start, end)) {
        const bytes = Buffer.from(block.subarray(start, end));
        last = { bytes, text: bytes.toString('utf8').trim() };
        lasts[field] = last;
      }
      return last.text;
    },
    count(field) {
      trim(field);
      const start = starts[field] ?? 0;
      const end = ends[field] ?? 0;
      if (end === start || end - start > 16) return undefined;
      let value = 0;
      for (let index = start; index < end; index += 1) {
        const digit = (block[index] ?? 0) - zero;
        if (digit < 0 || digit > 9) return undefined;
        value = 10 * value + digit;
      }
      return Number.isSafeInteger(value) ? value : undefined;
    },
  };
}
