/**
 * A log as one process sees it, with gates: records that are on their way, and acknowledgements that are on theirs, wait
 * until they are let through. So any order in which a process can learn of things is a matter of a few calls.
 */
import { SluiceError } from '../../src/errors.ts';
import type { LogRecord, Position } from '../../src/events/record.ts';
import type { Appended, Log, ReaderEvents } from '../../src/log/log.ts';

export interface GatedLog extends Log {
  /** From now on records wait. */
  hold(): void;
  /** Lets so many of the waiting records through (default: all); returns how many there were. */
  deliver(count?: number): number;
  /** Lets all through, also those to come. */
  release(): void;
  /** Drops what waits up to there and says that all of it was delivered or is gone, as a server does after a purge. */
  skip(through: Position): void;
  holdAcks(): void;
  releaseAcks(): void;
  /** Answers to questions about one key wait. */
  holdAnswers(): void;
  releaseAnswers(): void;
  /** Every call fails, and readers end. */
  isReachable: boolean;
  /** Called with each record that is let through. */
  onDelivered: ((record: LogRecord) => void) | undefined;
  readonly waiting: number;
}

interface Waiting {
  readonly events: ReaderEvents;
  readonly record: LogRecord;
  readonly pending: number;
}

interface Gate {
  isOpen: boolean;
  readonly waiting: (() => void)[];
}

export function createGatedLog(log: Log, overrides: Partial<Log> = {}): GatedLog {
  let isHeld = false;
  let records: Waiting[] = [];
  const readers = new Set<ReaderEvents>();
  const followers = new Set<ReaderEvents>();
  const acks: Gate = { isOpen: true, waiting: [] };
  const answers: Gate = { isOpen: true, waiting: [] };
  let isReachable = true;

  const through = async <Result>(gate: Gate, result: Promise<Result>): Promise<Result> => {
    const settled = await result.then(
      (value) => () => value,
      (error: unknown) => () => {
        throw error;
      },
    );
    if (!gate.isOpen) await new Promise<void>((resolve) => gate.waiting.push(resolve));
    return settled();
  };

  function open(gate: Gate): void {
    gate.isOpen = true;
    for (const resume of gate.waiting.splice(0)) resume();
  }

  function pass({ events, record, pending }: Waiting): void {
    gated.onDelivered?.(record);
    events.record(record, pending);
  }

  async function reach<Result>(call: () => Promise<Result>): Promise<Result> {
    if (!isReachable) throw new SluiceError('log-unavailable', `${log.name}: cannot be reached`);
    return call();
  }

  const gated: GatedLog = {
    name: log.name,
    isCompareAndSetSafe: log.isCompareAndSetSafe,
    honoursTtl: log.honoursTtl,
    allowsRollup: log.allowsRollup,
    subjects: log.subjects,
    maxAgeMs: log.maxAgeMs,
    ...overrides,
    onDelivered: undefined,
    get waiting() {
      return records.length;
    },
    get isReachable() {
      return isReachable;
    },
    set isReachable(reachable) {
      isReachable = reachable;
      if (reachable) return;
      for (const events of [...readers]) events.ended('connection lost');
    },
    hold() {
      isHeld = true;
    },
    deliver(count = records.length) {
      const passing = records.slice(0, count);
      records = records.slice(count);
      for (const waiting of passing) pass(waiting);
      return passing.length;
    },
    release() {
      isHeld = false;
      while (records.length > 0) gated.deliver();
    },
    skip(through) {
      records = records.filter(({ record }) => record.position > through);
      for (const events of followers) events.idle(Number.NEGATIVE_INFINITY, through);
    },
    holdAcks() {
      acks.isOpen = false;
    },
    releaseAcks: () => open(acks),
    holdAnswers() {
      answers.isOpen = false;
    },
    releaseAnswers: () => open(answers),
    append: (write, options): Promise<Appended> => reach(() => through(acks, log.append(write, options))),
    bounds: (signal) => reach(() => log.bounds(signal)),
    latest: (subject, signal) => reach(() => through(answers, log.latest(subject, signal))),
    confirmHead: (head) => reach(() => log.confirmHead(head)),
    purge: (options) => reach(() => log.purge(options)),
    open: (from: Position, events, options) =>
      reach(async () => {
        const outer: ReaderEvents = {
          record(record, pending) {
            const waiting = { events, record, pending };
            if (isHeld || records.length > 0) records.push(waiting);
            else pass(waiting);
          },
          // With records on their way nothing is proven, and yet the reader lives.
          idle: (provenAtMs, position) => (records.length > 0 ? events.alive() : events.idle(provenAtMs, position)),
          alive: () => events.alive(),
          ended(reason) {
            forget();
            events.ended(reason);
          },
        };
        function forget(): void {
          readers.delete(outer);
          followers.delete(events);
          records = records.filter((waiting) => waiting.events !== events);
        }
        const reader = await log.open(from, outer, options);
        readers.add(outer);
        followers.add(events);
        return {
          async close() {
            forget();
            await reader.close();
          },
        };
      }),
  };
  return gated;
}
