/**
 * Runs a target: first each item of its corpus as it is, then mutations of them, until a case breaks a promise or the given
 * number or time is over. Case `n` of seed `s` is the same bytes in every run, whatever came before it.
 */
import { createSeededRandom } from '../../src/testing/seeded-random.ts';
import { mutate } from './mutate.ts';
import type { FuzzTarget } from './target.ts';

export interface Finding {
  readonly target: string;
  readonly seed: number;
  /** -1 - index for an item of the corpus itself. */
  readonly case: number;
  readonly bytes: Buffer;
  readonly error: unknown;
}

export interface FuzzRun {
  readonly cases: number;
  readonly finding: Finding | undefined;
}

export interface FuzzOptions {
  readonly seed: number;
  readonly corpus: readonly Buffer[];
  readonly firstCase?: number;
  /** Asked before each mutation. */
  readonly goesOn: (caseNumber: number) => boolean;
}

/** A case that takes longer has hung: the slowest honest one takes milliseconds. */
const hangMs = 5_000;

export class Hang extends Error {
  override readonly name = 'Hang';
}

/** What the case throws, or undefined. */
export async function tryCase(target: FuzzTarget, bytes: Buffer): Promise<unknown> {
  const startedMs = performance.now();
  try {
    // A copy: code under test that writes into its input would change the corpus.
    const running = target.run(Buffer.from(bytes));
    if (running instanceof Promise) await running;
  } catch (error) {
    return error ?? new Error(`threw ${String(error)}`);
  }
  const tookMs = performance.now() - startedMs;
  return tookMs > hangMs ? new Hang(`took ${Math.round(tookMs)} ms`) : undefined;
}

export async function fuzz(target: FuzzTarget, options: FuzzOptions): Promise<FuzzRun> {
  const { seed, corpus } = options;
  const tokens = target.dictionary.map((token) => Buffer.from(token, 'utf8'));
  let cases = 0;
  const finding = (number: number, bytes: Buffer, error: unknown): FuzzRun => ({
    cases,
    finding: { target: target.name, seed, case: number, bytes, error },
  });
  for (const [index, bytes] of corpus.entries()) {
    cases += 1;
    const error = await tryCase(target, bytes);
    if (error !== undefined) return finding(-1 - index, bytes, error);
  }
  for (let number = options.firstCase ?? 0; options.goesOn(number); number += 1) {
    cases += 1;
    const bytes = caseOf(seed, number, corpus, tokens);
    const error = await tryCase(target, bytes);
    if (error !== undefined) return finding(number, bytes, error);
  }
  return { cases, finding: undefined };
}

function caseOf(seed: number, number: number, corpus: readonly Buffer[], tokens: readonly Buffer[]): Buffer {
  return mutate(createSeededRandom(Math.imul(seed, 0x9e3779b1) + Math.imul(number + 1, 0x85ebca6b)), corpus, tokens);
}

/** Smaller bytes that fail in the same way: pieces are taken out as long as that goes, then bytes become plain ones. */
export async function minimise(target: FuzzTarget, found: Buffer, error: unknown): Promise<Buffer> {
  const kind = kindOf(error);
  const fails = async (bytes: Buffer): Promise<boolean> => kindOf(await tryCase(target, bytes)) === kind;
  let best = found;
  for (let size = best.length >> 1; size >= 1; size >>= 1) {
    for (let from = 0; from < best.length; ) {
      const shorter = Buffer.concat([best.subarray(0, from), best.subarray(from + size)]);
      if (await fails(shorter)) best = shorter;
      else from += size;
    }
  }
  return best;
}

/** Findings of one kind are one fault: the error's name, and its words without what differs from case to case. */
export function kindOf(error: unknown): string | undefined {
  if (error === undefined) return undefined;
  if (!(error instanceof Error)) return typeof error;
  return `${error.name}: ${error.message.replace(/["'`][\s\S]*|\d[\s\S]*/, '').slice(0, 60)}`;
}
