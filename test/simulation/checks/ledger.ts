/**
 * What processes were told of their writes, against what the log stored: an acknowledged write is there, a refused one is
 * not, no write is there twice, and of those that compared with one revision at most one has won.
 */
import { type Event, ends, type History, isIn } from './history.ts';

export interface WriteRecord {
  readonly kind: 'put' | 'delete';
  readonly by: string;
  readonly stream: string;
  readonly key: string;
  /** Unique; of a put. */
  readonly value: string | undefined;
  readonly ifRevision: number | undefined;
  readonly ifAbsent: boolean | undefined;
  readonly startedMs: number;
  endedMs: number;
  /** undefined: not ended, or its process died. */
  outcome: { readonly position: number } | { readonly error: string } | undefined;
}

export interface Ledger {
  readonly writes: readonly WriteRecord[];
  begin(write: Omit<WriteRecord, 'endedMs' | 'outcome'>): WriteRecord;
  /** To be called when the write has ended. */
  end(write: WriteRecord, outcome: WriteRecord['outcome']): void;
  /** Looks at all again, when everything has come to rest. */
  finish(): void;
}

export interface LedgerOptions {
  readonly history: History;
  readonly nowMs: () => number;
  readonly fault: (what: string) => void;
}

/** The writer cannot know whether it was stored. */
const isUnknown = (error: string): boolean => error === 'outcome-unknown' || error === 'internal';

export function createLedger({ history, nowMs, fault }: LedgerOptions): Ledger {
  const writes: WriteRecord[] = [];

  function checkAcknowledged(write: WriteRecord, position: number): void {
    const { stream, key, value, kind, by, startedMs } = write;
    const told = `${by}: ${kind} of ${key} was acknowledged at ${position}`;
    const candidates = history
      .events(stream)
      .filter((event) => event.position === position && event.voidAtMs >= startedMs);
    const event = candidates.find(
      (one) => one.key === key && one.kind === kind && (value === undefined || one.value === value),
    );
    if (event === undefined)
      return fault(
        `${told}, where the log has ${candidates.map(({ subject, value: other }) => `${subject} ${other ?? ''}`).join() || 'nothing'}`,
      );
    if (write.ifRevision !== undefined || write.ifAbsent) checkComparison(write, event);
  }

  function checkComparison({ by, key, ifRevision, ifAbsent, stream }: WriteRecord, event: Event): void {
    const before = history
      .touching(stream, key)
      .filter((other) => other.position < event.position && isIn(other, event.atMs));
    const last = before.findLast((other) => other.key === key);
    if (ifRevision !== undefined && (last?.position ?? 0) !== ifRevision)
      fault(
        `${by}: compare-and-set of ${key} with revision ${ifRevision} won at ${event.position}, over ${last?.position ?? 0}`,
      );
    const stood =
      last?.kind === 'put' && last.gone === undefined && !before.some((other) => ends(other, last)) ? last : undefined;
    if (ifAbsent && stood !== undefined && stood.expiresAtMs === Number.POSITIVE_INFINITY)
      fault(`${by}: create of ${key} won at ${event.position}, over the put at ${stood.position}`);
  }

  function checkStoredOnce({ value, by, key }: WriteRecord): void {
    if (value === undefined) return;
    const puts = history.putsOf(value);
    const twice = puts.find(
      (put, index) => index > 0 && !history.wasResetSince(put.stream, puts[index - 1]?.atMs ?? 0),
    );
    if (twice !== undefined)
      fault(`${by}: the put of ${key} was stored ${puts.length} times, again at ${twice.position}`);
  }

  return {
    writes,
    begin(write) {
      const record: WriteRecord = { ...write, endedMs: Number.POSITIVE_INFINITY, outcome: undefined };
      writes.push(record);
      return record;
    },
    end(write, outcome) {
      write.endedMs = nowMs();
      write.outcome = outcome;
      if (outcome !== undefined && 'position' in outcome) checkAcknowledged(write, outcome.position);
    },
    finish() {
      for (const write of writes) {
        checkStoredOnce(write);
        const { outcome, value, by, key } = write;
        if (outcome === undefined || value === undefined || 'position' in outcome || isUnknown(outcome.error)) continue;
        const stored = history.putsOf(value)[0];
        if (stored !== undefined)
          fault(`${by}: put of ${key} failed with ${outcome.error}, and was stored at ${stored.position}`);
      }
    },
  };
}
