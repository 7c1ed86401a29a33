/**
 * The header `Nats-TTL` (ADR-43): whole seconds, a Go duration such as `1h30m`, or `never`.
 */

const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  '\u00b5s': 1e-3,
  '\u03bcs': 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};
/** One part of Go's `time.ParseDuration`; the micro sign and the Greek letter both mean micro. */
const part = /(\d+\.?\d*|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/g;
const goDuration = new RegExp(`^\\+?(?:${part.source})+$`);

/** The duration in ms, Infinity for `never` (in any case), or undefined when the text is neither. */
export function parseNatsTtl(text: string): number | undefined {
  if (text.length > 64) return undefined;
  if (text.toLowerCase() === 'never') return Number.POSITIVE_INFINITY;
  if (/^\d{1,15}$/.test(text)) return Number(text) * 1000;
  if (!goDuration.test(text)) return undefined;
  let totalMs = 0;
  for (const [, amount, unit] of text.matchAll(part)) totalMs += Number(amount) * (unitMs[unit ?? ''] ?? Number.NaN);
  return Number.isFinite(totalMs) ? totalMs : undefined;
}

/** The header value for a remaining life: whole seconds rounded up, at least 1 (the server's minimum). */
export const formatNatsTtl = (remainingMs: number): string => String(Math.max(1, Math.ceil(remainingMs / 1000)));
