/**
 * The pulse: what a node says of itself four times a second, over plain NATS.
 *
 * A pulse is volatile and lossy, so each one is complete in itself and nothing may depend on having seen the one before.
 * Only when readiness does not fit, a pulse carries a part of it, another part each time; `mergeReady` puts them together.
 * Decoding is total: it never throws, whatever arrives.
 */
import { SluiceError } from '../errors.ts';
import type { Position } from '../events/record.ts';
import {
  isCount,
  isId,
  isObject,
  isOneOf,
  isText,
  isTime,
  type PlainObject,
  type Rule,
  type Rules,
  readFieldsOf,
} from '../state/shape.ts';
import { parseRanges } from './ranges.ts';

export const pulseBytesMax = 8 * 1024;
export const pulseVersion = 1;
const states = ['starting', 'ready', 'leaving'] as const;

export type PulseState = (typeof states)[number];

export interface Pulse {
  readonly node: string;
  readonly incarnation: string;
  /** Counts the pulses of this incarnation, from 1. */
  readonly sequence: number;
  /** The membership epoch that the node knows. */
  readonly epoch: Position;
  readonly http?: string;
  readonly region?: string;
  /** By cache: the partitions that the node serves, as text of `formatRanges`. */
  readonly ready: Readonly<Record<string, string>>;
  /** Caches whose readiness did not fit into this pulse: nothing is said about them. Absent: none. */
  readonly omitted?: number;
  /** The largest lag of the node's copies in ms; absent while it is unknown. */
  readonly lagMs?: number;
  /** The control-log position that the node has applied. */
  readonly appliedControl: Position;
  readonly state: PulseState;
}

/** The body of a pulse. Throws `too-large` when the pulse exceeds 8 KiB even without readiness. */
export function encodePulse(pulse: Pulse): Uint8Array {
  const { ready, omitted: _, ...rest } = pulse;
  const whole = encodeBody({ v: pulseVersion, ...rest, ready });
  if (whole.length <= pulseBytesMax) return whole;
  const total = Object.keys(ready).length;
  const frame = encodeBody({ v: pulseVersion, ...rest, omitted: total, ready: {} });
  if (frame.length > pulseBytesMax) {
    throw new SluiceError('too-large', `pulse: ${frame.length} bytes; at most ${pulseBytesMax} are allowed`);
  }
  const pages = paginate(Object.entries(ready), pulseBytesMax - frame.length);
  const page = pages[pulse.sequence % pages.length] ?? [];
  return encodeBody({ v: pulseVersion, ...rest, omitted: total - page.length, ready: Object.fromEntries(page) });
}

type ReadyEntry = [cache: string, ranges: string];

/** The entries in pages that fit; a pulse carries one, the next pulse the next. */
function paginate(entries: readonly ReadyEntry[], pageBytesMax: number): ReadyEntry[][] {
  const pages: ReadyEntry[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const entry of entries) {
    // `["a","b"]` is a byte longer than `"a":"b",`.
    const entryBytes = encodeBody(entry).length;
    if (entryBytes > pageBytesMax) continue;
    if (bytes + entryBytes > pageBytesMax) {
      pages.push([]);
      bytes = 0;
    }
    pages.at(-1)?.push(entry);
    bytes += entryBytes;
  }
  return pages;
}

const encodeBody = (body: unknown): Uint8Array => Buffer.from(JSON.stringify(body), 'utf8');

export interface RefusedPulse {
  readonly refused: string;
}

const decoder = new TextDecoder('utf-8', { fatal: true });

/** The pulse of a body, or why it is none. Unknown fields are ignored. */
export function decodePulse(data: Uint8Array): Pulse | RefusedPulse {
  if (data.length > pulseBytesMax) return { refused: `bytes: ${data.length}` };
  let body: unknown;
  try {
    body = JSON.parse(decoder.decode(data));
  } catch {
    return { refused: 'body: is not JSON' };
  }
  return isObject(body) ? readPulse(body) : { refused: 'body: is not an object' };
}

const isReady: Rule = (value) =>
  isObject(value) &&
  Object.entries(value).every(
    ([cache, ranges]) => isId(cache) && typeof ranges === 'string' && parseRanges(ranges) !== undefined,
  );

const required: Rules = {
  node: isId,
  incarnation: isId,
  sequence: isCount,
  epoch: isCount,
  ready: isReady,
  appliedControl: isCount,
  state: isOneOf(...states),
};
const optional: Rules = { http: isText, region: isText, lagMs: isTime, omitted: isCount };

function readPulse(body: PlainObject): Pulse | RefusedPulse {
  const { v } = body;
  if (v !== pulseVersion) return { refused: 'v: is another version' };
  const fields = readFieldsOf(body, required, optional);
  return typeof fields === 'string' ? { refused: `${fields}: breaks its rule` } : (fields as unknown as Pulse);
}

export const isRefused = (pulse: Pulse | RefusedPulse): pulse is RefusedPulse => 'refused' in pulse;

/**
 * The newer pulse, with what it omits taken from the one before, when both are of one incarnation. More entries than
 * the node can have mean that some are outdated: then they are all forgotten, and told again within a few pulses.
 */
export function mergeReady(previous: Pulse | undefined, next: Pulse): Pulse {
  const omitted = next.omitted ?? 0;
  if (omitted === 0 || previous?.node !== next.node || previous.incarnation !== next.incarnation) return next;
  const ready = { ...previous.ready, ...next.ready };
  return Object.keys(ready).length > Object.keys(next.ready).length + omitted ? next : { ...next, ready };
}

/** The partitions of a cache that the node serves, in rising order. */
export function readyPartitions(pulse: Pulse, cache: string): number[] {
  return Object.hasOwn(pulse.ready, cache) ? (parseRanges(pulse.ready[cache] ?? '') ?? []) : [];
}
