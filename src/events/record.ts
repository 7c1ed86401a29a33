/** A message as the log stores it: what every decoder reads and every log implementation delivers. */

/** A place in a stream: its sequence, from 1. 0 means before the first message. */
export type Position = number;

export interface LogRecord {
  readonly position: Position;
  /** When the log stored it, ms since 1970 UTC by the server's clock. */
  readonly atMs: number;
  readonly subject: string;
  /** The raw header block (see `header.ts`), or undefined when the message has none. */
  readonly header: Uint8Array | undefined;
  /** The body. Only lent: a receiver that keeps it must copy it out of the receive buffer. */
  readonly data: Uint8Array;
}

/** A message to be stored. */
export interface LogWrite {
  readonly subject: string;
  /** Header lines made by `formatField`, or ''. The log adds message id and expectation. */
  readonly fields: string;
  readonly data: Uint8Array;
}
