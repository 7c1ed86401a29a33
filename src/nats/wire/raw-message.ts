/**
 * A received message without the driver's conveniences. Replay handles millions of messages; decoding subject and
 * headers lazily into maps costs more than applying them. The driver keeps the raw bytes in fields that are not part of its
 * public interface, so this file alone touches them, falls back to the public getters, and a test pins the shape.
 */
import type { Msg } from '@nats-io/nats-core';
import { asBuffer } from '../../base/bytes.ts';
import { LogRecord, type Position, recordOf } from '../../events/record.ts';

interface DriverMessage {
  readonly _msg?: { readonly subject: Uint8Array; readonly reply?: Uint8Array; readonly hdr: number };
  readonly _rdata?: Uint8Array;
}

/** True when the driver still has the shape that makes the fast path possible. */
export function hasRawShape(message: Msg): boolean {
  const { _msg, _rdata } = message as unknown as DriverMessage;
  return _msg !== undefined && _rdata instanceof Uint8Array && typeof _msg.hdr === 'number';
}

/** A delivered message as the record that it brings. */
export function rawRecord(message: Msg, position: Position, atMs: number): LogRecord {
  const { _msg, _rdata } = message as unknown as DriverMessage;
  if (_msg !== undefined && _rdata !== undefined)
    return new LogRecord(position, atMs, _msg.subject, _rdata, Math.max(0, _msg.hdr));
  const { subject, data } = message;
  return recordOf({ position, atMs, subject, header: rawHeader(message), data });
}

/** The number that the subject ends with, from the given index on; NaN when there is none, or none that is exact. */
export function rawNumber(message: Msg, from: number): number {
  const bytes = (message as unknown as DriverMessage)._msg?.subject ?? Buffer.from(message.subject);
  let value = bytes.length > from ? 0 : Number.NaN;
  for (let index = from; index < bytes.length; index += 1) {
    const digit = (bytes[index] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return value <= Number.MAX_SAFE_INTEGER ? value : Number.NaN;
}

/** The body as Latin-1 text: fast, and right for what is plain ASCII. */
export function rawText(message: Msg): string {
  return asBuffer(message.data).toString('latin1');
}

/** The reply subject as bytes, or undefined when there is none. */
export function rawReply(message: Msg): Uint8Array | undefined {
  const inner = (message as unknown as DriverMessage)._msg;
  if (inner !== undefined) return inner.reply === undefined || inner.reply.length === 0 ? undefined : inner.reply;
  return message.reply === undefined || message.reply === '' ? undefined : Buffer.from(message.reply);
}

/** The header block, or undefined. */
export function rawHeader(message: Msg): Uint8Array | undefined {
  const { _msg, _rdata } = message as unknown as DriverMessage;
  if (_msg !== undefined && _rdata !== undefined) return _msg.hdr > 0 ? _rdata.subarray(0, _msg.hdr) : undefined;
  if (message.headers === undefined) return undefined;
  let block = 'NATS/1.0\r\n';
  for (const [name, values] of message.headers) for (const value of values) block += `${name}: ${value}\r\n`;
  return Buffer.from(`${block}\r\n`);
}

/** Code and text of a status message (`NATS/1.0 408 Request Timeout`), or undefined for any other. */
export function rawStatus(header: Uint8Array): { readonly code: number; readonly text: string } | undefined {
  // `NATS/1.0` is 8 bytes; a status line goes on with a space and three digits.
  if (header[8] !== 0x20) return undefined;
  const line = asBuffer(header).toString('latin1', 9, Math.max(9, header.indexOf(0x0d)));
  const code = Number.parseInt(line, 10);
  return Number.isNaN(code) ? undefined : { code, text: line.slice(3).trim() };
}
