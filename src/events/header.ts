/**
 * The header block of a stored message, as raw bytes.
 *
 *   NATS/1.0 CRLF  (Name: value CRLF)*  CRLF
 *
 * Replay reads millions of these, so a block is turned into text once and searched, never parsed into a map.
 */
import { asBuffer } from '../base/bytes.ts';

export const headerNames = {
  expires: 'Sluice-Expires',
  tags: 'Sluice-Tags',
  type: 'Sluice-Type',
  origin: 'Sluice-Origin',
  basis: 'Sluice-Basis',
  key: 'Sluice-Key',
  operation: 'KV-Operation',
  ttl: 'Nats-TTL',
  markerReason: 'Nats-Marker-Reason',
  rollup: 'Nats-Rollup',
  messageId: 'Nats-Msg-Id',
  expectedSubjectPosition: 'Nats-Expected-Last-Subject-Sequence',
} as const;

const versionLine = 'NATS/1.0';

/** One header line. The value must be free of CR and LF, which the callers' validation guarantees. */
export function formatField(name: string, value: string | number): string {
  return `${name}: ${value}\r\n`;
}

/** A whole block from lines made by `formatField`, as text. */
export function formatHeader(fields: string): string {
  return `${versionLine}\r\n${fields}\r\n`;
}

/** The same in bytes. */
export function encodeHeader(fields: string): Uint8Array {
  return Buffer.from(formatHeader(fields), 'utf8');
}

/** The block as text, for `readField`. */
export function headerText(block: Uint8Array): string {
  return asBuffer(block).toString('utf8');
}

/** The first value of a header (names are case-sensitive, as in NATS), trimmed, or undefined. */
export function readField(text: string, name: string): string | undefined {
  const line = `\n${name}:`;
  const at = text.indexOf(line);
  if (at < 0) return undefined;
  const end = text.indexOf('\r\n', at + line.length);
  return text.slice(at + line.length, end < 0 ? text.length : end).trim();
}

/** All headers of a block in order, for people and journals. */
export function readFields(text: string): readonly (readonly [name: string, value: string])[] {
  return text
    .split('\r\n')
    .slice(1)
    .flatMap((line) => {
      const colon = line.indexOf(':');
      return colon <= 0 ? [] : [[line.slice(0, colon), line.slice(colon + 1).trim()] as const];
    });
}
