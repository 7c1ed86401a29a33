/**
 * A publish command as it stands on the wire, made once when a write is admitted, where the driver makes a text, its bytes and
 * three buffers for each attempt.
 *
 *   HPUB <subject> <reply prefix><token> <header bytes> <all bytes> CRLF
 *   NATS/1.0 CRLF Nats-Msg-Id: <id> CRLF <fields> CRLF
 *   <body> CRLF
 *
 * No text is made on the way, because each would be one more thing for the garbage collector. The token is not known before the
 * write is sent, so its place is filled then. Where commands lie, and how they get to the driver: see `outbox.ts`.
 */
import { formatField, formatHeader, headerNames } from '../../events/header.ts';

/** What all commands of a publisher have in common. */
export interface CommandFrame {
  /** ` <reply prefix><place for a token> ` */
  readonly reply: Uint8Array;
  /** From the end of the first line to the id. */
  readonly head: Uint8Array;
  /** Of a header, beside the id and other fields. */
  readonly headerBytes: number;
}

export interface CommandParts {
  readonly subject: string;
  readonly id: string;
  /** Header lines beside that of the id. */
  readonly fields: string;
  /** Id and fields. */
  readonly textBytes: number;
  readonly body: Uint8Array;
}

const verb = Buffer.from('HPUB ');
const tokenDigits = 15;
const zero = 0x30;
const space = 0x20;
const carriageReturn = 0x0d;
const lineFeed = 0x0a;
const lineEndBytes = 2;

/** The prefix must be ASCII. */
export function createCommandFrame(replyPrefix: string): CommandFrame {
  const header = formatHeader(formatField(headerNames.messageId, ''));
  return {
    reply: Buffer.from(` ${replyPrefix}${'0'.repeat(tokenDigits)} `),
    head: Buffer.from(`\r\n${header}`).subarray(0, -2 * lineEndBytes),
    headerBytes: header.length,
  };
}

/** Memory that is filled from its beginning. */
export interface Chunk {
  readonly memory: Buffer;
  filled: number;
}

/** As many bytes as a command may take: a character is at most three, and the sizes are some digits. */
export const commandBytesMax = (frame: CommandFrame, { subject, textBytes, body }: CommandParts): number =>
  verb.length + 3 * subject.length + frame.reply.length + frame.headerBytes + textBytes + body.length + 32;

function writeNumber(memory: Buffer, at: number, value: number): number {
  let end = at + 1;
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) end += 1;
  writeDigits(memory, end, value);
  return end;
}

function writeDigits(memory: Buffer, end: number, value: number): void {
  let rest = value;
  let at = end;
  do {
    at -= 1;
    memory[at] = zero + (rest % 10);
    rest = Math.floor(rest / 10);
  } while (rest > 0);
}

function writeLineEnd(memory: Buffer, at: number): number {
  memory[at] = carriageReturn;
  memory[at + 1] = lineFeed;
  return at + lineEndBytes;
}

/** A class to be extended, so that a write and its command are one object: thousands of them wait at a time. */
export class ReadyCommand {
  // Declared, not initialised: the constructor sets each of them once.
  /** From `start` to `end` it is this command's; others may lie beside it. */
  declare memory: Buffer;
  declare start: number;
  declare end: number;
  declare private subjectEnd: number;
  declare private tokenEnd: number;
  declare private headerAt: number;
  declare private bodyAt: number;

  /** Takes its place in a chunk that has room for it. Copies the body. */
  constructor(frame: CommandFrame, { subject, id, fields, textBytes, body }: CommandParts, chunk: Chunk) {
    const { memory, filled: start } = chunk;
    memory.set(verb, start);
    const subjectEnd = start + verb.length + memory.write(subject, start + verb.length, 'utf8');
    memory.set(frame.reply, subjectEnd);
    const headerBytes = frame.headerBytes + textBytes;
    const sizeAt = writeNumber(memory, subjectEnd + frame.reply.length, headerBytes);
    memory[sizeAt] = space;
    const headAt = writeNumber(memory, sizeAt + 1, headerBytes + body.length);
    memory.set(frame.head, headAt);
    const idAt = headAt + frame.head.length;
    const fieldsAt = writeLineEnd(memory, idAt + memory.write(id, idAt, 'utf8'));
    const bodyAt = writeLineEnd(memory, fieldsAt + memory.write(fields, fieldsAt, 'utf8'));
    memory.set(body, bodyAt);
    const end = writeLineEnd(memory, bodyAt + body.length);
    chunk.filled = end;
    this.memory = memory;
    this.start = start;
    this.end = end;
    this.subjectEnd = subjectEnd;
    this.tokenEnd = subjectEnd + frame.reply.length - 1;
    this.headerAt = bodyAt - headerBytes;
    this.bodyAt = bodyAt;
  }

  get subject(): string {
    return this.memory.toString('utf8', this.start + verb.length, this.subjectEnd);
  }

  /** Header and body. */
  get bytes(): number {
    return this.end - lineEndBytes - this.headerAt;
  }

  get data(): Uint8Array {
    return this.memory.subarray(this.bodyAt, this.end - lineEndBytes);
  }

  /** The header block, as the driver asks for it. */
  encode(): Uint8Array {
    return this.memory.subarray(this.headerAt, this.bodyAt);
  }

  /** False when its subject is empty, or would divide or end the command's first line. */
  get isWellFormed(): boolean {
    if (this.subjectEnd === this.start + verb.length) return false;
    for (let at = this.start + verb.length; at < this.subjectEnd; at += 1) {
      if ((this.memory[at] ?? space) <= space) return false;
    }
    return true;
  }

  /** To be set once: whoever has been given the bytes may hold them from then on. */
  setToken(token: number): void {
    writeDigits(this.memory, this.tokenEnd, token);
  }

  /** Leaves the memory that it shares: what waits must not keep the bytes of all its neighbours. */
  moveOut(): void {
    const { start } = this;
    if (2 * (this.end - start) > this.memory.length) return;
    this.memory = Buffer.from(this.memory.subarray(start, this.end));
    this.start = 0;
    this.end -= start;
    this.subjectEnd -= start;
    this.tokenEnd -= start;
    this.headerAt -= start;
    this.bodyAt -= start;
  }
}
