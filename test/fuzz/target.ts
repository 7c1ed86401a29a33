/**
 * What is fuzzed: a function of bytes that throws only when a promise is broken. Refusing the bytes is no broken promise, as
 * long as the refusal is an error of ours; a defect (any other exception), an accepted value out of its bounds, and one that
 * does not survive being written and read again are.
 */
import { isDeepStrictEqual } from 'node:util';
import { isSluiceError } from '../../src/errors.ts';

export interface FuzzTarget {
  readonly name: string;
  /** What it promises, in one sentence. */
  readonly promise: string;
  /** Pieces that mean something to the code under test; mutations put them in. */
  readonly dictionary: readonly string[];
  /** Cases of the short form. */
  readonly cases: number;
  /** Throws, or rejects, when a promise is broken. */
  readonly run: (bytes: Buffer) => void | Promise<void>;
  /** Frees what `run` has opened. */
  readonly close?: () => Promise<void>;
}

export class BrokenPromise extends Error {
  override readonly name = 'BrokenPromise';
}

export function promise(holds: boolean, what: () => string): void {
  if (!holds) throw new BrokenPromise(what());
}

/** Equal in all parts; only 0 and -0, which JSON does not tell apart, are one number. */
export function promiseSame(actual: unknown, expected: unknown, what: string): void {
  promise(
    isDeepStrictEqual(actual, expected) || isDeepStrictEqual(withoutMinus(actual), withoutMinus(expected)),
    () => `${what}: ${show(actual)} instead of ${show(expected)}`,
  );
}

function withoutMinus(value: unknown): unknown {
  if (value === 0) return 0;
  if (Array.isArray(value)) return value.map(withoutMinus);
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, withoutMinus(field)]));
}

/** An integer from `min` that a double holds exactly. */
export function promiseCount(value: unknown, what: string, min = 0, max = Number.MAX_SAFE_INTEGER): void {
  const isCount = Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max;
  promise(isCount, () => `${what}: ${String(value)} is no integer from ${min} to ${max}`);
}

/** What the work gives, or undefined when it refused with an error of ours. `internal` is a defect, and so is any other error. */
export function unlessRefused<Result>(work: () => Result): Result | undefined {
  try {
    return work();
  } catch (error) {
    if (isSluiceError(error) && error.code !== 'internal') return undefined;
    throw error;
  }
}

/** The parts of an input: how a target that takes several texts divides its bytes. */
export function splitLines(bytes: Buffer, count: number): string[] {
  const lines = bytes.toString('utf8').split('\n');
  return [...lines.slice(0, count - 1), lines.slice(count - 1).join('\n')];
}

function show(value: unknown): string {
  const text = JSON.stringify(value, (_, field: unknown) =>
    typeof field === 'number' && !Number.isFinite(field) ? String(field) : field,
  );
  return text === undefined ? String(value) : text.slice(0, 300);
}
