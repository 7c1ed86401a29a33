/**
 * One history for each cache, written while things happen, and what a report counts. Times are of this process's clock: an
 * operation of another process begins before it is asked and ends after it has answered.
 */
import { createHash } from 'node:crypto';
import { systemClock } from '../../../../src/base/clock.ts';
import { isSluiceError } from '../../../../src/errors.ts';
import {
  type Begun,
  createHistoryRecorder,
  type Ended,
  type HistoryRecorder,
  outcomeOfError,
} from '../../../../src/testing/index.ts';

export interface Counts {
  operations: number;
  acknowledgedWrites: number;
  failed: number;
  unknown: number;
  answeredReads: number;
  /** Longest time without an acknowledged write, and without an answered read, while the workload ran. */
  longestWriteOutageMs: number;
  longestReadOutageMs: number;
  /** By code of the error. */
  readonly errors: Map<string, number>;
}

export interface Histories {
  readonly counts: Counts;
  of(cache: string): HistoryRecorder;
  /** Runs and records an operation; undefined when it did not end well. */
  run<Answer extends Ended>(cache: string, operation: Begun, work: () => Promise<Answer>): Promise<Answer | undefined>;
  /** What an error means for the operations that began together: noted once. */
  note(error: unknown): void;
  /** From now on silence is an outage, or none. */
  watchOutages(isOn: boolean): void;
}

/** What a long value is recorded as. */
export function shownValue(value: string): string {
  return value.length <= 64 ? value : `sha1-${createHash('sha1').update(value).digest('hex')}`;
}

export function createHistories(caches: readonly string[]): Histories {
  const recorders = new Map(caches.map((cache) => [cache, createHistoryRecorder(systemClock)]));
  const counts: Counts = {
    operations: 0,
    acknowledgedWrites: 0,
    failed: 0,
    unknown: 0,
    answeredReads: 0,
    longestWriteOutageMs: 0,
    longestReadOutageMs: 0,
    errors: new Map(),
  };
  let isWatching = false;
  let lastWriteMs = 0;
  let lastReadMs = 0;

  function of(cache: string): HistoryRecorder {
    const recorder = recorders.get(cache);
    if (recorder === undefined) throw new Error(`${cache}: no such history`);
    return recorder;
  }

  function answered(isRead: boolean): void {
    const now = performance.now();
    if (isRead) {
      counts.answeredReads += 1;
      if (isWatching) counts.longestReadOutageMs = Math.max(counts.longestReadOutageMs, now - lastReadMs);
      lastReadMs = now;
    } else {
      counts.acknowledgedWrites += 1;
      if (isWatching) counts.longestWriteOutageMs = Math.max(counts.longestWriteOutageMs, now - lastWriteMs);
      lastWriteMs = now;
    }
  }

  function note(error: unknown): void {
    const code = isSluiceError(error) ? error.code : 'no answer';
    counts.errors.set(code, (counts.errors.get(code) ?? 0) + 1);
  }

  return {
    counts,
    of,
    note,
    async run(cache, operation, work) {
      counts.operations += 1;
      const call = of(cache).begin(operation);
      try {
        const answer = await work();
        call.ok(answer);
        answered(operation.type === 'read');
        return answer;
      } catch (error) {
        note(error);
        call.threw(error);
        if (operation.type !== 'read' && !isCertain(error)) counts.unknown += 1;
        else counts.failed += 1;
        return undefined;
      }
    },
    watchOutages(isOn) {
      isWatching = isOn;
      lastWriteMs = lastReadMs = performance.now();
    },
  };
}

/** As the recorder judges. */
const isCertain = (error: unknown): boolean => outcomeOfError(error) === 'failed';
