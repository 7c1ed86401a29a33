/**
 * Doubt about what a copy holds, and how it is settled.
 *
 * A server that removes messages by `Nats-TTL` tells nobody. What came while a copy did not look, replaced something that
 * the copy holds, and was removed again before the copy looked, leaves no trace but a hole in the positions. Most holes are
 * something else: a message that a later one replaced. So a hole that is met after such an absence only raises a doubt, and
 * the doubt is settled by reading the log once more from its beginning, without the data, beside the copy's own reader: what
 * the copy holds and the log no longer has is dropped. Until then the copy serves what it has, and does not claim to be
 * younger than it was before the hole.
 *
 * Invariant: the log is read again only while the copy's own reader keeps up. So whatever replaces a message after it was
 * met is delivered to the copy.
 */
import { createBackoff } from '../../base/backoff.ts';
import { type Clock, pause } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import { withGetters } from '../../base/with-getters.ts';
import { messageOf } from '../../errors.ts';
import type { Position } from '../../events/record.ts';
import type { Log } from '../log.ts';
import type { Age, Freshness } from './freshness.ts';
import { readThrough } from './read-through.ts';

/** What a copy holds, compared with the positions at which the log still has messages. */
export interface Verification {
  /** The log has a message there; called in order of position. */
  met(position: Position): void;
  /** All up to `through` was met that is there. Drops what was not, and resolves with how much that was. */
  end(through: Position): Promise<number>;
}

export interface DoubtOptions {
  readonly log: Log;
  readonly clock: Clock;
  /** When the copy was proven to hold all that had been delivered or removed. */
  readonly freshness: Freshness;
  readonly random: Random;
  /** A reader is given up when it is silent for `silenceMs`; between attempts to read the log again there are pauses. */
  readonly limits: { readonly silenceMs: number; readonly retryFirstMs: number; readonly retryMaxMs: number };
  /** Without it no hole raises a doubt. */
  readonly verify: (() => Verification) | undefined;
  /** See `FollowerSink`. */
  readonly unmetSinceMs: (provenAtMs: number) => number;
  readonly applied: () => Position;
  /** Resolves when the copy has everything that is in the log now. */
  readonly latest: () => Promise<unknown>;
  /** There is no doubt any more. */
  readonly onSettled: () => void;
  readonly onNotice: (what: 'verified' | 'failed', reason: string) => void;
}

export interface Doubt {
  /** Nothing at or below it is missing in the copy; undefined: no doubt. */
  readonly above: Position | undefined;
  /** What the copy may say of its age: no more than was proven before the doubt, and before what the log seems to have lost. */
  readonly age: Age;
  /** The copy's reader is being opened behind `applied`, when the log's head is `head`. */
  opening(applied: Position, head: Position): void;
  /** The log has nothing from the position behind `applied` to `through`, which is next for the copy. */
  skipped(applied: Position, through: Position): void;
  /** The copy has everything that its reader knows of. */
  keptUp(): void;
  /** The copy's reader has ended. */
  interrupt(): void;
  /** The state was dropped, and with it every doubt. */
  forget(): void;
  /** Resolves when nothing is read any more. */
  stop(): Promise<void>;
}

/** No server takes a shorter `Nats-TTL` than 1 s; less a little, for clocks that differ in speed. */
const leastTtlMs = 950;

export function createDoubt(options: DoubtOptions): Doubt {
  const { log, clock, freshness, limits, verify, onNotice } = options;
  const backoff = createBackoff({ firstMs: limits.retryFirstMs, maxMs: limits.retryMaxMs }, options.random);
  let above: Position | undefined;
  let provenAtMs = Number.POSITIVE_INFINITY;
  /** Counts the holes that raised it. */
  let raised = 0;
  /** Since the reader was opened it has not delivered everything yet. */
  let isCatchingUp = true;
  /** Holes up to here are harmless. */
  let harmlessUpTo: Position = 0;
  let current: AbortController | undefined;
  let working: Promise<void> = Promise.resolve();

  const age: Age = {
    get provenAtMs() {
      return Math.min(freshness.provenAtMs, provenAtMs, options.unmetSinceMs(freshness.provenAtMs));
    },
    lagMs: () => Math.max(0, clock.monotonic() - age.provenAtMs),
  };

  function clear(): void {
    above = undefined;
    provenAtMs = Number.POSITIVE_INFINITY;
  }

  function interrupt(): void {
    current?.abort();
    current = undefined;
  }

  async function readAgain(signal: AbortSignal): Promise<void> {
    const raisedThen = raised;
    const through = options.applied();
    const verification = verify?.();
    const reading = { log, clock, silenceMs: limits.silenceMs, from: 1, through, signal };
    await readThrough(reading, ({ position }) => verification?.met(position));
    // What replaced a message while it was looked for must have arrived, or its key would be missing for a moment.
    await options.latest();
    if (signal.aborted) return;
    const dropped = (await verification?.end(through)) ?? 0;
    if (signal.aborted) return;
    onNotice('verified', `compared with the log up to ${through}; ${dropped} entries were no longer in it`);
    if (raised !== raisedThen) return;
    clear();
    options.onSettled();
  }

  async function work(own: AbortController): Promise<void> {
    while (above !== undefined && !own.signal.aborted) {
      try {
        await readAgain(own.signal);
        backoff.reset();
      } catch (error) {
        if (own.signal.aborted) return;
        onNotice('failed', `the log could not be read again: ${messageOf(error)}`);
        await pause(clock, backoff.next(), own.signal);
      }
    }
    if (current === own) current = undefined;
  }

  const getters = {
    above: () => above,
  };
  return withGetters<Doubt, keyof typeof getters>(getters, {
    age,
    opening(applied, head) {
      isCatchingUp = true;
      // An empty copy holds nothing that was replaced before it began.
      harmlessUpTo = applied === 0 ? head : applied;
    },
    skipped(applied, through) {
      if (verify === undefined || !log.honoursTtl || applied === 0 || through <= harmlessUpTo) return;
      // What its TTL has removed came after the last proof, stood for at least that TTL, and went before now. A reader that keeps
      // up is proven to do so every `silenceMs`; meanwhile the holes of a busy log are of messages that others have replaced.
      if (!freshness.isOlderThan(isCatchingUp ? leastTtlMs : 2 * limits.silenceMs)) return;
      raised += 1;
      above ??= applied;
      provenAtMs = Math.min(provenAtMs, freshness.provenAtMs);
    },
    keptUp() {
      isCatchingUp = false;
      if (above === undefined || current !== undefined) return;
      current = new AbortController();
      working = work(current);
    },
    interrupt,
    forget() {
      interrupt();
      clear();
    },
    stop() {
      interrupt();
      return working;
    },
  });
}
