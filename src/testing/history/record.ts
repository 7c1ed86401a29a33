/**
 * What happened, as it was seen from outside: the operations that callers began and what they were told, and observations of
 * copies, watchers, members and the log. One history is of one cache; every checker is a pure function of it.
 *
 * Times are of one clock that never goes back, in ms, the same for all processes: the clock of the simulation or of the
 * process that drives real ones. Written as JSON Lines by `json-lines.ts`; `docs/history-format.md` is its description.
 */
import type { Position } from '../../events/record.ts';

/** `failed`: it certainly changed nothing. `unknown`: it may take effect at any time after its start, or never. */
export type Outcome = 'ok' | 'failed' | 'unknown';

/** Who did or saw something. */
export interface Actor {
  readonly process: string;
  /** One life of the process. A copy of another life has nothing to do with this one's. */
  readonly incarnation?: string | undefined;
}

interface OperationFacts extends Actor {
  /** Whose reads and writes belong together. Default: the process's incarnation. */
  readonly session?: string | undefined;
  /** Default 0. */
  readonly partition?: number | undefined;
  readonly start: number;
  /** Infinity: nobody heard how it ended. */
  readonly end: number;
  readonly outcome: Outcome;
}

interface WriteFacts extends OperationFacts {
  /** Position at which the log stored it; only of an `ok` write. */
  readonly revision?: Position | undefined;
}

interface Conditions {
  /** Compare-and-set: only if the last message of the key is at this position. */
  readonly ifRevision?: Position | undefined;
  /** True of a `failed` one that was refused because its condition did not hold, which is an observation, too. */
  readonly conflict?: boolean | undefined;
}

export interface PutOperation extends WriteFacts, Conditions {
  readonly type: 'put';
  readonly key: string;
  /** The value, or its checksum: only compared. */
  readonly value: string;
  readonly tags?: readonly string[] | undefined;
  readonly ifAbsent?: boolean | undefined;
  /** Of a loaded value: the position up to which its writer had seen the log. */
  readonly basis?: Position | undefined;
  /** From this moment of the history's clock on it may be absent. */
  readonly expiresAt?: number | undefined;
}

export interface DeleteOperation extends WriteFacts, Conditions {
  readonly type: 'delete';
  readonly key: string;
}

/** Empties one partition; the clear of a cache with several is one operation for each. */
export interface ClearOperation extends WriteFacts {
  readonly type: 'clear';
}

/** Makes all entries of one partition void that carry the tag. */
export interface InvalidateOperation extends WriteFacts {
  readonly type: 'invalidate';
  readonly tag: string;
}

export interface ReadOperation extends OperationFacts {
  readonly type: 'read';
  readonly key: string;
  /** `latest` promises linearizability; `local` may be old, within its demands and declarations. */
  readonly consistency: 'latest' | 'local';
  /** What was read; null: the key is absent. A miss that can be an eviction is neither: it is `failed`. Needed when `ok`. */
  readonly value?: string | null | undefined;
  /** Of the entry that was read. */
  readonly revision?: Position | undefined;
  /** Declared by the answer: the copy had applied everything up to here. */
  readonly position?: Position | undefined;
  /** Declared by the answer: the copy held everything that the log held so long before the start. */
  readonly lagMs?: number | undefined;
  /** Demanded. */
  readonly minPosition?: Position | undefined;
  /** Demanded. */
  readonly maxStalenessMs?: number | undefined;
}

export type KeyedWrite = PutOperation | DeleteOperation;
export type WriteOperation = KeyedWrite | ClearOperation | InvalidateOperation;
export type Operation = WriteOperation | ReadOperation;

interface LogFacts {
  /** Default 0. */
  readonly partition?: number | undefined;
  readonly position: Position;
  /** When the log stored it, if that is known by the history's clock. */
  readonly at?: number | undefined;
}

/** One event that was read from the log itself. Says what writes of unknown outcome, and of others, have become of. */
export type LogObservation =
  | (LogFacts & {
      readonly type: 'log';
      readonly event: 'put';
      readonly key: string;
      readonly value: string;
      readonly tags?: readonly string[] | undefined;
      readonly basis?: Position | undefined;
      readonly expiresAt?: number | undefined;
    })
  | (LogFacts & { readonly type: 'log'; readonly event: 'delete'; readonly key: string })
  | (LogFacts & { readonly type: 'log'; readonly event: 'clear' })
  | (LogFacts & { readonly type: 'log'; readonly event: 'tag'; readonly tag: string });

export interface StateEntry {
  readonly key: string;
  readonly revision: Position;
  readonly value: string;
}

/** All entries that a copy, or the log, has of one partition. */
export interface StateObservation extends Actor {
  readonly type: 'state';
  readonly partition?: number | undefined;
  readonly at: number;
  /** Everything up to here is applied. */
  readonly position: Position;
  readonly entries: readonly StateEntry[];
  /** States of the same name were taken when nothing was under way, and must be equal. */
  readonly quiescence?: string | undefined;
  /** False: memory limits may have removed entries. Default true. */
  readonly isComplete?: boolean | undefined;
}

/** The process declared that its copy begins anew: what it showed before does not bind it. */
export interface ResetObservation extends Actor {
  readonly type: 'reset';
  readonly partition?: number | undefined;
  readonly at: number;
}

interface WatchFacts extends Actor {
  readonly type: 'watch';
  /** Which watch, unique in the history. */
  readonly watch: string;
  readonly partition?: number | undefined;
  readonly at: number;
  readonly position: Position;
}

export type WatchObservation =
  /** First of a watch. It tells what is above `position`. */
  | (WatchFacts & {
      readonly event: 'opened';
      /** The watch that it goes on from, in the place where that one stood. */
      readonly resumes?: string | undefined;
      /** The log's head at the opening. Of changes up to here a log that keeps the newest of each key may tell no other. */
      readonly head?: Position | undefined;
      /** Only keys that begin so are told. */
      readonly prefix?: string | undefined;
    })
  | (WatchFacts & { readonly event: 'put'; readonly key: string; readonly value?: string | undefined })
  | (WatchFacts & { readonly event: 'delete'; readonly key: string })
  | (WatchFacts & { readonly event: 'clear' })
  | (WatchFacts & { readonly event: 'tag'; readonly tag: string })
  /** Everything up to `position` was told (a bookmark); `closed` is the last of a watch, and says the same. */
  | (WatchFacts & { readonly event: 'progress' | 'closed' })
  /** What was told is void; it goes on above `position`. */
  | (WatchFacts & { readonly event: 'reset' });

/** A change of membership, as one process learned of it. */
export interface MemberObservation extends Actor {
  readonly type: 'member';
  readonly at: number;
  readonly event: 'joined' | 'left';
  readonly node: string;
  readonly nodeIncarnation: string;
  /** In the control log; the epoch that begins with it. */
  readonly position: Position;
}

export type Observation = LogObservation | StateObservation | ResetObservation | WatchObservation | MemberObservation;
export type HistoryRecord = Operation | Observation;
export type History = readonly HistoryRecord[];

export function isOperation(record: HistoryRecord): record is Operation {
  return 'outcome' in record;
}

export function isWrite(record: HistoryRecord): record is WriteOperation {
  return isOperation(record) && record.type !== 'read';
}

export const partitionOf = (record: { readonly partition?: number | undefined }): number => record.partition ?? 0;

/** One life of one process. */
export const lifeOf = ({ process, incarnation }: Actor): string => JSON.stringify([process, incarnation ?? '']);

export const sessionOf = (operation: Operation): string => operation.session ?? lifeOf(operation);
