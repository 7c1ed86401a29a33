/**
 * Mutation: from the items of a corpus to bytes that nobody has thought of. The same randomness gives the same bytes, so a case
 * is repeated by its seed and number.
 */
import type { SeededRandom } from '../../src/testing/seeded-random.ts';

/** No case is larger: enough for every limit of a text to be passed, and for bad expressions to show. */
export const caseBytesMax = 64 * 1024;

/** Bytes that parsers stumble over. */
const oddBytes = [
  0, 9, 10, 13, 32, 34, 37, 44, 45, 46, 47, 48, 57, 58, 61, 91, 92, 93, 123, 125, 127, 128, 192, 237, 255,
];
const oddNumbers =
  '0 -0 -1 1 00 01 1e3 1e309 -1e309 0.1 9007199254740991 9007199254740992 18446744073709551616 2147483648 NaN Infinity null {} [] "" true'.split(
    ' ',
  );

type Mutation = (bytes: Buffer, context: Context) => Buffer;

interface Context {
  readonly random: SeededRandom;
  readonly tokens: readonly Buffer[];
  readonly corpus: readonly Buffer[];
}

const numbers = oddNumbers.map((text) => Buffer.from(text));

/** A stretch of the bytes; both ends may be the same. */
function stretch(bytes: Buffer, random: SeededRandom, lengthMax = bytes.length): [from: number, to: number] {
  const from = random.below(bytes.length + 1);
  return [from, Math.min(bytes.length, from + random.below(Math.min(lengthMax, bytes.length - from) + 1))];
}

function replace(bytes: Buffer, from: number, to: number, by: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, from), by, bytes.subarray(to)]);
}

function changed(bytes: Buffer, at: number, value: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = value;
  return copy;
}

const mutations: readonly Mutation[] = [
  function flipBit(bytes, { random }) {
    const at = random.below(bytes.length);
    return changed(bytes, at, (bytes[at] ?? 0) ^ (1 << random.below(8)));
  },
  function setByte(bytes, { random }) {
    return changed(bytes, random.below(bytes.length), random.pick(oddBytes));
  },
  function insertBytes(bytes, { random }) {
    const at = random.below(bytes.length + 1);
    return replace(bytes, at, at, Buffer.from(Array.from({ length: 1 + random.below(4) }, () => random.below(256))));
  },
  function remove(bytes, { random }) {
    return replace(bytes, ...stretch(bytes, random, 16), Buffer.alloc(0));
  },
  function truncate(bytes, { random }) {
    return bytes.subarray(0, random.below(bytes.length + 1));
  },
  function repeat(bytes, { random }) {
    const [from, to] = stretch(bytes, random, 64);
    const piece = bytes.subarray(from, to);
    const times = random.below(16) === 0 ? random.below(caseBytesMax / Math.max(1, piece.length)) : random.below(8);
    return replace(bytes, to, to, Buffer.concat(Array.from({ length: times }, () => piece)));
  },
  function splice(bytes, { random, corpus }) {
    const other = random.pick(corpus);
    return replace(bytes, ...stretch(bytes, random), other.subarray(...stretch(other, random)));
  },
  function insertToken(bytes, { random, tokens }) {
    const at = random.below(bytes.length + 1);
    return replace(bytes, at, at, random.pick(tokens));
  },
  function overwriteByToken(bytes, { random, tokens }) {
    return replace(bytes, ...stretch(bytes, random, 12), random.pick(tokens));
  },
  /** A number, or a word in quotes, by another one: what keeps a structure whole. */
  function replaceScalar(bytes, { random, tokens }) {
    const text = bytes.toString('latin1');
    const scalars = [...text.matchAll(/-?\d+(?:\.\d+)?|"[^"\n]*"|true|false|null/g)];
    if (scalars.length === 0) return bytes;
    const found = random.pick(scalars);
    return replace(bytes, found.index, found.index + found[0].length, random.pick([...numbers, ...tokens]));
  },
  /** Lines in another order, twice, or not at all. */
  function shuffleLines(bytes, { random }) {
    const lines = bytes.toString('latin1').split('\n');
    const line = lines.splice(random.below(lines.length), 1)[0] ?? '';
    const times = random.below(3);
    for (let time = 0; time < times; time += 1) lines.splice(random.below(lines.length + 1), 0, line);
    return Buffer.from(lines.join('\n'), 'latin1');
  },
];

/** One item of the corpus with one to eight changes, few more often than many. */
export function mutate(random: SeededRandom, corpus: readonly Buffer[], tokens: readonly Buffer[]): Buffer {
  const context: Context = { random, corpus, tokens: [...tokens, ...numbers] };
  let bytes = random.pick(corpus);
  const count = 1 + Math.min(random.below(8), random.below(8));
  for (let done = 0; done < count; done += 1) {
    if (bytes.length === 0) bytes = random.pick(context.tokens);
    bytes = random.pick(mutations)(bytes, context).subarray(0, caseBytesMax);
  }
  return bytes;
}
