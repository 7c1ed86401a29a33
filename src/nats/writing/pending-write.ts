/**
 * One write from its admission to its end, and the words for its ends. What may have been stored by an attempt that was
 * never answered is `outcome-unknown`; only what cannot have been stored is a failure.
 */
import { messageOf, SluiceError } from '../../errors.ts';
import { encodeHeader, formatField, headerNames } from '../../events/header.ts';
import type { LogWrite, Position } from '../../events/record.ts';
import type { Appended } from '../../log/log.ts';
import type { Lane, LaneItem } from './lane.ts';

export interface PublishOptions {
  readonly id?: string | undefined;
  readonly expected?: Position | undefined;
  readonly deadlineMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The stream that stores the subject; writes to one stream are held up by no other. Default: one for all. */
  readonly stream?: string | undefined;
  /** How long the stream remembers ids; a retry later than that could be stored twice. */
  readonly duplicateWindowMs: number;
  /** Finds the position under which this id was stored, when the answer to a repeated write is a conflict. */
  readonly findStored: (subject: string, id: string) => Promise<Position | undefined>;
}

/** `checking`: the log is being asked whether an earlier attempt was stored. */
export type Place = 'new' | 'waiting' | 'sent' | 'checking' | 'settled';

export interface PendingWrite extends LaneItem {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly header: { encode(): Uint8Array };
  /** Header and body. */
  readonly bytes: number;
  readonly id: string;
  readonly options: PublishOptions;
  readonly lane: Lane<PendingWrite>;
  readonly startedAtMs: number;
  readonly endsAtMs: number;
  place: Place;
  /** When an attempt that may have been stored was first sent: the stream remembers its id for a while from then on. */
  riskedAtMs: number;
  sentAtMs: number;
  attempts: number;
  /** Names the attempt; grows in the order of sending. */
  token: number;
  /** Why the last attempt came to nothing. */
  reason: string;
  stopListening: (() => void) | undefined;
  resolve(appended: Appended): void;
  reject(error: unknown): void;
}

export interface WriteTicket {
  readonly serial: number;
  readonly idPrefix: string;
  readonly lane: Lane<PendingWrite>;
  readonly startedAtMs: number;
  readonly endsAtMs: number;
  resolve(appended: Appended): void;
  reject(error: unknown): void;
}

export function buildPendingWrite(write: LogWrite, options: PublishOptions, ticket: WriteTicket): PendingWrite {
  const { serial, idPrefix, lane, startedAtMs, endsAtMs, resolve, reject } = ticket;
  const id = options.id ?? `${idPrefix}.${serial.toString(36)}`;
  let fields = write.fields + formatField(headerNames.messageId, id);
  if (options.expected !== undefined) fields += formatField(headerNames.expectedSubjectPosition, options.expected);
  const block = encodeHeader(fields);
  return {
    serial,
    subject: write.subject,
    // Copied: it may be sent later, and again, when the caller has other uses for its buffer.
    data: Buffer.from(write.data),
    header: { encode: () => block },
    bytes: block.length + write.data.length,
    id,
    options,
    lane,
    startedAtMs,
    endsAtMs,
    place: 'new',
    riskedAtMs: Number.POSITIVE_INFINITY,
    sentAtMs: 0,
    attempts: 0,
    token: 0,
    reason: '',
    stopListening: undefined,
    resolve,
    reject,
  };
}

/** The last attempt was not answered: it may have been stored. */
export function markRisk(pending: PendingWrite): void {
  pending.riskedAtMs = Math.min(pending.riskedAtMs, pending.sentAtMs);
}

export const mayBeStored = (pending: PendingWrite): boolean => pending.riskedAtMs !== Number.POSITIVE_INFINITY;

/** When the write ends at the latest: a retry after the stream forgot the id could be stored twice. */
export function endOf({ endsAtMs, riskedAtMs, options }: PendingWrite): number {
  return Math.min(endsAtMs, riskedAtMs + options.duplicateWindowMs);
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

export function conflictOf({ subject, options }: PendingWrite, reason: string): SluiceError {
  return new SluiceError('position-conflict', `${subject}: ${reason}`, {
    details: { subject, expected: options.expected },
  });
}

/** What to make of a conflict: whether this very write, sent earlier, is what stands in its way; never rejects. */
export async function findOutcome(pending: PendingWrite, reason: string): Promise<Appended | SluiceError> {
  try {
    const position = await pending.options.findStored(pending.subject, pending.id);
    if (position !== undefined) return { position, isDuplicate: true };
    // Stored and overwritten since, or never stored: after an attempt without an answer both are possible.
    return mayBeStored(pending) ? unknownOutcome(pending, reason) : conflictOf(pending, reason);
  } catch (error) {
    return unknownOutcome(pending, `${reason}; ${messageOf(error)}`);
  }
}
