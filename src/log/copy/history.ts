/**
 * Whether the log that is read is still the one that was applied. A log that was restored from an old copy, or has lost its end
 * with its server's memory, may have grown again since, so its head alone does not tell.
 *
 * It is compared whenever a reader was opened, and when its newest message is not the one that was applied there. Invariant:
 * nothing is proven about the age of a copy before that has ended well.
 */
import { withGetters } from '../../base/with-getters.ts';
import { messageOf } from '../../errors.ts';
import type { LogRecord, Position } from '../../events/record.ts';
import type { Log, LogBounds } from '../log.ts';
import type { Freshness } from './freshness.ts';
import { createWitnesses } from './witnesses.ts';

export interface KnownBounds extends LogBounds {
  readonly askedAtMs: number;
}

export interface HistoryOptions {
  readonly log: Log;
  readonly freshness: Freshness;
  readonly applied: () => Position;
  /** When the message was stored that stands where the copy begins, if that is known. */
  readonly appliedAtMs: number | undefined;
  readonly known: () => KnownBounds | undefined;
  /** Aborts the questions to the log. */
  readonly signal: AbortSignal;
  readonly onOther: (reason: string) => void;
}

export interface History {
  /** The log has said something that does not fit to what was applied, and was not compared since. */
  readonly isContradicted: boolean;
  /** Where a reader has to begin, so that it meets again what was applied last. */
  readonly readFrom: Position;
  /** When the message was stored that was applied last; undefined: not known. */
  readonly appliedAtMs: number | undefined;
  /** A record was applied. */
  note(record: LogRecord): void;
  /** What a record that is delivered again says against the log, or undefined. */
  contradiction(record: LogRecord): string | undefined;
  /** From now until the returned call, all that is applied is remembered one by one. For the time of a question to the log. */
  attend(): () => void;
  /**
   * What the log says of its head, is that of the history that was applied? Undefined when the answer is behind the copy, and it
   * cannot be told.
   */
  includes(bounds: LogBounds): boolean | undefined;
  /** A reader is being opened. Returns what to call when it is open; `end` ends it. */
  opening(): (end: (reason: string) => void) => void;
  /** The reader has ended. */
  closed(): void;
  /** At `atMs` the reader had delivered all of the log that it reads. */
  prove(atMs: number): void;
  /** At `askedAtMs` (monotonic) the log had grown to `last`. */
  expect(last: Position, askedAtMs: number): void;
  /** The state was dropped. */
  forget(): void;
}

interface Reading {
  /** Set once it is open. */
  end?: (reason: string) => void;
  /** What it has proven before it was known to be sound. */
  heldProofMs: number;
}

export function createHistory({ log, freshness, applied, known, signal, onOther, ...begun }: HistoryOptions): History {
  const witnesses = createWitnesses();
  let reading: Reading | undefined;
  /** The reader reads the history that was applied, as far as can be told. */
  let isSound = false;
  let isContradicted = false;
  /** A head that did not fit, of what turned out to be the same log. */
  let trusted: LogBounds | undefined;
  /** What the log has said of its head lately, before the reader was known to be sound; that was asked about this same history. */
  let heldHead: Pick<KnownBounds, 'last' | 'askedAtMs'> | undefined;

  /**
   * The log is asked when the reader is open already, for a reader ends when its log is rolled back; but by what was known before,
   * for it may deliver another history.
   */
  async function compare(own: Reading, testimony = witnesses.testimony()): Promise<void> {
    try {
      const reason = await testimony.compare(log, known()?.first ?? 0, signal);
      if (reading !== own) return;
      if (reason === undefined) settle(own);
      else onOther(`the log is not the one that was read: ${reason}`);
    } catch (error) {
      own.end?.(`the log could not be compared: ${messageOf(error)}`);
    }
  }

  function settle({ heldProofMs }: Reading): void {
    if (isContradicted) trusted = known();
    isContradicted = false;
    isSound = true;
    freshness.prove(heldProofMs);
    if (heldHead !== undefined) freshness.expect(heldHead.last, heldHead.askedAtMs);
    heldHead = undefined;
  }

  function doubt(): void {
    isContradicted = true;
    if (!isSound || reading === undefined) return;
    isSound = false;
    reading.heldProofMs = Number.NEGATIVE_INFINITY;
    freshness.expectNothing();
    void compare(reading);
  }

  /** The message that was applied at the log's head was stored at `atMs`. */
  const isHead = ({ last, lastAtMs }: LogBounds, atMs: number): boolean =>
    lastAtMs === undefined || lastAtMs === atMs || (last === trusted?.last && lastAtMs === trusted.lastAtMs);

  function includes(bounds: LogBounds): boolean | undefined {
    if (bounds.last > applied()) return true;
    const atMs = witnesses.storedAtMs(bounds.last);
    if (atMs === undefined) return bounds.last === applied() || bounds.lastAtMs === undefined ? true : undefined;
    if (isHead(bounds, atMs)) return true;
    doubt();
    return false;
  }

  /** A copy that began in the middle has no witness yet: it takes the message that stands there, unless it is known to be another. */
  function contradiction(record: LogRecord): string | undefined {
    if (witnesses.oldest > 0 || record.position !== applied()) return witnesses.contradiction(record);
    if (begun.appliedAtMs !== undefined && begun.appliedAtMs !== record.atMs)
      return `another message stands at ${record.position}`;
    witnesses.note(record);
    return undefined;
  }

  const getters = {
    isContradicted: () => isContradicted,
    appliedAtMs: () => witnesses.storedAtMs(applied()),
    readFrom: () => Math.max(1, witnesses.oldest || applied()),
  };
  return withGetters<History, keyof typeof getters>(getters, {
    note(record) {
      witnesses.note(record);
      const bounds = known();
      if (record.position === bounds?.last && !isHead(bounds, record.atMs)) doubt();
    },
    contradiction,
    attend: witnesses.attend,
    includes,
    opening() {
      const own: Reading = { heldProofMs: Number.NEGATIVE_INFINITY };
      const testimony = witnesses.testimony();
      isSound = false;
      reading = own;
      return (end) => {
        own.end = end;
        void compare(own, testimony);
      };
    },
    closed() {
      reading = undefined;
      isSound = false;
    },
    prove(atMs) {
      if (isSound) freshness.prove(atMs);
      else if (reading !== undefined) reading.heldProofMs = atMs;
    },
    expect(last, askedAtMs) {
      if (isSound) freshness.expect(last, askedAtMs);
      else heldHead = { last, askedAtMs };
    },
    forget() {
      witnesses.forget();
      heldHead = undefined;
      reading = undefined;
      isSound = false;
      isContradicted = false;
      trusted = undefined;
    },
  });
}
