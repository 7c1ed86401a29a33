/**
 * What a simulated stream holds: the newest messages of each subject in one order, and the ids of those stored lately. It
 * decides nothing about leaders, answers or faults; whoever watches is told of everything that comes and goes.
 */
import { headerNames, headerText, readField } from '../../../src/events/header.ts';

export interface Stored {
  readonly position: number;
  /** By the server's clock, ms since 1970 UTC. */
  readonly atMs: number;
  readonly subject: string;
  readonly header: Uint8Array | undefined;
  readonly data: Uint8Array;
  readonly id: string | undefined;
}

export interface StreamConfig {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly num_replicas: number;
  readonly max_msgs_per_subject?: number;
  readonly duplicate_window?: number;
  readonly allow_msg_ttl?: boolean;
  readonly [field: string]: unknown;
}

export type Removal = 'superseded' | 'purged' | 'dropped' | 'expired' | 'rolled-back' | 'recreated';

/** Told in the order of things. */
export interface StreamWitness {
  stored(stream: string, message: Stored): void;
  removed(stream: string, message: Stored, why: Removal): void;
  /** A new history begins: positions above `last` mean nothing any more. */
  reset(stream: string, last: number, why: 'recreated' | 'rolled-back'): void;
}

export interface StreamState {
  config: StreamConfig;
  /** Another one for each life. */
  created: string;
  readonly first: number;
  readonly last: number;
  readonly size: number;
  /** Grows when a history ends: what was under way belongs to the one before. */
  readonly life: number;
  /** Of the message at `last`, while it is there. */
  readonly lastAtMs: number | undefined;
  store(message: Omit<Stored, 'position'>): Stored;
  at(position: number): Stored | undefined;
  newest(subject: string): Stored | undefined;
  /** The first message at or above a position, up to a limit. */
  next(from: number, through: number): Stored | undefined;
  countFrom(from: number, through: number): number;
  /** The position under which the id was stored lately. */
  positionOf(id: string, nowMs: number): number | undefined;
  remove(isDoomed: (message: Stored) => boolean, why: Removal): number;
  /** The server is started anew: of what it no longer has, it does not know the ids. */
  restart(): void;
  recreate(created: string): void;
  /** As after a restore from a backup: what was replaced since is there again, what was purged is not. */
  rollBack(last: number): void;
  messages(): Iterable<Stored>;
}

export function createStreamState(config: StreamConfig, created: string, witness: StreamWitness): StreamState {
  const { name } = config;
  const messages = new Map<number, Stored>();
  const bySubject = new Map<string, number[]>();
  const ids = new Map<string, { readonly position: number; readonly atMs: number }>();
  /** What was replaced, for a restore from a backup. */
  let replaced: { readonly message: Stored; readonly by: number }[] = [];
  let last = 0;
  let lowest = 1;
  let life = 1;

  function first(): number {
    while (lowest <= last && !messages.has(lowest)) lowest += 1;
    return lowest;
  }

  function take(message: Stored, why: Removal): void {
    messages.delete(message.position);
    const positions = (bySubject.get(message.subject) ?? []).filter((position) => position !== message.position);
    if (positions.length === 0) bySubject.delete(message.subject);
    else bySubject.set(message.subject, positions);
    witness.removed(name, message, why);
  }

  function next(from: number, through: number): Stored | undefined {
    for (let position = Math.max(from, first()); position <= Math.min(last, through); position += 1) {
      const message = messages.get(position);
      if (message !== undefined) return message;
    }
    return undefined;
  }

  const state: StreamState = {
    config,
    created,
    get first() {
      return first();
    },
    get last() {
      return last;
    },
    get size() {
      return messages.size;
    },
    get life() {
      return life;
    },
    get lastAtMs() {
      return messages.get(last)?.atMs;
    },
    store(unplaced) {
      last += 1;
      const message: Stored = { ...unplaced, position: last };
      messages.set(last, message);
      if (message.id !== undefined) ids.set(message.id, { position: last, atMs: message.atMs });
      const positions = [...(bySubject.get(message.subject) ?? []), last];
      bySubject.set(message.subject, positions);
      witness.stored(name, message);
      if (message.header !== undefined && readField(headerText(message.header), headerNames.rollup) === 'all') {
        const by = last;
        for (const before of [...messages.values()]) {
          if (before.position === by) continue;
          take(before, 'superseded');
          replaced.push({ message: before, by });
        }
        bySubject.set(message.subject, [by]);
      }
      const limit = config.max_msgs_per_subject ?? -1;
      if (limit > 0 && positions.length > limit) {
        const oldest = messages.get(positions[0] ?? 0);
        if (oldest !== undefined) {
          take(oldest, 'superseded');
          replaced.push({ message: oldest, by: last });
        }
      }
      return message;
    },
    at: (position) => messages.get(position),
    newest: (subject) => messages.get(bySubject.get(subject)?.at(-1) ?? 0),
    next,
    countFrom(from, through) {
      let count = 0;
      for (let at = next(from, through); at !== undefined; at = next(at.position + 1, through)) count += 1;
      return count;
    },
    positionOf(id, nowMs) {
      const known = ids.get(id);
      const windowMs = (config.duplicate_window ?? 0) / 1e6 || 120_000;
      return known !== undefined && nowMs - known.atMs <= windowMs ? known.position : undefined;
    },
    remove(isDoomed, why) {
      const doomed = [...messages.values()].filter(isDoomed);
      for (const message of doomed) take(message, why);
      return doomed.length;
    },
    restart() {
      for (const [id, { position }] of ids) if (!messages.has(position)) ids.delete(id);
    },
    recreate(nextCreated) {
      state.remove(() => true, 'recreated');
      ids.clear();
      replaced = [];
      last = 0;
      lowest = 1;
      life += 1;
      state.created = nextCreated;
      witness.reset(name, 0, 'recreated');
    },
    rollBack(newLast) {
      state.remove((message) => message.position > newLast, 'rolled-back');
      ids.clear();
      last = newLast;
      const returning = replaced.filter(({ message, by }) => message.position <= newLast && by > newLast);
      replaced = replaced.filter(({ by }) => by <= newLast);
      for (const { message } of returning) {
        messages.set(message.position, message);
        bySubject.set(message.subject, [message.position]);
      }
      lowest = 1;
      life += 1;
      witness.reset(name, newLast, 'rolled-back');
    },
    messages: () => messages.values(),
  };
  return state;
}
