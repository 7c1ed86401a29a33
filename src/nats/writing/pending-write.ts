/**
 * One write from its admission to its end, and the words for its ends. What may have been stored by an attempt that was
 * never answered is `outcome-unknown`; only what cannot have been stored is a failure.
 */
import { messageOf, SluiceError } from '../../errors.ts';
import { formatField, formatHeader, headerNames } from '../../events/header.ts';
import type { LogWrite, Position } from '../../events/record.ts';
import type { Appended, AppendOptions } from '../../log/log.ts';
import { encodeCommand, type ReadyCommand } from '../wire/ready-command.ts';
import type { Lane, LaneItem } from './lane.ts';

/** Where writes go, as their log sees it. */
export interface PublishTarget {
  /** The stream that stores the subject; writes to one stream are held up by no other. */
  readonly stream: string;
  /** How long the stream remembers ids; a retry later than that could be stored twice. */
  readonly duplicateWindowMs: number;
  /** Finds the position under which this id was stored, when the answer to a repeated write is a conflict. */
  readonly findStored: (subject: string, id: string) => Promise<Position | undefined>;
}

/** `checking`: the log is being asked whether an earlier attempt was stored. */
export type Place = 'new' | 'waiting' | 'sent' | 'checking' | 'settled';

/** What the publisher gives a write at its admission. */
export interface WriteTicket {
  readonly serial: number;
  readonly id: string;
  /** Of the subject for the answer; the attempt's token follows. */
  readonly replyPrefix: string;
  readonly target: PublishTarget;
  readonly lane: Lane<PendingWrite>;
  readonly startedAtMs: number;
  readonly endsAtMs: number;
}

/** A class, because there are many of them: the driver asks it for its header, so that each is one object only. */
export class PendingWrite implements LaneItem {
  readonly serial: number;
  readonly id: string;
  readonly subject: string;
  /** Header and body in memory of their own: it may be sent later, and again, when the caller has other uses for its buffer. */
  readonly command: ReadyCommand;
  /** Header and body. */
  readonly bytes: number;
  readonly expected: Position | undefined;
  readonly target: PublishTarget;
  readonly lane: Lane<PendingWrite>;
  readonly startedAtMs: number;
  readonly endsAtMs: number;
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: unknown) => void;
  place: Place = 'new';
  /** When an attempt that may have been stored was first sent: the stream remembers its id for a while from then on. */
  riskedAtMs: number = Number.POSITIVE_INFINITY;
  sentAtMs = 0;
  attempts = 0;
  /** Names the attempt; grows in the order of sending. */
  token = 0;
  /** Why the last attempt came to nothing. */
  reason = '';
  /** The caller chose the id, so the write may be a repetition of an earlier call. */
  readonly isNamed: boolean;
  stopListening: (() => void) | undefined = undefined;

  constructor(
    write: LogWrite,
    options: AppendOptions,
    ticket: WriteTicket,
    settle: { resolve: (appended: Appended) => void; reject: (error: unknown) => void },
  ) {
    this.serial = ticket.serial;
    this.id = ticket.id;
    this.subject = write.subject;
    const fields = fieldsOf(ticket.id, options.expected);
    const headerBytes = headerFrameBytes + bytesOf(write.fields) + Buffer.byteLength(fields);
    this.command = encodeCommand({
      subject: write.subject,
      replyPrefix: ticket.replyPrefix,
      header: formatHeader(write.fields + fields),
      headerBytes,
      body: write.data,
    });
    this.bytes = headerBytes + write.data.length;
    this.expected = options.expected;
    this.isNamed = options.id !== undefined;
    this.target = ticket.target;
    this.lane = ticket.lane;
    this.startedAtMs = ticket.startedAtMs;
    this.endsAtMs = ticket.endsAtMs;
    this.resolve = settle.resolve;
    this.reject = settle.reject;
  }

  /** The header block, as the driver asks for it. */
  encode(): Uint8Array {
    const { bytes, headerAt, bodyAt } = this.command;
    return bytes.subarray(headerAt, bodyAt);
  }

  get data(): Uint8Array {
    const { headerAt, bodyAt, bytes } = this.command;
    return bytes.subarray(bodyAt, headerAt + this.bytes);
  }
}

/** What a header block has around its fields. */
const headerFrameBytes = formatHeader('').length;

/** The last text, and its bytes: the fields of one write after the other are mostly the same text. */
let lastText = '';
let lastTextBytes = 0;

function bytesOf(text: string): number {
  if (text !== lastText) {
    lastText = text;
    lastTextBytes = Buffer.byteLength(text);
  }
  return lastTextBytes;
}

function fieldsOf(id: string, expected: Position | undefined): string {
  const named = formatField(headerNames.messageId, id);
  return expected === undefined ? named : named + formatField(headerNames.expectedSubjectPosition, expected);
}

/** The last attempt was not answered: it may have been stored. */
export function markRisk(pending: PendingWrite): void {
  pending.riskedAtMs = Math.min(pending.riskedAtMs, pending.sentAtMs);
}

export const mayBeStored = (pending: PendingWrite): boolean => pending.riskedAtMs !== Number.POSITIVE_INFINITY;

/** When the write ends at the latest: a retry after the stream forgot the id could be stored twice. */
export function endOf({ endsAtMs, riskedAtMs, target }: PendingWrite): number {
  return Math.min(endsAtMs, riskedAtMs + target.duplicateWindowMs);
}

export function unknownOutcome({ subject, id, attempts }: PendingWrite, why: string): SluiceError {
  return new SluiceError('outcome-unknown', `${subject}: ${why}; the write may or may not be in the log`, {
    details: { id, attempts },
  });
}

/** The error of a write that ran out of time or of a connection. */
export function gaveUp(pending: PendingWrite, nowMs: number, otherwise: string): SluiceError {
  const why = pending.reason === '' ? otherwise : pending.reason;
  if (mayBeStored(pending)) return unknownOutcome(pending, why);
  const triedMs = Math.round(nowMs - pending.startedAtMs);
  return new SluiceError('log-unavailable', `${pending.subject}: ${why}; gave up after ${triedMs} ms`);
}

export function conflictOf({ subject, expected }: PendingWrite, reason: string): SluiceError {
  return new SluiceError('position-conflict', `${subject}: ${reason}`, {
    details: { subject, expected },
  });
}

/** What to make of a conflict: whether this very write, sent earlier, is what stands in its way; never rejects. */
export async function findOutcome(pending: PendingWrite, reason: string): Promise<Appended | SluiceError> {
  try {
    const position = await pending.target.findStored(pending.subject, pending.id);
    if (position !== undefined) return { position, isDuplicate: true };
    // Stored and overwritten since, or never stored: after an attempt without an answer both are possible.
    return mayBeStored(pending) ? unknownOutcome(pending, reason) : conflictOf(pending, reason);
  } catch (error) {
    return unknownOutcome(pending, `${reason}; ${messageOf(error)}`);
  }
}
