/**
 * What a copy holds against the truth, at the moment of looking. For each key that a process can read:
 *
 *   - the value was written by somebody, under that key and revision;
 *   - nothing up to the copy's own position ends it, and nothing is missing up to there (no staleness behind a position, no
 *     resurrection);
 *   - it was true at a moment not longer ago than the copy's declared lag;
 *   - it has not expired by the process's own clock;
 *   - the process has not seen anything newer of that key before (monotonic reads, own writes);
 *   - if it was loaded from a source, nothing that the log stored after the load began ends it.
 */
import { type Event, ends, type History, isIn, mayCountAsVoid } from './history.ts';

/** A look at one key. */
export interface Sight {
  readonly stream: string;
  readonly key: string;
  /** Virtual time of the look. */
  readonly atMs: number;
  readonly value: string | undefined;
  /** undefined: not told, or 0 for a value that only this process has. */
  readonly revision: number | undefined;
  /** Nothing up to here may be missing. */
  readonly position: number;
  /** The answer must have been true at this moment or later. */
  readonly notBeforeMs: number;
  /** The reader may not know that a history was given up after this moment. */
  readonly historyOfMs: number;
  /** By the reader's clock; where several may have judged, the slowest and the fastest. */
  readonly wallMs: number;
  readonly wallMaxMs: number;
}

export interface LoadedValue {
  readonly key: string;
  /** When its loader was called. */
  readonly calledAtMs: number;
}

export interface Truth {
  readonly history: History;
  readonly loads: ReadonlyMap<string, LoadedValue>;
}

/** Numbers of time are sums of fractions. */
const epsilonMs = 1e-6;
/** The store asks its clock once in a ms. */
const clockGrainMs = 2;
/** So long a process may take the old history of a log for the present one. */
const unnoticedMs = 3_500;

/** What is wrong with it; undefined: nothing. */
export function findFault(truth: Truth, sight: Sight): string | undefined {
  // What was proven before the history was given up says nothing about the new one; it must be found out, and till then told as lag.
  const isHistoryKnown = !truth.history.wasResetSince(sight.stream, sight.historyOfMs);
  if (sight.value === undefined) return isHistoryKnown ? findLoss(truth, sight) : undefined;
  const loaded = truth.loads.get(sight.value);
  // A write that is repeated after a rollback is stored again, maybe where it stood before.
  const puts = truth.history.putsOf(sight.value).filter((event) => event.stream === sight.stream);
  const put = puts.findLast(({ position }) => position === sight.revision) ?? puts.at(-1);
  if (loaded !== undefined) {
    // A basis of a history that was given up, and nobody knew, says nothing about the new one.
    const isBasisKnown = !truth.history.wasResetSince(sight.stream, loaded.calledAtMs - unnoticedMs);
    const late = isHistoryKnown && isBasisKnown ? overrulingLoad(truth, sight, loaded) : undefined;
    if (late !== undefined) return `was loaded before ${nameOf(late)} was stored`;
    // It need not be in the log.
    if (put === undefined || put.position !== sight.revision)
      return loaded.key === sight.key ? undefined : 'belongs to another key';
  }
  if (put === undefined) return 'was never written';
  if (put.key !== sight.key) return `belongs to key ${put.key}`;
  if (sight.revision !== undefined && sight.revision !== 0 && put.position !== sight.revision)
    return `has revision ${sight.revision}, the log stored it at ${put.position}`;
  if (put.expiresAtMs <= sight.wallMs - clockGrainMs) return `expired ${sight.wallMs - put.expiresAtMs} ms ago`;
  const touching = truth.history.touching(sight.stream, sight.key);
  if (isHistoryKnown && isIn(put, sight.atMs)) {
    const end = touching.find(
      (event) =>
        isIn(event, sight.atMs) &&
        event.position <= sight.position &&
        ends(event, put) &&
        !isForgotten(event, touching),
    );
    if (end !== undefined) return `is ended by ${nameOf(end)}, within position ${sight.position}`;
  }
  // A loaded value stands for the source as it was when it was loaded.
  return wasTrueSince(put, loaded, touching, sight)
    ? undefined
    : `was not true any more ${sight.atMs - sight.notBeforeMs} ms ago, as old as the answer may be`;
}

/**
 * The log has dropped it, or what had replaced it (a clear replaces everything), so who had not met it before never will. That something
 * was dropped the copy learns from the log's floor, and says meanwhile how old it may be.
 */
const isForgotten = (event: Event, touching: readonly Event[]): boolean =>
  touching.some(
    ({ kind, subject, position, voidAtMs, gone }) =>
      gone !== undefined &&
      (kind === 'clear' || subject === event.subject) &&
      position >= event.position &&
      voidAtMs === event.voidAtMs,
  );

const nameOf = ({ kind, position }: Event): string => `the ${kind} at ${position}`;

function overrulingLoad({ history }: Truth, sight: Sight, { calledAtMs }: LoadedValue): Event | undefined {
  const stored = history.putsOf(sight.value ?? '').findLast((event) => event.stream === sight.stream);
  const tags = stored?.tags ?? [];
  const touching = history.touching(sight.stream, sight.key);
  const before = touching.findLast((event) => event.key === sight.key && event.position < (stored?.position ?? 0));
  return touching.find((event) => {
    // What the log has dropped, nothing can be compared with, nor with what that had replaced.
    if (event.key !== undefined && before?.gone !== undefined) return false;
    if (!isIn(event, sight.atMs) || event.atMs <= calledAtMs || event.position > sight.position) return false;
    // What the log has dropped, it cannot tell to anybody any more.
    if (event.value === sight.value || event.gone !== undefined) return false;
    return event.kind === 'tag' ? tags.includes(event.tag ?? '') : true;
  });
}

/** True when the put stood at some moment from `notBeforeMs` to the look. */
function wasTrueSince(
  put: Event,
  loaded: LoadedValue | undefined,
  touching: readonly Event[],
  { atMs, notBeforeMs }: Sight,
): boolean {
  const trueFromMs = loaded?.calledAtMs ?? put.atMs;
  const fromMs = Math.max(notBeforeMs - epsilonMs, trueFromMs);
  const ending = touching.filter((event) => ends(event, put) && (loaded === undefined || event.atMs > trueFromMs));
  const moments = [
    fromMs,
    ...ending.map((event) => event.voidAtMs).filter((voidAtMs) => voidAtMs > fromMs && voidAtMs <= atMs),
  ];
  return moments.some(
    (moment) => put.voidAtMs > moment && !ending.some((event) => event.atMs < moment && event.voidAtMs > moment),
  );
}

/** An entry that should be there: stored up to the position, ended by nothing since, and still in the log. */
function findLoss({ history }: Truth, { stream, key, atMs, position, wallMaxMs }: Sight): string | undefined {
  const touching = history.touching(stream, key).filter((event) => isIn(event, atMs));
  const due = touching.findLast((event) => event.key === key && event.position <= position);
  if (due === undefined || due.kind !== 'put' || due.gone !== undefined) return undefined;
  if (mayCountAsVoid(due, touching)) return undefined;
  if (due.expiresAtMs <= wallMaxMs + clockGrainMs || touching.some((event) => ends(event, due))) return undefined;
  return `is missing: the put at ${due.position} stands, and ${position} was reached`;
}
