/**
 * Reading keys from the log's leader on behalf of a copy: on a miss of what memory may have evicted, and when the copy has a
 * reason to doubt what it holds. An answer is only taken in if nothing newer has arrived since it was asked for.
 */
import type { Clock } from '../base/clock.ts';
import { createWaiters, type WaitOptions } from '../base/waiters.ts';
import { SluiceError } from '../errors.ts';
import type { Position } from '../events/record.ts';
import type { EntryPut } from '../store/entry.ts';
import type { Entry, EntryStore } from '../store/entry-store.ts';
import type { Ahead } from './ahead.ts';
import type { KeyFences } from './key-fences.ts';
import { isOverruled, type KeyState, type LogBucket, readKeyState } from './log-read.ts';
import { rolledBackReason } from './lost-events.ts';

export interface KeyLoaderOptions extends LogBucket {
  readonly clock: Clock;
  readonly fences: KeyFences;
  readonly ahead: Ahead;
  readonly store: EntryStore;
  readonly life: () => number;
  readonly isStopped: () => boolean;
  /** Up to here the copy has seen the log. */
  readonly applied: () => Position;
  /** What is held may have been replaced by something that the log has removed. */
  readonly isInDoubt: () => boolean;
  readonly peek: (key: string) => Entry | undefined;
  /** Takes in what stands at a position. */
  readonly learn: (key: string, put: EntryPut | undefined, position: Position, when: When) => Entry | undefined;
  readonly onFound: () => void;
  /** The log has lost something, and has something older instead. */
  readonly onRolledBack: (reason: string) => void;
  /** An entry was dropped of which the log has nothing any more; no event told of it. */
  readonly onGone: () => void;
}

/** When something in the log was stored, ms since 1970 UTC, and as of which monotonic time that is known. */
export interface When {
  readonly atMs: number;
  readonly askedAtMs: number;
}

/** A put or delete that the log was known to have. */
export interface Unmet {
  readonly position: Position;
  /** Monotonic time as of which it was known. */
  readonly askedAtMs: number;
}

export interface KeyLoader {
  load(key: string): Promise<Entry | undefined>;
  /** The follower has passed what is held of the key without meeting it: only the log can tell whether it stands. */
  isPassedOver(key: string): boolean;
  /** The follower has passed the position of a put or delete without meeting it: replaced, dropped, or lost by a log that was rolled back. */
  doubt(key: string, unmet: Unmet): void;
  /** The `askedAtMs` of what has been in doubt for longest; Infinity: nothing is. */
  doubtedSinceMs(): number;
  /** Looks into the log for what is in doubt and still held. */
  settleDoubts(): void;
  /** Resolves when nothing is in doubt; rejects with `log-unavailable` when the log cannot be asked, with `stale` when that takes too long. */
  settled(wait: WaitOptions): Promise<void>;
  reset(): void;
}

/** Each time, something newer arrived while the leader was being asked. */
const attemptsMax = 8;
const doubtsMax = 10_000;
const doubtsAtOnce = 100;

export function createKeyLoader(options: KeyLoaderOptions): KeyLoader {
  const { clock, fences, ahead, store, life, peek } = options;
  const doubts = new Map<string, Unmet>();
  let settling: Promise<void> | undefined;

  const ask = (key: string): Promise<KeyState> => readKeyState(options, key, clock);

  /** The answer of one question, or undefined when it must be asked again. */
  async function attempt(key: string): Promise<{ readonly entry: Entry | undefined } | undefined> {
    const lifeThen = life();
    const fence = fences.create(key);
    const askedAtMs = clock.monotonic();
    try {
      // What a leader of the past says of a key that is not held any more would be kept: nothing here knows better.
      const [{ entry, position }] = await Promise.all([ask(key), options.log.confirmHead(options.applied())]);
      if (options.isStopped())
        return { entry: entry === undefined ? undefined : store.toEntry(entry.put, position, entry.atMs) };
      if (life() !== lifeThen) return undefined;
      const known = ahead.get(key);
      const isOvertaken = Math.max(fence.newest, known?.position ?? 0) > position;
      if (entry !== undefined && !isOvertaken) {
        options.onFound();
        return { entry: options.learn(key, entry.put, position, { atMs: entry.atMs, askedAtMs }) };
      }
      if (!isOvertaken) options.learn(key, undefined, position, { atMs: clock.now(), askedAtMs });
      // What is held is not dropped for one answer, which may be that of a leader who was deposed; but it is in doubt.
      if (!isOvertaken && position === 0 && options.isInDoubt()) return { entry: undefined };
      // Above what the leader said: the follower or this process's own write went past it, or the log has lost it.
      const held = peek(key);
      if (held === undefined) return isOvertaken && mayBeUnheld(known?.isHeld) ? undefined : { entry: undefined };
      // It is void if that was because of an invalidation, and the invalidation may not have come here yet.
      const isVoid = await isOverruled(options, held);
      return peek(key)?.revision === held.revision ? { entry: isVoid ? undefined : held } : undefined;
    } finally {
      fence.end();
    }
  }

  const mayBeUnheld = (isHeld: boolean | undefined): boolean => (isHeld === undefined ? store.hasEvicted : !isHeld);

  const hasNewer = (key: string, position: Position): boolean =>
    Math.max(store.peek(key)?.revision ?? 0, ahead.get(key)?.position ?? 0) > position;

  /** Looks whether the log has something else of the key now, or nothing. */
  async function settleOne(key: string, position: Position): Promise<void> {
    const lifeThen = life();
    const fence = fences.create(key);
    try {
      // A leader of the past does not know of it yet.
      const [{ entry, position: found }] = await Promise.all([ask(key), options.log.confirmHead(position)]);
      // What is newer in the log, the follower will deliver.
      if (life() !== lifeThen || found >= position || fence.newest > 0 || hasNewer(key, position)) return;
      const held = store.peek(key);
      if (held?.isLocal || (held !== undefined && held.revision === found)) return;
      // What it had replaced stands there again.
      if (entry !== undefined) options.onRolledBack(rolledBackReason(position));
      else if (held !== undefined && store.remove(key, position)) options.onGone();
    } finally {
      fence.end();
    }
  }

  async function settleDoubt(key: string, unmet: Unmet): Promise<void> {
    if (!hasNewer(key, unmet.position)) await settleOne(key, unmet.position);
    if (doubts.get(key) === unmet) doubts.delete(key);
  }

  async function settle(): Promise<void> {
    const lifeThen = life();
    for (const [key, unmet] of [...doubts].slice(0, doubtsAtOnce)) {
      if (life() !== lifeThen) return;
      await settleDoubt(key, unmet);
    }
  }

  async function settleAll(): Promise<void> {
    while (doubts.size > 0) await settle();
  }

  function doubt(key: string, { position, askedAtMs }: Unmet): void {
    if (doubts.size >= doubtsMax) doubts.delete(doubts.keys().next().value ?? '');
    doubts.set(key, { position, askedAtMs });
  }

  return {
    async load(key) {
      const passed = ahead.passOne(key, options.applied());
      if (passed !== undefined) doubt(key, passed);
      const unmet = doubts.get(key);
      if (unmet !== undefined) await settleDoubt(key, unmet);
      for (let tried = 0; tried < attemptsMax; tried += 1) {
        const answer = await attempt(key);
        if (answer !== undefined) return answer.entry;
      }
      const { entry, position } = await ask(key);
      return entry === undefined ? undefined : store.toEntry(entry.put, position, entry.atMs);
    },
    isPassedOver: (key) =>
      (ahead.get(key)?.position ?? Number.POSITIVE_INFINITY) <= options.applied() || doubts.has(key),
    doubt,
    doubtedSinceMs: () => doubts.values().next().value?.askedAtMs ?? Number.POSITIVE_INFINITY,
    settleDoubts() {
      if (doubts.size === 0 || settling !== undefined) return;
      settling = settle()
        // The log cannot be asked now; the doubts stay.
        .catch(() => undefined)
        .finally(() => {
          settling = undefined;
        });
    },
    async settled(wait) {
      if (doubts.size === 0) return;
      const gate = createWaiters(clock);
      settleAll().then(
        () => gate.advance(1),
        (error: unknown) => gate.fail(error),
      );
      const { name } = options.log;
      await gate.wait(
        1,
        wait,
        () => new SluiceError('stale', `${name}: what was passed over was not compared in time`),
      );
    },
    reset() {
      doubts.clear();
    },
  };
}
