/**
 * The log in memory: the same promises as the real one, without a server.
 *
 * It serves tests, simulations and a process that wants no NATS. It keeps the last message per subject (or all), drops
 * the oldest at a limit, knows message ids and compare-and-set. Its `recreate`, `rollBack`, `silence`, `freeze` and
 * `disconnect` are the faults that a follower must survive.
 */
import { type Clock, every, type Timer } from '../base/clock.ts';
import { abortedBy } from '../base/waiters.ts';
import { SluiceError } from '../errors.ts';
import { parseNatsTtl } from '../events/duration.ts';
import { encodeHeader, formatField, headerNames, headerText, readField } from '../events/header.ts';
import { type LogRecord, type LogWrite, type Position, recordOf } from '../events/record.ts';
import type { Appended, AppendOptions, Log, LogBounds, LogReader, PurgeOptions, ReaderEvents } from './log.ts';

export interface MemoryLogOptions {
  readonly name: string;
  readonly clock: Clock;
  /** Messages kept per subject; 1 is a compacted log (default), Infinity keeps all. */
  readonly messagesPerSubject?: number;
  readonly messagesMax?: number;
  readonly whenFull?: 'drop-oldest' | 'refuse';
  readonly duplicateWindowMs?: number;
  readonly heartbeatMs?: number;
  readonly maxAgeMs?: number;
  /** Removes a message when its `Nats-TTL` is over, and tells nobody. */
  readonly honoursTtl?: boolean;
  readonly subjects?: readonly string[];
}

export interface MemoryLog extends Log {
  /** Deletes the log and makes it again, empty. */
  recreate(): void;
  /** Forgets everything above the position, as a restore from a backup does. */
  rollBack(last: Position): void;
  /** Readers that are open now deliver nothing more, not even heartbeats. */
  silence(): void;
  /** Readers that are open now deliver heartbeats and nothing else, like those on a replica that is cut off from its leader. */
  freeze(): void;
  /** Readers end, as after a lost connection. */
  disconnect(): void;
  /** While false, each call fails with `log-unavailable`. */
  isAvailable: boolean;
  readonly openReaders: number;
}

interface Reader {
  next: Position;
  state: 'live' | 'frozen' | 'silent';
  isIdle: boolean;
  readonly events: ReaderEvents;
  readonly heartbeat: Timer;
}

const rollupAll = formatField(headerNames.rollup, 'all');

export function createMemoryLog(options: MemoryLogOptions): MemoryLog {
  const { name, clock } = options;
  const messagesPerSubject = options.messagesPerSubject ?? 1;
  const messagesMax = options.messagesMax ?? Number.POSITIVE_INFINITY;
  const duplicateWindowMs = options.duplicateWindowMs ?? 30_000;
  const heartbeatMs = options.heartbeatMs ?? 500;

  const records = new Map<Position, LogRecord>();
  const bySubject = new Map<string, Position[]>();
  const ids = new Map<string, { position: Position; atMs: number }>();
  const readers = new Set<Reader>();
  /** What a message removed with all that was before it, for a restore from a backup. */
  let rolledUp: { readonly record: LogRecord; readonly by: Position }[] = [];
  let last = 0;
  let life = 1;

  /** Where the oldest record may stand; none is below. */
  let lowest = 1;

  function floor(): Position {
    while (lowest <= last && !records.has(lowest)) lowest += 1;
    return lowest;
  }

  function remove(position: Position): void {
    const record = records.get(position);
    if (record === undefined) return;
    records.delete(position);
    const positions = bySubject.get(record.subject) ?? [];
    if (positions[0] === position) positions.shift();
    else positions.splice(positions.indexOf(position), 1);
    if (positions.length === 0) bySubject.delete(record.subject);
  }

  function store(write: LogWrite, id: string | undefined): Position {
    const fields = id === undefined ? write.fields : write.fields + formatField(headerNames.messageId, id);
    last += 1;
    const record = recordOf({
      position: last,
      atMs: Math.floor(clock.now()),
      subject: write.subject,
      header: fields === '' ? undefined : encodeHeader(fields),
      data: write.data,
    });
    records.set(last, record);
    expireLater(record);
    insert(write.subject, last);
    const positions = bySubject.get(write.subject) ?? [];
    if (write.fields.includes(rollupAll)) rollUp();
    while (positions.length > messagesPerSubject) remove(positions[0] ?? 0);
    while (records.size > messagesMax) remove(floor());
    return last;
  }

  function insert(subject: string, position: Position): void {
    bySubject.set(
      subject,
      [...(bySubject.get(subject) ?? []), position].sort((a, b) => a - b),
    );
  }

  function rollUp(): void {
    for (const record of [...records.values()]) {
      if (record.position === last) continue;
      rolledUp.push({ record, by: last });
      remove(record.position);
    }
  }

  function expireLater(record: LogRecord): void {
    const { position, header } = record;
    if (options.honoursTtl !== true || header === undefined) return;
    const ttlMs = parseNatsTtl(readField(headerText(header), headerNames.ttl) ?? '') ?? Number.POSITIVE_INFINITY;
    if (ttlMs === Number.POSITIVE_INFINITY) return;
    // The position may have another message by then, or another life.
    clock.timer(ttlMs, () => records.get(position) === record && remove(position));
  }

  function remember(id: string, position: Position): void {
    const now = clock.monotonic();
    for (const [old, { atMs }] of ids) {
      if (now - atMs <= duplicateWindowMs) break;
      ids.delete(old);
    }
    ids.set(id, { position, atMs: now });
  }

  /** The oldest stored record at or above a position. */
  function nextRecord(from: Position): LogRecord | undefined {
    for (let position = Math.max(from, floor()); position <= last; position += 1) {
      const record = records.get(position);
      if (record !== undefined) return record;
    }
    return undefined;
  }

  function countFrom(from: Position): number {
    let count = 0;
    for (let position = Math.max(from, floor()); position <= last; position += 1) if (records.has(position)) count += 1;
    return count;
  }

  function deliver(reader: Reader): void {
    const isLive = (): boolean => readers.has(reader) && reader.state === 'live';
    let pending = isLive() ? countFrom(reader.next) : 0;
    while (isLive()) {
      const record = nextRecord(reader.next);
      if (record === undefined) break;
      reader.next = record.position + 1;
      reader.isIdle = false;
      pending -= 1;
      // What a receiver does to the bytes that it was lent must not reach the log.
      reader.events.record(record.copy(), pending);
    }
    if (!isLive()) return;
    reader.next = Math.max(reader.next, last + 1);
    if (!reader.isIdle) {
      reader.isIdle = true;
      reader.events.idle(clock.monotonic(), Math.min(last, reader.next - 1));
    }
  }

  function beat(reader: Reader): void {
    if (reader.state === 'live') deliver(reader);
    if (!readers.has(reader) || reader.state === 'silent' || !reader.isIdle) return;
    reader.events.idle(
      reader.state === 'live' ? clock.monotonic() : Number.NEGATIVE_INFINITY,
      Math.min(last, reader.next - 1),
    );
  }

  const deliverAll = (): void => {
    for (const reader of readers) deliver(reader);
  };

  function checkAvailable(signal?: AbortSignal): void {
    if (signal?.aborted) throw abortedBy(signal);
    if (!log.isAvailable) throw new SluiceError('log-unavailable', `${name}: the log is not available`);
  }

  function checkExpected(write: LogWrite, expected: Position | undefined): void {
    const current = bySubject.get(write.subject)?.at(-1) ?? 0;
    if (expected === undefined || expected === current) return;
    throw new SluiceError(
      'position-conflict',
      `${write.subject}: expected position ${expected}, the log has ${current}`,
      { details: { expected, current } },
    );
  }

  function endAll(reason: string): void {
    for (const reader of [...readers]) {
      readers.delete(reader);
      reader.heartbeat.cancel();
      reader.events.ended(reason);
    }
  }

  const log: MemoryLog = {
    name,
    isAvailable: true,
    isCompareAndSetSafe: true,
    honoursTtl: options.honoursTtl ?? false,
    allowsRollup: true,
    subjects: options.subjects ?? ['>'],
    maxAgeMs: options.maxAgeMs ?? Number.POSITIVE_INFINITY,
    get openReaders() {
      return readers.size;
    },
    async append(write: LogWrite, appendOptions: AppendOptions = {}): Promise<Appended> {
      const { id, expected, signal } = appendOptions;
      checkAvailable(signal);
      const earlier = id === undefined ? undefined : ids.get(id);
      if (earlier !== undefined && clock.monotonic() - earlier.atMs <= duplicateWindowMs) {
        return { position: earlier.position, isDuplicate: true };
      }
      checkExpected(write, expected);
      if (options.whenFull === 'refuse' && records.size >= messagesMax && !bySubject.has(write.subject)) {
        throw new SluiceError(
          'log-full',
          `${name}: ${records.size} messages, the log is full and set to refuse writes`,
        );
      }
      const position = store(write, id);
      if (id !== undefined) remember(id, position);
      queueMicrotask(deliverAll);
      return { position, isDuplicate: false };
    },
    async bounds(signal?: AbortSignal): Promise<LogBounds> {
      checkAvailable(signal);
      const lastAtMs = records.get(last)?.atMs;
      return {
        ...{ first: floor(), last, identity: `${name}#${life}`, messages: records.size },
        ...(lastAtMs === undefined ? {} : { lastAtMs }),
      };
    },
    async latest(subject: string, signal?: AbortSignal): Promise<LogRecord | undefined> {
      checkAvailable(signal);
      const record = records.get(bySubject.get(subject)?.at(-1) ?? 0);
      return record?.copy();
    },
    confirmHead: () => Promise.resolve(),
    async open(from: Position, events: ReaderEvents): Promise<LogReader> {
      checkAvailable();
      const heartbeat = every(clock, heartbeatMs, () => beat(reader));
      const reader: Reader = { next: from, state: 'live', isIdle: false, events, heartbeat };
      readers.add(reader);
      queueMicrotask(() => deliver(reader));
      return {
        async close() {
          heartbeat.cancel();
          readers.delete(reader);
        },
      };
    },
    async purge({ subject, below }: PurgeOptions = {}): Promise<number> {
      checkAvailable();
      const doomed = [...records.values()].filter(
        (record) =>
          (subject === undefined || isCovered(record.subject, subject)) &&
          (below === undefined || record.position < below),
      );
      for (const record of doomed) remove(record.position);
      return doomed.length;
    },
    recreate() {
      records.clear();
      bySubject.clear();
      ids.clear();
      rolledUp = [];
      last = 0;
      lowest = 1;
      life += 1;
      endAll('consumer deleted');
    },
    rollBack(newLast: Position) {
      for (const position of [...records.keys()]) if (position > newLast) remove(position);
      for (const { record, by } of rolledUp) {
        if (by <= newLast || record.position > newLast) continue;
        records.set(record.position, record);
        insert(record.subject, record.position);
      }
      rolledUp = rolledUp.filter(({ by }) => by <= newLast);
      last = newLast;
      lowest = 1;
      ids.clear();
      endAll('consumer deleted');
    },
    silence() {
      for (const reader of readers) reader.state = 'silent';
    },
    freeze() {
      for (const reader of readers) reader.state = 'frozen';
    },
    disconnect() {
      endAll('connection lost');
    },
  };
  return log;
}

/** `a.>` covers all that begins with `a.`. */
const isCovered = (subject: string, filter: string): boolean =>
  filter.endsWith('.>') ? subject.startsWith(filter.slice(0, -1)) : subject === filter;
