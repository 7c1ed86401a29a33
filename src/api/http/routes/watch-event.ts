/**
 * Changes of a cache as server-sent events, and their ids. An id carries one position per partition, so that the last one
 * that a reader has seen is all it needs to resume: the plain number for one partition, else base 36 joined by dots.
 */
import { asBuffer } from '../../../base/bytes.ts';
import type { Position } from '../../../events/record.ts';
import type { WatchEvent } from '../../../service/watch.ts';
import { parsePosition, refuse } from '../input.ts';

export const valueForms = ['none', 'base64', 'text'] as const;
export type ValueForm = (typeof valueForms)[number];

export function formatWatchId(positions: readonly Position[]): string {
  if (positions.length === 1) return String(positions[0]);
  return positions.map((position) => position.toString(36)).join('.');
}

/** Throws `bad-request` unless the text has one position for each partition. */
export function parseWatchId(field: string, text: string, partitionCount: number): Position[] {
  if (partitionCount === 1) return [parsePosition(field, text)];
  const rule = `must be the id of an event: ${partitionCount} positions in base 36, joined by dots`;
  const parts = text.split('.');
  if (parts.length !== partitionCount) refuse(field, text, rule);
  return parts.map((part) => {
    const position = /^[0-9a-z]{1,11}$/.test(part) ? Number.parseInt(part, 36) : Number.NaN;
    return Number.isSafeInteger(position) ? position : refuse(field, text, rule);
  });
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The lines of an event up to its id. JSON holds no line break, so the data is always one line. */
export function formatWatchEvent(event: WatchEvent, partition: number | undefined, form: ValueForm): string {
  return `event: ${event.type}\ndata: ${JSON.stringify({ ...dataOf(event, form), partition })}\n`;
}

function dataOf(event: WatchEvent, form: ValueForm): Readonly<Record<string, unknown>> {
  if (event.type !== 'put') {
    const { type, ...data } = event;
    return data;
  }
  const { key, position, contentType, tags, expiresAtMs } = event;
  return {
    key,
    position,
    ...showValue(event.value, form),
    contentType,
    tags,
    expiresAt: expiresAtMs === Number.POSITIVE_INFINITY ? undefined : expiresAtMs,
  };
}

/** A value that is no UTF-8 cannot be shown as text: it comes as base64, and says so. */
function showValue(value: Uint8Array, form: ValueForm): { readonly value?: string; readonly encoding?: ValueForm } {
  if (form === 'none') return {};
  if (form === 'text') {
    try {
      return { value: utf8.decode(value), encoding: 'text' };
    } catch {
      return { value: base64(value), encoding: 'base64' };
    }
  }
  return { value: base64(value), encoding: 'base64' };
}

const base64 = (value: Uint8Array): string => asBuffer(value).toString('base64');
