/**
 * A stage between a reader and its listener, for nats-servers before 2.9.12. There a purge of one subject, by request or by the
 * header `Nats-Rollup`, moves every consumer forward past all that it has not delivered yet, whatever the subject; its own count
 * goes on without a gap. So wherever positions are missing the stream is asked whether it has a message there. Until it has
 * answered, nothing that lies behind is told: what was not shown to be complete is not applied.
 */
import { messageOf } from '../../errors.ts';
import type { Position } from '../../events/record.ts';

export interface SkipGuard {
  /** Calls `tell` when all before `position` was told or is gone from the stream: at once when nothing is missing. */
  inOrder(position: Position, tell: () => void): void;
  /** The same for what is said about everything up to and including `position`. */
  through(position: Position, tell: () => void): void;
}

export interface SkipGuardOptions {
  /** Everything below was told before. */
  readonly from: Position;
  /** Position of the first message of the stream at or above; undefined: there is none. */
  readonly firstFrom: (position: Position) => Promise<Position | undefined>;
  /** Something was skipped, or it cannot be found out. Nothing is told afterwards. */
  readonly end: (reason: string) => void;
}

interface Waiting {
  /** Positions that are missing before it: from `since` to below `until`. */
  readonly since: Position;
  readonly until: Position;
  readonly tell: () => void;
}

/** Questions at the same time. */
const askedAtOnce = 256;

export function createSkipGuard({ from, firstFrom, end }: SkipGuardOptions): SkipGuard {
  let next = from;
  let waiting: Waiting[] = [];
  let isAsking = false;
  let isOver = false;

  function over(reason: string): void {
    isOver = true;
    waiting = [];
    end(reason);
  }

  async function check({ since, until }: Waiting): Promise<string | undefined> {
    if (since >= until) return undefined;
    const found = await firstFrom(since);
    return found !== undefined && found < until ? `the server skipped the message at ${found}` : undefined;
  }

  async function askAll(): Promise<void> {
    isAsking = true;
    try {
      while (waiting.length > 0) {
        const asked = waiting.slice(0, askedAtOnce);
        const skipped = await Promise.all(asked.map(check));
        waiting = waiting.slice(asked.length);
        for (const [index, { tell }] of asked.entries()) {
          const reason = skipped[index];
          if (reason !== undefined) over(reason);
          if (isOver) return;
          tell();
        }
      }
    } catch (error) {
      over(`whether the server skipped a message could not be found out: ${messageOf(error)}`);
    } finally {
      isAsking = false;
    }
  }

  function enter(until: Position, tell: () => void): void {
    if (isOver) return;
    const since = next;
    if (since >= until && waiting.length === 0) {
      tell();
      return;
    }
    waiting.push({ since, until, tell });
    if (!isAsking) void askAll();
  }

  return {
    inOrder(position, tell) {
      enter(position, tell);
      next = Math.max(next, position + 1);
    },
    through(position, tell) {
      enter(position + 1, tell);
      next = Math.max(next, position + 1);
    },
  };
}
