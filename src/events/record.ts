/** A message as the log stores it: what every decoder reads and every log implementation delivers. */
import { asBuffer } from '../base/bytes.ts';

/** A place in a stream: its sequence, from 1. 0 means before the first message. */
export type Position = number;

export interface RecordParts {
  readonly position: Position;
  readonly atMs: number;
  readonly subject: string;
  readonly header: Uint8Array | undefined;
  readonly data: Uint8Array;
}

/**
 * It is kept as the bytes that came. A replay reads millions of records: the text of a subject, or a view of a part, costs as much
 * as to apply the event, so each is made for who asks for it.
 */
export class LogRecord implements RecordParts {
  declare readonly position: Position;
  /** When the log stored it, ms since 1970 UTC by the server's clock. */
  declare readonly atMs: number;
  /** The subject in UTF-8. Lent, as the payload is. */
  declare readonly subjectBytes: Uint8Array;
  /** Header block and body. Only lent: a receiver that keeps it must copy it out of the receive buffer. */
  declare readonly payload: Uint8Array;
  /** How much of the payload is the header block; 0: there is none. */
  declare readonly headerLength: number;

  constructor(position: Position, atMs: number, subjectBytes: Uint8Array, payload: Uint8Array, headerLength: number) {
    this.position = position;
    this.atMs = atMs;
    this.subjectBytes = subjectBytes;
    this.payload = payload;
    this.headerLength = headerLength;
  }

  get subject(): string {
    return asBuffer(this.subjectBytes).toString('utf8');
  }

  /** The raw header block (see `header.ts`), or undefined when the message has none. */
  get header(): Uint8Array | undefined {
    return this.headerLength === 0 ? undefined : viewOf(this.payload, 0, this.headerLength);
  }

  /** The body. */
  get data(): Uint8Array {
    return viewOf(this.payload, this.headerLength, this.payload.length - this.headerLength);
  }

  /** The same in memory of its own. */
  copy(): LogRecord {
    const { position, atMs, subjectBytes, payload, headerLength } = this;
    // Not `slice`: a Buffer's is only a view.
    return new LogRecord(position, atMs, Uint8Array.from(subjectBytes), Uint8Array.from(payload), headerLength);
  }
}

/** Half the price of `subarray`, which makes a `Buffer` of a piece of one. */
const viewOf = ({ buffer, byteOffset }: Uint8Array, from: number, length: number): Uint8Array =>
  new Uint8Array(buffer, byteOffset + from, length);

/** The record of these parts, in memory of its own. */
export function recordOf({ position, atMs, subject, header, data }: RecordParts): LogRecord {
  const payload = new Uint8Array((header?.length ?? 0) + data.length);
  if (header !== undefined) payload.set(header);
  payload.set(data, payload.length - data.length);
  return new LogRecord(position, atMs, Buffer.from(subject, 'utf8'), payload, header?.length ?? 0);
}

/** A message to be stored. */
export interface LogWrite {
  readonly subject: string;
  /** Header lines made by `formatField`, or ''. The log adds message id and expectation. */
  readonly fields: string;
  readonly data: Uint8Array;
}
