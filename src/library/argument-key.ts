/**
 * The key of a call by its arguments. Two calls that differ must never share a key, and JSON makes many things equal: NaN and
 * null, a Map and {}. So only what JSON says exactly is taken; for the rest the user names the key.
 */
import { SluiceError } from '../errors.ts';

/** Throws `bad-request` for an argument that JSON does not say exactly. `undefined` at the end counts as not given. */
export function keyOfArguments(args: readonly unknown[]): string {
  let count = args.length;
  while (count > 0 && args[count - 1] === undefined) count -= 1;
  const given = args.slice(0, count);
  for (const [index, argument] of given.entries()) {
    if (!isExact(argument, 0)) {
      throw new SluiceError(
        'bad-request',
        `argument ${index + 1} of a memoized call has no exact JSON form; give memoize a \`key\` function`,
      );
    }
  }
  return JSON.stringify(given);
}

/** Deeper than any sensible argument; also ends at a value that contains itself. */
const depthMax = 32;

function isExact(value: unknown, depth: number): boolean {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true;
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || depth > depthMax) return false;
  if (Array.isArray(value)) return Array.from(value).every((item) => isExact(item, depth + 1));
  const prototype: unknown = Object.getPrototypeOf(value);
  if ((prototype !== Object.prototype && prototype !== null) || 'toJSON' in value) return false;
  return Object.values(value).every((item) => item === undefined || isExact(item, depth + 1));
}
