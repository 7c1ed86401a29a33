/**
 * Durations and byte counts as people write them ("30s", "64MiB") and as the code holds them (integers of ms and bytes).
 * A number without a unit is taken only where it cannot be misread; nonsense is refused with the rule.
 */
import { SluiceError } from '../errors.ts';

const durationUnits: Readonly<Record<string, number>> = {
  d: 86_400_000,
  h: 3_600_000,
  m: 60_000,
  s: 1000,
  ms: 1,
};

const byteUnits: Readonly<Record<string, number>> = {
  TiB: 2 ** 40,
  GiB: 2 ** 30,
  MiB: 2 ** 20,
  KiB: 2 ** 10,
  TB: 1e12,
  GB: 1e9,
  MB: 1e6,
  kB: 1e3,
  B: 1,
};

export const durationRule = 'a duration such as 500ms, 30s, 5m, 24h or 7d (a plain number counts milliseconds)';
export const bytesRule = 'a size such as 64MiB, 1GiB, 1kB or 1024 (bytes)';

/** Milliseconds. A string needs a unit (only "0" does not); a number is milliseconds. Throws bad-request. */
export function parseDuration(input: string | number): number {
  return readDuration(input) ?? refuse('duration', input, durationRule);
}

/** Bytes. A string may have a unit (kB = 1,000, KiB = 1,024); a number is bytes. Throws bad-request. */
export function parseBytes(input: string | number): number {
  return readBytes(input) ?? refuse('size', input, bytesRule);
}

/** The largest unit that says it exactly: 90000 → "90s". */
export function formatDuration(ms: number): string {
  return format(ms, durationUnits, (factor) => factor >= 1, 'ms');
}

/** The largest binary unit that says it exactly: 67108864 → "64MiB", 1000 → "1000B". */
export function formatBytes(bytes: number): string {
  return format(bytes, byteUnits, (factor) => Number.isInteger(Math.log2(factor)), 'B');
}

/** As `parseDuration`, but undefined for nonsense. */
export function readDuration(input: string | number): number | undefined {
  if (typeof input === 'number') return wholeNumber(input);
  return input.trim() === '0' ? 0 : readAmount(input, durationUnits);
}

/** As `parseBytes`, but undefined for nonsense. */
export function readBytes(input: string | number): number | undefined {
  if (typeof input === 'number') return wholeNumber(input);
  return /^\s*\d+\s*$/.test(input) ? wholeNumber(Number(input)) : readAmount(input, byteUnits);
}

function readAmount(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^\s*(\d+(?:\.\d+)?) ?([A-Za-z]+)\s*$/.exec(text);
  const factor = Object.hasOwn(units, match?.[2] ?? '') ? units[match?.[2] ?? ''] : undefined;
  if (match === null || factor === undefined) return undefined;
  const exact = Number(match[1]) * factor;
  const rounded = Math.round(exact);
  return Math.abs(exact - rounded) < 1e-6 ? wholeNumber(rounded) : undefined;
}

function wholeNumber(value: number): number | undefined {
  return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

function format(
  amount: number,
  units: Readonly<Record<string, number>>,
  isUsed: (factor: number) => boolean,
  smallest: string,
): string {
  if (amount === 0) return `0${smallest}`;
  const found = Object.entries(units).find(([, factor]) => isUsed(factor) && amount % factor === 0);
  return found === undefined ? `${amount}${smallest}` : `${amount / found[1]}${found[0]}`;
}

function refuse(what: string, value: string | number, rule: string): never {
  throw new SluiceError('bad-request', `${what}: ${JSON.stringify(value)}: must be ${rule}`, {
    details: { field: what, value, rule },
  });
}
