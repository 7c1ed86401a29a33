/**
 * The follower: keeps one copy in step with one log, for ever.
 *
 * It opens a reader by start position, watches it, and makes a new one at the last applied position after any silence,
 * end or error. It proves what it knows: `applied` is gap-free, `lagMs` counts from the last moment at which the copy
 * was shown to hold everything. When the copy cannot be continued (the log was recreated, rolled back, or the copy was
 * away longer than tombstones live) it says `rebuild` and starts from the floor. It must never apply a record twice or
 * out of order, and never leave a second reader behind.
 */
import { createBackoff } from '../base/backoff.ts';
import { every, pause, type Timer } from '../base/clock.ts';
import type { Lifecycle } from '../base/lifecycle.ts';
import type { WaitOptions } from '../base/waiters.ts';
import { withGetters } from '../base/with-getters.ts';
import { messageOf, SluiceError } from '../errors.ts';
import type { LogRecord, Position } from '../events/record.ts';
import { type CopyState, createCopyWaits } from './copy/copy-waits.ts';
import { createDoubt } from './copy/doubt.ts';
import { createFreshness } from './copy/freshness.ts';
import { createHistory, type KnownBounds } from './copy/history.ts';
import { createOvertaken } from './copy/overtaken.ts';
import { createProbe } from './copy/probe.ts';
import { openWatchedReader } from './copy/watched-reader.ts';
import { createWholeness } from './copy/wholeness.ts';
import {
  defaultFollowerLimits,
  type FollowerCounters,
  type FollowerNotice,
  type FollowerOptions,
} from './follower-options.ts';
import type { LogBounds } from './log.ts';

export interface Follower extends Lifecycle {
  /** Everything up to this position is in the sink. */
  readonly applied: Position;
  /** When the message there was stored; undefined: not known. */
  readonly appliedAtMs: number | undefined;
  /** Above it, changes may be missing that the log has removed again (see `doubt.ts`); undefined: no such doubt. */
  readonly doubtAbove: Position | undefined;
  /** The newest position known to be in the log. */
  readonly head: Position;
  /** Messages known to be in the log and not applied yet. */
  readonly lagEvents: number;
  /**
   * False while messages are missing that others have replaced, and those may not have arrived yet: a key may then be older than
   * `applied`, or absent, though it never was.
   */
  readonly isWhole: boolean;
  /** Every key is at least as new as this position: `applied` while the copy is whole. */
  readonly wholeAt: Position;
  /** True from the moment the head that was read at start has been applied, until a rebuild. */
  readonly isReady: boolean;
  /** ms since the copy was last proven to hold all of the log; Infinity before the first proof. */
  lagMs(): number;
  /** Monotonic time at which the copy was last proven to hold what the log has, whatever speaks for its having lost something. */
  readonly provenAtMs: number;
  // The waiting calls below also reject with `aborted` by their signal, and with `closed` once the follower is stopped.
  /** Resolves when the copy is ready; rejects with `not-ready` after `waitMs`. */
  ready(options?: WaitOptions): Promise<void>;
  /** Resolves when `applied` is at or above the position; rejects with `stale` after `waitMs`. */
  reached(position: Position, options?: WaitOptions): Promise<void>;
  /** Asks the log's leader for its head, resolves with it when the copy has it; rejects with `stale` after `waitMs`, with
   *  `log-unavailable` when the leader does not answer. */
  latest(options?: WaitOptions): Promise<Position>;
  /** Makes sure that the copy holds everything that was in the log `maxMs` before this call, asking the log's leader if
   *  needed; rejects with `stale` when that cannot be shown. */
  fresh(maxMs: number, options?: WaitOptions): Promise<void>;
  /** The log has acknowledged a write of this process. */
  wrote(position: Position): void;
  /** Drops the state and replays. */
  rebuild(reason: string): void;
  readonly counters: FollowerCounters;
}

const ignore = (): void => undefined;

export function createFollower(options: FollowerOptions): Follower {
  const { log, sink, clock, random } = options;
  const limits = { ...defaultFollowerLimits, ...options.limits };
  const backoff = createBackoff({ firstMs: limits.retryFirstMs, maxMs: limits.retryMaxMs }, random);
  const freshness = createFreshness(clock, () => waits.prove(doubt.age.provenAtMs));
  const probe = createProbe(clock, askOfThisHistory);
  const wholeness = createWholeness();
  const overtaken = createOvertaken();
  const doubt = createDoubt({
    ...{ log, clock, random, freshness, limits, verify: sink.verify?.bind(sink) },
    unmetSinceMs: (provenAtMs) => sink.unmetSinceMs?.(provenAtMs) ?? Number.POSITIVE_INFINITY,
    applied: () => applied,
    latest: () => waits.latest({ waitMs: limits.silenceMs * 4 }),
    onSettled: () => waits.prove(doubt.age.provenAtMs),
    onNotice: (what, reason) => notice(what, reason),
  });
  const state = (): CopyState => ({ applied, acknowledged, isReady });
  const waits = createCopyWaits({ log: log.name, clock, freshness: doubt.age, probe, state });
  const stopping = new AbortController();
  const history = createHistory({
    ...{ log, freshness, signal: stopping.signal, appliedAtMs: options.appliedAtMs },
    applied: () => applied,
    known: () => known,
    onOther: startOver,
  });

  let applied = options.applied ?? 0;
  let acknowledged = 0;
  let known: KnownBounds | undefined;
  let floorTold = 0;
  /** What was missing may have been dropped together with what would have replaced it: then the log's floor alone tells. */
  let isFloorDue = false;
  let pending = 0;
  let isReady = false;
  let target = Number.POSITIVE_INFINITY;
  let stuck: { readonly at: Position; readonly sinceMs: number } | undefined;
  let running: Promise<void> | undefined;
  let endReader: ((reason: string) => void) | undefined;
  let floorTimer: Timer | undefined;
  let replayStartedMs = clock.monotonic();
  const counters = { records: 0, reopened: 0, rebuilds: 0, applyFailures: 0, replayMs: 0, replayRecords: 0 };

  freshness.reached(applied);

  const notice = (what: FollowerNotice['what'], reason: string): void =>
    options.onNotice?.({ what, log: log.name, reason });

  /** The reader, if there is one, must not outlive the state that it continues. */
  function dropState(reason: string): void {
    counters.rebuilds += 1;
    notice('rebuild', reason);
    applied = 0;
    acknowledged = 0;
    history.forget();
    overtaken.forget();
    wholeness.reset();
    floorTold = 0;
    pending = 0;
    isReady = false;
    target = Number.POSITIVE_INFINITY;
    freshness.forget();
    doubt.forget();
    replayStartedMs = clock.monotonic();
    counters.replayRecords = 0;
    sink.rebuild(reason);
    endReader?.('rebuild');
  }

  /** The log itself began anew, so positions of the past mean nothing any more. */
  function startOver(reason: string): void {
    dropState(reason);
    waits.restart(reason);
  }

  /** For those who want to know how new the copy is: it must be of the history that the answer is about. */
  async function askOfThisHistory(): Promise<LogBounds> {
    let bounds = await ask();
    if (overtaken.isWaiting) bounds = await ask();
    if (history.isContradicted) throw new SluiceError('log-unavailable', `${log.name}: it may have been rolled back`);
    return bounds;
  }

  async function ask(): Promise<LogBounds> {
    const endAttention = history.attend();
    const askedAtMs = clock.monotonic();
    const appliedThen = applied;
    try {
      return conclude(await log.bounds(stopping.signal), askedAtMs, appliedThen);
    } finally {
      endAttention();
    }
  }

  /** Draws every conclusion from what the log has said of where it stands. */
  function conclude(bounds: LogBounds, askedAtMs: number, appliedThen: Position): LogBounds {
    // An answer that was overtaken by a newer one tells nothing about the log of now.
    if (known !== undefined && askedAtMs < known.askedAtMs) return known;
    const reason = regressionOf(bounds, appliedThen);
    known = { ...bounds, askedAtMs };
    if (reason !== undefined) startOver(reason);
    if (bounds.first > floorTold) {
      floorTold = bounds.first;
      // What sinks now may have been replaced by what has not come yet.
      if (bounds.last > applied) wholeness.miss(applied, clock.monotonic());
      sink.floor(bounds.first);
    }
    // Whoever asked before this copy was begun does not know how far the log had grown by then.
    if (reason === undefined && askedAtMs >= replayStartedMs && bounds.last < target) target = bounds.last;
    if (bounds.messages === 0) pass(bounds.last);
    advance(applied);
    if (bounds.last <= applied) pending = 0;
    if (history.includes(bounds) !== true) return bounds;
    const momentMs = overtaken.momentOf(known, applied);
    if (momentMs === undefined) return bounds;
    if (bounds.last <= applied) proveWhole(momentMs);
    // Before the first reader there is nothing that could be of another history.
    const isFirst = appliedThen === 0 && endReader === undefined;
    if (isFirst) freshness.expect(bounds.last, momentMs);
    else history.expect(bounds.last, momentMs);
    return bounds;
  }

  /** What was applied before the question must still be there; what came in since may be missing from the answer. */
  function regressionOf(bounds: LogBounds, appliedThen: Position): string | undefined {
    if (known !== undefined && bounds.identity !== known.identity) return 'the log was deleted and made again';
    // What was dropped for being below it stands in the log again.
    if (bounds.first < floorTold)
      return `the log was rolled back: it begins at ${bounds.first}, and began at ${floorTold}`;
    const held = Math.min(applied, appliedThen);
    if (bounds.last < held) return `the log was rolled back: its head is ${bounds.last}, ${held} was applied`;
    return undefined;
  }

  /** All up to `applied` has come that had come into the log by `atMs`, and so has what had replaced it. */
  function proveWhole(atMs: number): void {
    wholeness.prove(atMs);
    freshness.reached(wholeness.upTo(applied));
  }

  function advance(position: Position): void {
    applied = position;
    // What is missing below may have been replaced by what has not come: then the copy is as old as it was before the hole.
    freshness.reached(wholeness.upTo(applied));
    if (!isReady && applied >= target) becomeReady();
    waits.advance(applied, isReady);
  }

  function look(): void {
    isFloorDue = false;
    probe.run().catch(ignore);
  }

  const lagEvents = (): number => (pending > 0 ? pending : Math.max(0, (known?.last ?? 0) - applied));

  /** Everything up to here was delivered, or is no longer in the log. */
  function pass(position: Position): void {
    if (position <= applied) return;
    skip(position);
    advance(position);
  }

  function skip(through: Position): void {
    if (applied >= floorTold) doubt.skipped(applied, through);
  }

  function keepUp(): void {
    if (pending === 0 && applied >= (known?.last ?? 0)) doubt.keptUp();
  }

  function becomeReady(): void {
    isReady = true;
    counters.replayMs = clock.monotonic() - replayStartedMs;
    notice('ready', `${counters.replayRecords} events replayed in ${Math.round(counters.replayMs)} ms`);
  }

  function onRecord(record: LogRecord, behind: number): void {
    if (record.position <= applied) {
      const reason = history.contradiction(record);
      if (reason !== undefined) startOver(`the log was rolled back: ${reason}`);
      return;
    }
    if (record.position > applied + 1) {
      wholeness.miss(applied, clock.monotonic());
      skip(record.position - 1);
      isFloorDue = true;
    }
    try {
      sink.apply(record);
    } catch (error) {
      counters.applyFailures += 1;
      notice('apply-failed', `position ${record.position}: ${messageOf(error)}`);
    }
    counters.records += 1;
    if (!isReady) counters.replayRecords += 1;
    pending = behind;
    history.note(record);
    advance(record.position);
    if (lagEvents() === 0 && !wholeness.isWhole) proveWhole(clock.monotonic());
    keepUp();
  }

  function onIdle(provenAtMs: number, through: Position): void {
    pending = 0;
    if (through > applied) {
      wholeness.miss(applied, clock.monotonic());
      pass(through);
      look();
    }
    proveWhole(provenAtMs);
    history.prove(provenAtMs);
    keepUp();
  }

  function onTick(): void {
    const now = clock.monotonic();
    const isUnproven = freshness.lagMs() > limits.silenceMs && now - (known?.askedAtMs ?? 0) > limits.silenceMs;
    if (isUnproven || isFloorDue) look();
    if (known === undefined || known.last <= applied) stuck = undefined;
    else if (stuck?.at !== applied) stuck = { at: applied, sinceMs: now };
    // The reader lives, yet does not deliver what the leader has: its replica may be cut off from the others.
    else if (now - stuck.sinceMs > limits.silenceMs) endReader?.(`stuck at ${applied}, the log is at ${known.last}`);
  }

  async function readUntilEnd(): Promise<string> {
    stuck = undefined;
    doubt.opening(applied, known?.last ?? 0);
    const opened = history.opening();
    const reader = openWatchedReader({
      log,
      clock,
      from: history.readFrom,
      silenceMs: limits.silenceMs,
      record: onRecord,
      idle: onIdle,
      opened() {
        notice('opened', `from ${applied}`);
        opened(reader.end);
      },
      tick: onTick,
    });
    const onStop = (): void => reader.end('stopped');
    stopping.signal.addEventListener('abort', onStop, { once: true });
    endReader = reader.end;
    try {
      return await reader.ended;
    } finally {
      endReader = undefined;
      history.closed();
      doubt.interrupt();
      stopping.signal.removeEventListener('abort', onStop);
    }
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        await ask();
        if (target === Number.POSITIVE_INFINITY) await ask();
        if (stopping.signal.aborted) return;
        const isBehind = applied > 0 && (known?.last ?? 0) > applied;
        if (isBehind && Number.isFinite(freshness.provenAtMs) && freshness.isOlderThan(limits.horizonMs))
          dropState('away longer than tombstones are kept');
        const reason = await readUntilEnd();
        if (stopping.signal.aborted) return;
        notice('ended', reason);
        if (isReady && freshness.lagMs() < limits.silenceMs * 4) backoff.reset();
      } catch (error) {
        if (stopping.signal.aborted) return;
        notice('failed', messageOf(error));
      }
      counters.reopened += 1;
      await pause(clock, backoff.next(), stopping.signal);
    }
  }

  const getters = {
    applied: () => applied,
    appliedAtMs: () => history.appliedAtMs,
    doubtAbove: () => doubt.above,
    head: () => Math.max(applied + pending, known?.last ?? 0),
    lagEvents,
    isWhole: () => wholeness.isWhole && doubt.above === undefined,
    wholeAt: () => Math.min(wholeness.upTo(applied), doubt.above ?? applied),
    isReady: () => isReady,
    provenAtMs: () => freshness.provenAtMs,
  };
  return withGetters<Follower, keyof typeof getters>(getters, {
    counters,
    lagMs: doubt.age.lagMs,
    ready: waits.ready,
    reached: waits.reached,
    latest: waits.latest,
    fresh: waits.fresh,
    start() {
      if (running === undefined && !stopping.signal.aborted) {
        replayStartedMs = clock.monotonic();
        running = run();
        floorTimer = every(clock, limits.floorCheckMs * (0.75 + random.fraction() / 2), () => {
          if (endReader !== undefined) look();
        });
      }
      return Promise.resolve();
    },
    async stop() {
      floorTimer?.cancel();
      stopping.abort();
      waits.close();
      await running;
      await doubt.stop();
    },
    wrote(position) {
      acknowledged = Math.max(acknowledged, position);
    },
    rebuild(reason) {
      if (!stopping.signal.aborted) dropState(reason);
    },
  });
}
