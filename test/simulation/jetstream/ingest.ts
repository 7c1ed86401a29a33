/**
 * How a stream takes a write: comparing, recognising repetitions, storing, acknowledging, and each way in which that goes
 * wrong. A replicated stream stores a moment after it has looked, and old servers compare only at the first look.
 */
import type { SeededRandom } from '../../../src/testing/seeded-random.ts';
import { fieldOf, noResponders, textMessage, type WireMessage } from '../world/message.ts';
import type { VirtualTime } from '../world/virtual-time.ts';
import type { Stored, StreamState } from './stream.ts';

/** Faults of writing that are switched on now; shares between 0 and 1. */
export interface WriteFaults {
  /** Nobody takes writes until then. */
  leaderlessUntilMs: number;
  /** Until `faultyUntilMs`: stored, and nobody is told. */
  lostAcks: number;
  /** Until `faultyUntilMs`: never seen again. */
  lostWrites: number;
  faultyUntilMs: number;
}

export interface IngestOptions {
  readonly stream: StreamState;
  readonly time: VirtualTime;
  readonly random: SeededRandom;
  readonly wallMs: (atMs: number) => number;
  readonly faults: WriteFaults;
  /** Looks for the id before it compares positions. */
  readonly looksForIdFirst: boolean;
  /** Of replicated streams: compares only before the servers agree, as versions before 2.9.21 do. */
  readonly comparesWeakly: boolean;
  readonly send: (to: string, message: WireMessage) => void;
  readonly onStored: (message: Stored) => void;
}

const agreementMaxMs = 4;

const refusal = (code: number, errCode: number, description: string): string =>
  JSON.stringify({ error: { code, err_code: errCode, description }, seq: 0 });

export function createIngest(options: IngestOptions): (message: WireMessage) => void {
  const { stream, time, random, faults, send } = options;
  const { name } = stream.config;
  const isReplicated = stream.config.num_replicas > 1;
  /** Subjects and ids between the first look and the storing. */
  const underWay = new Map<string, number>();
  let agreedMs = 0;

  const isFaulty = (): boolean => time.nowMs < faults.faultyUntilMs;
  const isLeaderless = (): boolean => time.nowMs < faults.leaderlessUntilMs;

  function answer(message: WireMessage, text: string): void {
    if (message.reply === undefined || (isFaulty() && random.fraction() < faults.lostAcks)) return;
    send(message.reply, textMessage(message.reply, text));
  }

  function duplicateOf(id: string | undefined): string | undefined {
    const position = id === undefined ? undefined : stream.positionOf(id, options.wallMs(time.nowMs));
    return position === undefined ? undefined : `{"stream":"${name}", "seq":${position},"duplicate": true}`;
  }

  /** The refusal of a write that expects another position. */
  function conflictOf({ subject, header }: WireMessage): string | undefined {
    const expected = fieldOf(header, 'Nats-Expected-Last-Subject-Sequence');
    if (expected === undefined) return undefined;
    if (!options.comparesWeakly && underWay.has(subject)) return refusal(400, 10164, 'wrong last sequence');
    const current = stream.newest(subject)?.position ?? 0;
    return Number(expected) === current ? undefined : refusal(400, 10071, `wrong last sequence: ${current}`);
  }

  function look(message: WireMessage, id: string | undefined): string | undefined {
    return options.looksForIdFirst
      ? (duplicateOf(id) ?? conflictOf(message))
      : (conflictOf(message) ?? duplicateOf(id));
  }

  function store(message: WireMessage, id: string | undefined): void {
    const { subject, header, data } = message;
    const stored = stream.store({ subject, header, data, id, atMs: options.wallMs(time.nowMs) });
    options.onStored(stored);
    answer(message, `{"stream":"${name}", "seq":${stored.position}}`);
  }

  function propose(message: WireMessage, id: string | undefined): void {
    if (id !== undefined && underWay.has(id))
      return answer(message, refusal(500, 10158, 'duplicate message id is in process'));
    const { life } = stream;
    const marks = [message.subject, ...(id === undefined ? [] : [id])];
    for (const mark of marks) underWay.set(mark, (underWay.get(mark) ?? 0) + 1);
    // In the order in which they came.
    agreedMs = Math.max(agreedMs, time.nowMs + random.fraction() * agreementMaxMs);
    time.at(agreedMs, () => {
      for (const mark of marks) {
        const others = (underWay.get(mark) ?? 1) - 1;
        if (others === 0) underWay.delete(mark);
        else underWay.set(mark, others);
      }
      if (stream.life !== life) return;
      // A leader that was deposed meanwhile: the write survives or not, and nobody is told.
      const isDeposed = isLeaderless();
      if (isDeposed && random.fraction() < 0.5) return;
      const duplicate = duplicateOf(id);
      const isWinner =
        fieldOf(message.header, 'Nats-Expected-Last-Subject-Sequence') !== '0' || conflictOf(message) === undefined;
      const silent = isDeposed ? { ...message, reply: undefined } : message;
      if (duplicate !== undefined) answer(silent, duplicate);
      else if (!isWinner) answer(silent, conflictOf(message) ?? '');
      else store(silent, id);
    });
  }

  return (message) => {
    if (isLeaderless()) {
      if (message.reply !== undefined && random.fraction() < 0.9) send(message.reply, noResponders(message.reply));
      return;
    }
    if (isFaulty() && random.fraction() < faults.lostWrites) return;
    const id = fieldOf(message.header, 'Nats-Msg-Id');
    const refused = look(message, id);
    if (refused !== undefined) answer(message, refused);
    else if (isReplicated) propose(message, id);
    else store(message, id);
  };
}
