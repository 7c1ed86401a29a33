/**
 * What an answer to a publish means. The server's error numbers (`server/errors.json`) are judged here and nowhere else;
 * a pure function of the message, so that every kind of answer is a line in a test.
 */
import type { Msg } from '@nats-io/nats-core';
import { standsAt } from '../../base/bytes.ts';
import type { ErrorCode } from '../../errors.ts';
import { rawHeader, rawStatus, rawText } from '../wire/raw-message.ts';

export type PublishAnswer =
  | { readonly kind: 'stored'; readonly position: number; readonly isDuplicate: boolean }
  /** Not now. `mayBeStored`: this or an earlier attempt may have been stored all the same. */
  | { readonly kind: 'again'; readonly mayBeStored: boolean; readonly reason: string }
  /** Compare-and-set lost; `isPassing` when only another write in flight stood in the way, perhaps an earlier attempt of ours. */
  | { readonly kind: 'conflict'; readonly isPassing: boolean; readonly reason: string }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly reason: string };

/** Fields as they came: nothing is taken for granted. */
interface PubAck {
  readonly seq?: unknown;
  readonly duplicate?: unknown;
  readonly error?: unknown;
}

/** Of a server's words, as much as is handed on. */
const reasonCharactersMax = 512;

const wrongLastSequence = 10071;
/** Another write of the subject is in flight (2.11 and later). */
const writeInFlight = 10164;
/** A write of the same id is being stored. */
const sameIdInFlight = 10158;
const storeFailed = 10077;

/** Offline, electing, too many at once: 10008, 10118, 10119, 10163, 10167; and whatever else has code 503 or 429. */
const againCodes: ReadonlySet<number> = new Set([10008, 10118, 10119, 10163, 10167]);
/** Limits of the account, the server's memory or disk, or the stream (which is `storeFailed` with a text). */
const fullCodes: ReadonlySet<number> = new Set([10002, 10023, 10028, 10047]);
const fullText = /maximum|exceeded|no space|insufficient/i;
const tooLargeCodes: ReadonlySet<number> = new Set([10054, 10097]);

const plainAck = /^\{"stream":"[^"\\]*",(?:"domain":"[^"\\]*",)? ?"seq":(\d{1,15})(,"duplicate": ?true)?\}$/;

/** How it begins, and how its position does: nearly every answer is `{"stream":"<name>", "seq":<position>}` and no more. */
const plainHead = Buffer.from('{"stream":"');
const plainSeq = Buffer.from('"seq":');
const quote = 0x22;
const backslash = 0x5c;
const space = 0x20;
const comma = 0x2c;
const closingBrace = 0x7d;

/** The position of an answer in the plainest form, else 0. Allocates nothing. */
function plainPosition(answer: Uint8Array): number {
  if (!standsAt(answer, 0, plainHead)) return 0;
  let at = plainHead.length;
  while (at < answer.length && answer[at] !== quote && answer[at] !== backslash) at += 1;
  if (answer[at] !== quote || answer[at + 1] !== comma) return 0;
  at += answer[at + 2] === space ? 3 : 2;
  if (!standsAt(answer, at, plainSeq)) return 0;
  at += plainSeq.length;
  const end = answer.length - 1;
  if (answer[end] !== closingBrace || end - at > 15) return 0;
  let position = 0;
  for (; at < end; at += 1) {
    const digit = (answer[at] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) return 0;
    position = position * 10 + digit;
  }
  return position;
}

const noResponders = 503;
const tooManyRequests = 429;

export function readPublishAnswer(message: Msg): PublishAnswer {
  if (message.data.length === 0) {
    const header = rawHeader(message);
    // Nobody listened on the subject, so nothing was stored by this attempt.
    const isNobody = header !== undefined && rawStatus(header)?.code === noResponders;
    return isNobody
      ? {
          kind: 'again',
          mayBeStored: false,
          reason: 'nobody takes writes for this subject (no leader, or no such stream)',
        }
      : { kind: 'again', mayBeStored: true, reason: 'an answer without content' };
  }
  const position = plainPosition(message.data);
  if (position > 0) return { kind: 'stored', position, isDuplicate: false };
  const text = rawText(message);
  // Taking it apart with JSON would cost as much as all the rest.
  const plain = plainAck.exec(text);
  if (plain !== null && Number(plain[1]) > 0)
    return { kind: 'stored', position: Number(plain[1]), isDuplicate: plain[2] !== undefined };
  const ack = parseAck(message);
  if (typeof ack?.error === 'object' && ack.error !== null) return judge(ack.error);
  if (ack?.error !== undefined || typeof ack?.seq !== 'number' || !Number.isSafeInteger(ack.seq) || ack.seq < 1)
    return { kind: 'again', mayBeStored: true, reason: 'an answer that is no acknowledgement' };
  return { kind: 'stored', position: ack.seq, isDuplicate: ack.duplicate === true };
}

const numberOr0 = (value: unknown): number => (typeof value === 'number' ? value : 0);

function judge(error: {
  readonly code?: unknown;
  readonly err_code?: unknown;
  readonly description?: unknown;
}): PublishAnswer {
  const code = numberOr0(error.code);
  const errCode = numberOr0(error.err_code);
  const description =
    typeof error.description === 'string' ? error.description.slice(0, reasonCharactersMax) : 'refused';
  const reason = `${description} (${errCode})`;
  if (errCode === wrongLastSequence || errCode === writeInFlight) {
    return { kind: 'conflict', isPassing: errCode === writeInFlight, reason };
  }
  if (fullCodes.has(errCode) || (errCode === storeFailed && fullText.test(description))) {
    return { kind: 'refused', code: 'log-full', reason };
  }
  if (tooLargeCodes.has(errCode)) return { kind: 'refused', code: 'too-large', reason };
  // A store that failed may have failed after it wrote.
  if (errCode === storeFailed || errCode === sameIdInFlight) return { kind: 'again', mayBeStored: true, reason };
  if (againCodes.has(errCode) || code === noResponders || code === tooManyRequests) {
    return { kind: 'again', mayBeStored: false, reason };
  }
  return { kind: 'refused', code: 'unsupported', reason };
}

function parseAck(message: Msg): PubAck | undefined {
  try {
    const ack: unknown = JSON.parse(message.string());
    return typeof ack === 'object' && ack !== null ? ack : undefined;
  } catch {
    return undefined;
  }
}
