/**
 * One write from its admission to its end, and the words for its ends. What may have been stored by an attempt that was
 * never answered is `outcome-unknown`; only what cannot have been stored is a failure.
 */
import { messageOf, SluiceError } from '../../errors.ts';
import { formatField, headerNames, headerText, readField } from '../../events/header.ts';
import type { LogWrite, Position } from '../../events/record.ts';
import type { Appended } from '../../log/log.ts';
import { type Chunk, type CommandFrame, type CommandParts, ReadyCommand } from '../wire/ready-command.ts';
import type { Lane, LaneItem } from './lane.ts';
import type { Survey } from './survey.ts';

/** Where writes go, as their log sees it. */
export interface PublishTarget {
  /** The stream that stores the subject; writes to one stream are held up by no other. */
  readonly stream: string;
  /** How long the stream remembers ids; a retry later than that could be stored twice. */
  readonly duplicateWindowMs: number;
  /** Finds the position under which this id was stored, when the answer to a repeated write is a conflict. */
  readonly findStored: (subject: string, id: string) => Promise<Position | undefined>;
  /** Where the stream ended when it was looked at first. */
  readonly head: Position;
  /** A server that is started anew knows the ids of those messages that it still has; false: this stream lets go of none. */
  readonly forgetsIds: boolean;
  readonly isReplicated: boolean;
  /** What the stream has above a position. */
  readonly survey: (above: Position) => Promise<Survey>;
}

/** `checking`: the log is being asked whether an earlier attempt was stored. */
export type Place = 'new' | 'waiting' | 'sent' | 'checking' | 'settled';

/** What the publisher gives a write at its admission. */
export interface WriteTicket {
  readonly frame: CommandFrame;
  readonly serial: number;
  readonly expected: Position | undefined;
  readonly isNamed: boolean;
  readonly target: PublishTarget;
  readonly lane: Lane<PendingWrite>;
  readonly startedAtMs: number;
  readonly deadlineMs: number;
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: unknown) => void;
}

/** Of thousands that wait at a time, each is one object, with few others behind it: the garbage collector carries them about. */
export class PendingWrite extends ReadyCommand implements LaneItem {
  declare readonly serial: number;
  declare readonly expected: Position | undefined;
  /** The caller chose the id, so the write may be a repetition of an earlier call. */
  declare readonly isNamed: boolean;
  declare readonly target: PublishTarget;
  declare readonly lane: Lane<PendingWrite>;
  declare readonly startedAtMs: number;
  declare readonly deadlineMs: number;
  declare readonly resolve: (appended: Appended) => void;
  declare readonly reject: (error: unknown) => void;
  declare place: Place;
  /** When an attempt that may have been stored was first sent: the stream remembers its id for a while from then on. */
  declare riskedAtMs: number | undefined;
  /** Wherever an attempt that is at risk was stored, that is above this position. */
  declare above: Position;
  declare sentAtMs: number;
  declare attempts: number;
  /** Names the attempt; grows in the order of sending. */
  declare token: number;
  /** Why the last attempt came to nothing. */
  declare reason: string;
  declare stopListening: (() => void) | undefined;

  constructor(ticket: WriteTicket, parts: CommandParts, chunk: Chunk) {
    super(ticket.frame, parts, chunk);
    this.serial = ticket.serial;
    this.expected = ticket.expected;
    this.isNamed = ticket.isNamed;
    this.target = ticket.target;
    this.lane = ticket.lane;
    this.startedAtMs = ticket.startedAtMs;
    this.deadlineMs = ticket.deadlineMs;
    this.resolve = ticket.resolve;
    this.reject = ticket.reject;
    this.place = 'new';
    this.riskedAtMs = undefined;
    this.above = 0;
    this.sentAtMs = 0;
    this.attempts = 0;
    this.token = 0;
    this.reason = '';
    this.stopListening = undefined;
  }

  get id(): string {
    return readField(headerText(this.encode()), headerNames.messageId) ?? '';
  }

  get endsAtMs(): number {
    return this.startedAtMs + this.deadlineMs;
  }
}

/** The parts of a write's command. */
export function partsOf(
  { subject, fields, data: body }: LogWrite,
  id: string,
  expected: Position | undefined,
): CommandParts {
  const textBytes = Buffer.byteLength(id) + bytesOf(fields);
  if (expected === undefined) return { subject, id, fields, textBytes, body };
  const expectation = formatField(headerNames.expectedSubjectPosition, expected);
  return { subject, id, fields: fields + expectation, textBytes: textBytes + expectation.length, body };
}

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

/** The last attempt was not answered: it may have been stored. */
export function markRisk(pending: PendingWrite): void {
  pending.riskedAtMs ??= pending.sentAtMs;
}

export const mayBeStored = (pending: PendingWrite): boolean => pending.riskedAtMs !== undefined;

/** The log has shown that no attempt was stored: it is as if the write had never been sent. */
export function clearRisk(pending: PendingWrite): void {
  pending.riskedAtMs = undefined;
}

/** When the write ends at the latest: a retry after the stream forgot the id could be stored twice. */
export function endOf({ endsAtMs, riskedAtMs, target }: PendingWrite): number {
  return riskedAtMs === undefined ? endsAtMs : Math.min(endsAtMs, riskedAtMs + target.duplicateWindowMs);
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

/**
 * What became of a write whose server was started anew before it answered, by what the stream has above the place from which the write
 * can have been stored; undefined: no attempt was stored.
 */
export function outcomeBySurvey(pending: PendingWrite, survey: Survey): Appended | SluiceError | undefined {
  const position = survey.positionOf(pending.id);
  if (position !== undefined) return { position, isDuplicate: true };
  if (survey.isWholeAbove(pending.above)) return undefined;
  return unknownOutcome(pending, 'the server was started anew, and the log has lost what may have been this write');
}
