/**
 * Linearizability of one small history by trying everything: every order, every choice of what took place, every position that
 * a write without a known one can have had. It shares nothing with the checker that it is compared with: it keeps no state of the
 * key but the log so far, and reads the rules of docs/history-format.md off that, each time from its beginning.
 */
import type {
  ClearOperation,
  History,
  InvalidateOperation,
  KeyedWrite,
  Operation,
  PutOperation,
  ReadOperation,
} from '../../src/testing/history/record.ts';

type Write = KeyedWrite | ClearOperation | InvalidateOperation;

/** A write where the log has it. A position with a half is one that nobody names. */
interface Stored {
  readonly write: Write;
  readonly position: number;
  /** Of a loaded value: an invalidation above its basis was there before it. */
  readonly isVoid: boolean;
}

/** Whether the operations of one key (and the clears of its partition, and the invalidations of its tags) have an order. */
export function isLinearizableByForce(history: History): boolean {
  const tags = history.flatMap((record) => (record.type === 'put' ? (record.tags ?? []) : []));
  const operations = history.filter(
    (record): record is Operation =>
      'outcome' in record &&
      (record.type !== 'invalidate' || tags.includes(record.tag)) &&
      (record.type === 'read' ? record.outcome === 'ok' && record.consistency === 'latest' : tellsSomething(record)),
  );
  const mustBe = (operation: Operation): boolean => operation.outcome !== 'unknown';
  const places = placesOf(operations);

  function hasOrder(left: readonly Operation[], log: readonly Stored[]): boolean {
    if (!left.some(mustBe)) return true;
    // What ended before another one began comes before it.
    const firstEnd = Math.min(...left.filter(mustBe).map(({ end }) => end));
    return left
      .filter(({ start }) => start <= firstEnd)
      .some((operation) =>
        logsAfter(operation, log, places).some((next) =>
          hasOrder(
            left.filter((other) => other !== operation),
            next,
          ),
        ),
      );
  }
  return hasOrder(operations, []);
}

/** A write that failed changed nothing; if its condition was refused, that is an observation. */
const tellsSomething = (write: Write): boolean =>
  write.outcome !== 'failed' || ('conflict' in write && write.conflict === true);

/** All positions that are named, and one in each gap, for all that nobody names. */
function placesOf(operations: readonly Operation[]): number[] {
  const named = operations.flatMap((operation) => [knownPosition(operation), conditionOf(operation)]);
  const whole = named.filter((position) => position !== undefined);
  return [...new Set([0.5, ...whole.flatMap((position) => [position, position + 0.5])])].sort((one, two) => one - two);
}

const conditionOf = (operation: Operation): number | undefined =>
  'ifRevision' in operation ? operation.ifRevision : undefined;

function knownPosition(operation: Operation): number | undefined {
  return operation.outcome === 'ok' ? operation.revision : undefined;
}

/** Every log that the operation may leave behind; none: it cannot have taken place now. */
function logsAfter(operation: Operation, log: readonly Stored[], places: readonly number[]): (readonly Stored[])[] {
  if (operation.type === 'read') return isSeen(operation, log) ? [log] : [];
  if (operation.outcome === 'failed') return isRefusal(operation as KeyedWrite, log) ? [log] : [];
  if (!isAllowed(operation, log)) return [];
  const head = log.at(-1)?.position ?? 0;
  const known = knownPosition(operation);
  const possible = places.filter(
    (place) => place > head || (place === head && !Number.isInteger(place) && known === undefined),
  );
  return possible
    .filter((place) => known === undefined || place === known)
    .flatMap((position) => voids(operation, log).map((isVoid) => [...log, { write: operation, position, isVoid }]));
}

/** The last put or delete of the key, from its place in the log to the log's end. */
function sinceLastMessage(log: readonly Stored[]): readonly Stored[] {
  return log.slice(
    Math.max(
      0,
      log.findLastIndex(({ write }) => write.type === 'put' || write.type === 'delete'),
    ),
  );
}

/** The put whose entry is there, as if entries had no end of life. */
function entryIn(log: readonly Stored[]): PutOperation | undefined {
  const [message, ...later] = sinceLastMessage(log);
  if (message?.write.type !== 'put' || message.isVoid) return undefined;
  const { tags = [] } = message.write;
  const ended = later.some(
    ({ write }) => write.type === 'clear' || (write.type === 'invalidate' && tags.includes(write.tag)),
  );
  return ended ? undefined : message.write;
}

function lastPosition(log: readonly Stored[]): number {
  const message = sinceLastMessage(log)[0];
  return message === undefined || !('key' in message.write) ? 0 : message.position;
}

/** "From then on the key may be absent", as long as the operation had not ended. */
function mayBeAbsent(log: readonly Stored[], operation: Operation): boolean {
  const entry = entryIn(log);
  if (entry === undefined) return true;
  const lastMoment = operation.outcome === 'unknown' ? Number.POSITIVE_INFINITY : operation.end;
  return entry.expiresAt !== undefined && entry.expiresAt <= lastMoment;
}

function isSeen(read: ReadOperation, log: readonly Stored[]): boolean {
  if (read.value === null) return mayBeAbsent(log, read);
  return entryIn(log)?.value === read.value && (read.revision === undefined || read.revision === lastPosition(log));
}

function isRefusal(write: KeyedWrite, log: readonly Stored[]): boolean {
  if (write.type === 'put' && write.ifAbsent === true) return entryIn(log) !== undefined;
  // Whoever serves a compare-and-set may also refuse it because the entry is gone.
  return write.ifRevision === undefined || entryIn(log) === undefined || write.ifRevision !== lastPosition(log);
}

function isAllowed(write: Write, log: readonly Stored[]): boolean {
  if (!('key' in write)) return true;
  if (write.ifRevision !== undefined && write.ifRevision !== lastPosition(log)) return false;
  return write.type === 'delete' || write.ifAbsent !== true || mayBeAbsent(log, write);
}

/** Whether it can be void on arrival: an invalidation whose position nobody knows may be above its basis, or not. */
function voids(write: Write, log: readonly Stored[]): readonly boolean[] {
  if (write.type !== 'put' || write.basis === undefined) return [false];
  const { basis, tags = [] } = write;
  const against = log
    .map((stored) => stored.write)
    .filter((one) => one.type === 'clear' || (one.type === 'invalidate' && tags.includes(one.tag)));
  if (against.some((one) => (knownPosition(one) ?? 0) > basis)) return [true];
  return against.some((one) => knownPosition(one) === undefined) ? [false, true] : [false];
}
