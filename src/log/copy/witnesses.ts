/**
 * The messages that were applied last, as witnesses: by them a follower that comes back finds out whether the log is still the
 * one that it knows. A log that was rolled back and has grown again beyond the follower's position has the same identity and a
 * higher head; only its messages are others.
 *
 * Three things give it away. Where a witness stood, another message stands now. Or the newest message of a witness's subject
 * stands elsewhere among what was read, lower or higher, which never happens otherwise. Or there is none any more, though the log
 * still begins below: that may be an expiry or a purge, too, but then as well it is not known what else has gone.
 *
 * A witness that was replaced above all that was read says nothing, but its key will be delivered anew. A witness that still
 * stands where it stood proves that all below it is unchanged. When all of them were replaced since, nobody can tell, and no
 * doubt is raised.
 */
import { withGetters } from '../../base/with-getters.ts';
import type { LogRecord, Position } from '../../events/record.ts';
import type { Log } from '../log.ts';

export interface Witnesses {
  /** From here on everything that was applied is known; 0: nothing was. */
  readonly oldest: Position;
  note(record: LogRecord): void;
  forget(): void;
  /** What a message that is delivered again says against the log, or undefined. */
  contradiction(record: LogRecord): string | undefined;
  /** From now until the returned call, all that is applied is remembered for `storedAtMs`, not only the last few. */
  attend(): () => void;
  /** When the message that was applied there was stored, or undefined: there was none, or it is forgotten. */
  storedAtMs(position: Position): number | undefined;
  /** What is known now, for a question that is asked when more may have come in. */
  testimony(): Testimony;
}

export interface Testimony {
  /**
   * Asks the log's leader; resolves with what speaks against it, or undefined. Below `floor` the log has nothing any more.
   * Rejects when the leader does not answer.
   */
  compare(log: Log, floor: Position, signal: AbortSignal): Promise<string | undefined>;
}

interface Witness {
  readonly position: Position;
  readonly atMs: number;
  readonly subject: string;
}

/** A place in the ring. */
interface Seat {
  position: Position;
  atMs: number;
  /** A copy of the subject, which becomes text when somebody asks. */
  subject: Buffer;
  subjectLength: number;
}

const witnessesMax = 16;
/** While a question to the log is under way so many messages are remembered; who cannot keep up with more learns less. */
const attendedMax = 100_000;

export function createWitnesses(): Witnesses {
  // A ring of objects that are used again: a replay notes millions of messages.
  const ring = Array.from({ length: witnessesMax }, createSeat);
  let next = 0;
  /** Questions under way, and what was applied since the first of them. */
  let attending = 0;
  const attended = new Map<Position, number>();

  const known = (): Witness[] =>
    ring
      .filter(({ position }) => position > 0)
      .map(({ position, atMs, subject, subjectLength }) => ({
        ...{ position, atMs },
        subject: subject.toString('utf8', 0, subjectLength),
      }));

  /** The newest first, one for each subject. */
  function distinct(): Witness[] {
    const subjects = new Set<string>();
    return known()
      .sort((a, b) => b.position - a.position)
      .filter(({ subject }) => !subjects.has(subject) && subjects.add(subject));
  }

  const getters = {
    oldest: () => {
      const positions = known().map(({ position }) => position);
      return positions.length === 0 ? 0 : Math.min(...positions);
    },
  };
  return withGetters<Witnesses, keyof typeof getters>(getters, {
    note({ position, atMs, subjectBytes }) {
      const seat = ring[next];
      next = (next + 1) % witnessesMax;
      if (seat === undefined) return;
      seat.position = position;
      seat.atMs = atMs;
      if (seat.subject.length < subjectBytes.length) seat.subject = Buffer.allocUnsafeSlow(2 * subjectBytes.length);
      for (let at = 0; at < subjectBytes.length; at += 1) seat.subject[at] = subjectBytes[at] ?? 0;
      seat.subjectLength = subjectBytes.length;
      if (attending > 0 && attended.size < attendedMax) attended.set(position, atMs);
    },
    forget() {
      for (const seat of ring) seat.position = 0;
      attended.clear();
    },
    attend() {
      attending += 1;
      for (const { position, atMs } of known()) attended.set(position, atMs);
      return () => {
        attending -= 1;
        if (attending === 0) attended.clear();
      };
    },
    storedAtMs: (position) => attended.get(position) ?? known().find((witness) => witness.position === position)?.atMs,
    contradiction({ position, atMs, subject }) {
      const witnesses = known();
      if (!witnesses.some((witness) => witness.position <= position)) return undefined;
      const isKnown = witnesses.some(
        (witness) => witness.position === position && witness.atMs === atMs && witness.subject === subject,
      );
      return isKnown ? undefined : `another message stands at ${position}`;
    },
    testimony() {
      const witnesses = distinct();
      return { compare: (log, floor, signal) => compare(witnesses, log, floor, signal) };
    },
  });
}

const createSeat = (): Seat => ({ position: 0, atMs: 0, subject: Buffer.allocUnsafeSlow(64), subjectLength: 0 });

async function compare(
  witnesses: readonly Witness[],
  log: Log,
  floor: Position,
  signal: AbortSignal,
): Promise<string | undefined> {
  const newest = witnesses[0]?.position ?? 0;
  for (const { position, atMs, subject } of witnesses) {
    const found = await log.latest(subject, signal);
    if (found === undefined ? position < floor : found.position > newest) continue;
    if (found === undefined) return `the message at ${position} is gone, and nothing has replaced it`;
    if (found.position === position && found.atMs === atMs) return undefined;
    return found.position === position
      ? `another message stands at ${position}`
      : `the newest message of ${subject} stands at ${found.position}, and was at ${position}`;
  }
  return undefined;
}
