/**
 * A publish command as it stands on the wire, made once when a write is admitted: one piece of memory for all of it, where the
 * driver makes a text, its bytes and three buffers for each attempt.
 *
 *   HPUB <subject> <reply prefix><token> <header bytes> <all bytes> CRLF <header block> <body> CRLF
 *
 * The token is not known before the write is sent, so its place is filled then. The driver's way of queueing bytes is not part of
 * its public interface, so this file alone touches it, says when it cannot be used, and a test pins the shape.
 */
import type { NatsConnection } from '@nats-io/nats-core';

export interface ReadyCommand {
  readonly bytes: Buffer;
  /** Where the token ends. */
  readonly tokenEnd: number;
  readonly headerAt: number;
  readonly bodyAt: number;
}

export interface CommandParts {
  readonly subject: string;
  readonly replyPrefix: string;
  /** The whole header block, and its length in bytes. */
  readonly header: string;
  readonly headerBytes: number;
  readonly body: Uint8Array;
}

interface DriverProtocol {
  outBytes?: number;
  outMsgs?: number;
  readonly connected?: boolean;
  readonly noMorePublishing?: boolean;
  readonly info?: { readonly headers?: boolean; readonly max_payload?: number };
  sendCommand?(command: Uint8Array): void;
}

const tokenDigits = 15;
const noToken = '0'.repeat(tokenDigits);
const zero = 0x30;
const lineEndBytes = 2;
/** What would end or divide the command's first line. */
const whitespace = /[ \t\r\n]/;

/** Copies the body. */
export function encodeCommand({ subject, replyPrefix, header, headerBytes, body }: CommandParts): ReadyCommand {
  const sizes = ` ${headerBytes} ${headerBytes + body.length}\r\n`;
  const head = `HPUB ${subject} ${replyPrefix}${noToken}${sizes}${header}`;
  const bodyAt = Buffer.byteLength(head);
  const bytes = Buffer.allocUnsafe(bodyAt + body.length + lineEndBytes);
  bytes.write(head, 'utf8');
  bytes.set(body, bodyAt);
  bytes[bytes.length - 2] = 0x0d;
  bytes[bytes.length - 1] = 0x0a;
  const headerAt = bodyAt - headerBytes;
  return { bytes, tokenEnd: headerAt - sizes.length, headerAt, bodyAt };
}

/** Queues the command with this token, once: the driver may hold its memory from then on. False: it must be sent in the public way. */
export function sendCommand(
  connection: NatsConnection,
  subject: string,
  { bytes, tokenEnd, headerAt }: ReadyCommand,
  token: number,
): boolean {
  const { protocol } = connection as unknown as { readonly protocol?: DriverProtocol };
  if (
    protocol?.sendCommand === undefined ||
    protocol.connected !== true ||
    protocol.noMorePublishing !== false ||
    protocol.outBytes === undefined ||
    protocol.outMsgs === undefined
  )
    return false;
  const length = bytes.length - lineEndBytes - headerAt;
  // What the driver refuses, it shall refuse in its own words.
  if (protocol.info?.headers !== true || length > (protocol.info.max_payload ?? 0)) return false;
  if (connection.isClosed() || whitespace.test(subject)) return false;
  let rest = token;
  for (let index = tokenEnd - 1; rest > 0; index -= 1) {
    bytes[index] = zero + (rest % 10);
    rest = Math.floor(rest / 10);
  }
  protocol.outBytes += length;
  protocol.outMsgs += 1;
  protocol.sendCommand(bytes);
  return true;
}
