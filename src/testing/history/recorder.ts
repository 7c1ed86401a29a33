/**
 * Writes a history while things happen: operations get their times when they begin and end, and no two moments are the same, so
 * that what one caller did one after the other stays in that order. For simulations on a fake clock and for real processes alike.
 */
import type { Clock } from '../../base/clock.ts';
import { isSluiceError } from '../../errors.ts';
import type {
  History,
  HistoryRecord,
  KeyedWrite,
  Observation,
  Operation,
  Outcome,
  ReadOperation,
  WriteOperation,
} from './record.ts';

type WithoutTimes<Kind> = Kind extends Operation ? Omit<Kind, 'start' | 'end' | 'outcome'> : never;
type WithoutTime<Kind> = Kind extends { readonly at: number } ? Omit<Kind, 'at'> : Kind;

/** An operation that begins. */
export type Begun = WithoutTimes<Operation>;

interface EndedRead extends Pick<ReadOperation, 'revision' | 'position' | 'lagMs'> {
  readonly value: string | null;
}

/** What is known only when it has ended well: of a read what it saw, of a write its position. */
export type Ended<Type extends Operation['type'] = Operation['type']> = Type extends 'read'
  ? EndedRead
  : Pick<WriteOperation, 'revision'>;

/** What is known of its failure: that its condition was refused, of those that can have one. */
export type Refused<Type extends Operation['type'] = Operation['type']> = Type extends KeyedWrite['type']
  ? Pick<KeyedWrite, 'conflict'>
  : Readonly<Record<string, never>>;

export interface Call<Type extends Operation['type'] = Operation['type']> {
  /** A read must say what it saw. */
  ok(...result: Type extends 'read' ? [result: Ended<Type>] : [result?: Ended<Type>]): void;
  /** It certainly changed nothing. */
  failed(result?: Refused<Type>): void;
  /** It may have taken effect, or may still. Also what a call that is never ended is. */
  unknown(): void;
  /** By the code of the error: unknown unless it is certain that nothing was written. */
  threw(error: unknown): void;
}

export interface HistoryRecorder {
  begin<Type extends Operation['type']>(operation: Begun & { readonly type: Type }): Call<Type>;
  observe(observation: WithoutTime<Observation>): void;
  /** As of now: what has not ended is unknown. In the order of beginnings. */
  history(): History;
}

/** The smallest difference of two moments: 1 µs, more than the last digit of a time since 1970. */
const ticksPerMs = 1_000;

/** Codes of errors after which nothing was written. */
const certain = new Set([
  'bad-request',
  'bad-key',
  'cache-unknown',
  'too-large',
  'position-conflict',
  'cas-unsupported',
  'unsupported',
  'log-unavailable',
  'log-full',
]);

export function outcomeOfError(error: unknown): Outcome {
  return isSluiceError(error) && certain.has(error.code) ? 'failed' : 'unknown';
}

export function createHistoryRecorder(clock: Pick<Clock, 'monotonic'>): HistoryRecorder {
  const records: HistoryRecord[] = [];
  let last = Number.NEGATIVE_INFINITY;

  function now(): number {
    last = Math.max(Math.ceil(clock.monotonic() * ticksPerMs), last + 1);
    return last / ticksPerMs;
  }

  return {
    begin(operation) {
      const start = now();
      const place = records.length;
      const begun = { ...operation, start, end: Number.POSITIVE_INFINITY, outcome: 'unknown' } as Operation;
      records.push(begun);
      let isEnded = false;
      const end = (outcome: Outcome, result: object = {}): void => {
        if (isEnded) return;
        isEnded = true;
        const endedAt = now();
        records[place] = {
          ...begun,
          ...result,
          outcome,
          end: outcome === 'unknown' ? Number.POSITIVE_INFINITY : endedAt,
        } as Operation;
      };
      return {
        ok: (...[result]) => end('ok', result),
        failed: (result) => end('failed', result),
        unknown: () => end('unknown'),
        threw(error) {
          const isRead = operation.type === 'read';
          if (!isRead && outcomeOfError(error) === 'unknown') end('unknown');
          else end('failed', isSluiceError(error, 'position-conflict') ? { conflict: true } : {});
        },
      };
    },
    observe(observation) {
      records.push((observation.type === 'log' ? observation : { ...observation, at: now() }) as Observation);
    },
    history: () => [...records],
  };
}
