/**
 * The log: what a stream can do for Sluice, and nothing more.
 *
 * Two implementations (memory, NATS) pass one contract suite. A log only stores and delivers; the rules that make a
 * copy trustworthy (re-creation, gaps, regression, horizon) live in the follower, which is the same for both.
 */
import type { LogRecord, LogWrite, Position } from '../events/record.ts';

export interface AppendOptions {
  /** Names the write, so that a retry cannot be stored twice within the log's duplicate window. Default: a new id. */
  readonly id?: string;
  /** Compare-and-set: the position of the last message of the same subject, 0 when there must be none. */
  readonly expected?: Position;
  /** How long to try, in ms. Default: the log's own write deadline. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

export interface Appended {
  readonly position: Position;
  /** True when the log had already stored a write of that id; the position is that of the first. */
  readonly isDuplicate: boolean;
}

/** The state of a log at one moment. */
export interface LogBounds {
  /** The floor: position of the oldest message still held; last + 1 when there is none. */
  readonly first: Position;
  /** Position of the newest message ever stored; 0 for a new log. */
  readonly last: Position;
  /** When the message at `last` was stored, ms since 1970 UTC; undefined: not known. Unsure once that message was removed. */
  readonly lastAtMs?: number;
  /** Tells one life of the log from the next: a log that was deleted and made again has another identity. */
  readonly identity: string;
  readonly messages: number;
}

export interface ReaderEvents {
  /** A message, in order of position. `pending`: how many more were waiting behind it when it was sent. */
  record(record: LogRecord, pending: number): void;
  /** Nothing is waiting. Every message up to `through` was delivered or is no longer in the log; every message that was in
   *  it at `provenAtMs` (monotonic time; -Infinity when the reader cannot tell, see below) is among them.
   *  Invariant: `provenAtMs` is a lower bound. A reader that sits on a replica does not know how far the leader is. */
  idle(provenAtMs: number, through: Position): void;
  /** The reader lives, though it has nothing to say. */
  alive(): void;
  /** The reader is dead and delivers nothing more; called at most once. */
  ended(reason: string): void;
}

export interface OpenOptions {
  /** For who wants to know only where messages stand: they may come with empty data. */
  readonly withoutData?: boolean;
}

export interface LogReader {
  /** Frees what the reader holds on the server; safe to call twice. */
  close(): Promise<void>;
}

export interface PurgeOptions {
  readonly subject?: string;
  /** Removes messages below this position only. */
  readonly below?: Position;
}

export interface Log {
  readonly name: string;
  /** Resolves once the log has stored the message. Errors: see `SluiceError` codes `position-conflict`,
   *  `log-unavailable`, `outcome-unknown`, `log-full`, `too-large`, `cas-unsupported`, `aborted`. */
  append(write: LogWrite, options?: AppendOptions): Promise<Appended>;
  /** The state of the log as its leader sees it. Rejects with `log-unavailable`, too, when that one may no longer be the leader. */
  bounds(signal?: AbortSignal): Promise<LogBounds>;
  /** The newest message of a subject as the leader sees it. */
  latest(subject: string, signal?: AbortSignal): Promise<LogRecord | undefined>;
  /**
   * Makes sure that who answers for the log now has it up to `head`, which somebody is known to have seen in it. Rejects with
   * `log-unavailable` when that may be a leader of the past. To be asked together with `latest`, whose answer says nothing of this; a
   * log that has one replica needs not be asked.
   */
  confirmHead(head: Position): Promise<void>;
  /** Starts delivery at the first message at or above `from`. Rejects when no reader could be made in time. */
  open(from: Position, events: ReaderEvents, options?: OpenOptions): Promise<LogReader>;
  /** Removes messages; resolves with their number. */
  purge(options?: PurgeOptions): Promise<number>;
  /** True when compare-and-set is checked safely (see `cas-unsupported`). */
  readonly isCompareAndSetSafe: boolean;
  /** True when the server removes messages by `Nats-TTL`. */
  readonly honoursTtl: boolean;
  /** How long the log itself keeps its markers of deletes, in ms; undefined or Infinity: as long as any message. */
  readonly markersMs?: number;
  /** True when a message may ask the log to remove everything before it (`Nats-Rollup: all`). */
  readonly allowsRollup: boolean;
  /** The subjects that it stores. */
  readonly subjects: readonly string[];
  /** The log's own age limit in ms; Infinity without one. */
  readonly maxAgeMs: number;
}
