/**
 * One partition of a watch. It has one position, and two sources that tell the same events in the same order: the copy of
 * this process, and a follower of its own. Invariant: an event is told only if it is above the position, whoever brings it.
 */
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { decodeBucketRecord } from '../events/entry.ts';
import type { LogRecord, Position } from '../events/record.ts';
import { createFollower, type Follower } from '../log/follower.ts';
import type { LogBounds } from '../log/log.ts';
import { gapReason, isSuspectGap } from '../replay/lost-events.ts';
import type { Change, PartitionView } from '../replay/partition-view.ts';
import { basisOf } from '../store/entry.ts';
import { createInvalidations } from '../store/invalidations.ts';
import type { PartitionAccess } from './cache.ts';
import type { WatchEvent } from './watch-event.ts';

export interface PartitionWatchOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** A watcher that must catch up on more messages than this is told `reset` instead. */
  readonly backlogMax: number;
}

export interface PartitionWatch {
  /** Everything up to here was told. */
  position(): Position;
  stop(): Promise<void>;
}

export async function watchPartition(
  access: PartitionAccess,
  options: PartitionWatchOptions,
  from: Position | undefined,
  onEvent: (event: WatchEvent) => void,
): Promise<PartitionWatch> {
  const { log } = access;
  const { clock, random } = options;
  /** What its own follower has met; a copy of this process knows more. */
  const seen = createInvalidations();
  let told = from ?? 0;
  let isStopped = false;
  let stopListening: (() => void) | undefined;
  let follower: Follower | undefined;
  const ending = new Set<Promise<void>>();

  function tell(event: WatchEvent): void {
    told = event.position;
    onEvent(event);
  }

  function onChange(change: Change): void {
    if (change.type === 'rebuilt') tell({ type: 'reset', position: change.position, reason: change.reason });
    else if (change.position <= told) return;
    else if (change.type !== 'put') tell(change);
    else tellPut(change);
  }

  function tellPut({ key, position, entry }: Extract<Change, { type: 'put' }>): void {
    if (entry === undefined) return tell({ type: 'delete', key, position });
    const { value, contentType, tags, expiresAtMs } = entry;
    tell({ type: 'put', key, position, value, contentType, tags, expiresAtMs });
  }

  function listenTo(view: PartitionView): void {
    const stopHearing = view.listen(onChange);
    const stopWaiting = view.onStopped(() => {
      stopListening = undefined;
      const { applied, appliedAtMs } = view.follower;
      if (!isStopped) followLog(told === applied ? appliedAtMs : undefined);
    });
    stopListening = () => {
      stopHearing();
      stopWaiting();
    };
  }

  /** From `told` on; the message there was stored at `toldAtMs`, if that is known. */
  function followLog(toldAtMs: number | undefined): void {
    follower = createFollower({
      ...{ log, clock, random },
      ...{ applied: told, appliedAtMs: toldAtMs },
      sink: {
        apply(record) {
          onRecord(record);
          changeOver();
        },
        rebuild(reason) {
          seen.reset();
          if (stopListening === undefined) tell({ type: 'reset', position: 0, reason });
        },
        floor(first) {
          seen.forgetBelow(first);
          if (stopListening === undefined && isSuspectGap(told, first, follower?.lagMs() ?? 0))
            tell({ type: 'reset', position: first - 1, reason: gapReason });
        },
      },
      onNotice: ({ what }) => {
        if (what === 'ready') changeOver();
      },
    });
    void follower.start();
  }

  function onRecord(record: LogRecord): void {
    // After the change-over the copy may have told of it already.
    if (isStopped || record.position <= told) return;
    const event = eventOf(record);
    if (event === undefined) told = record.position;
    else tell(event);
  }

  /** From a follower of its own to the copy, once that is not ahead. */
  function changeOver(): void {
    const { view } = access;
    if (isStopped || view === undefined || stopListening !== undefined || follower === undefined) return;
    if (!view.follower.isReady || Math.max(told, follower.applied) < view.follower.applied) return;
    told = Math.max(told, view.follower.applied);
    listenTo(view);
    end(follower);
  }

  /** Not within its own callback. */
  function end(done: Follower): void {
    follower = undefined;
    const ended = Promise.resolve()
      .then(() => done.stop())
      .finally(() => ending.delete(ended));
    ending.add(ended);
  }

  function eventOf(record: LogRecord): WatchEvent | undefined {
    const event = decodeBucketRecord(access, record);
    const { position } = record;
    switch (event.type) {
      case 'entry.put': {
        const { key, contentType, tags, expiresAtMs } = event;
        const basis = basisOf(event, position);
        const isVoid =
          expiresAtMs <= clock.now() ||
          seen.isInvalidated(basis, tags) ||
          access.view?.store.isInvalidated(basis, tags) === true;
        if (isVoid) return { type: 'delete', key, position };
        return { type: 'put', key, position, value: event.value.slice(), contentType, tags, expiresAtMs };
      }
      case 'entry.deleted':
      case 'entry.unreadable':
        return { type: 'delete', key: event.key, position };
      case 'cache.cleared':
        seen.clear(position);
        return { type: 'clear', position };
      case 'tag.invalidated':
        seen.invalidateTag(event.tag, position);
        return { type: 'tag', tag: event.tag, position };
      default:
        return undefined;
    }
  }

  /** Why a watcher cannot simply go on from where it was, and from where it can. */
  function resetOf(position: Position, { first, last, messages }: LogBounds): WatchEvent | undefined {
    if (last < position) return { type: 'reset', position: last, reason: 'the log was recreated' };
    if (Math.min(last - position, messages) > options.backlogMax)
      return { type: 'reset', position: last, reason: 'too far behind' };
    if (position > 0 && first > position + 1) return { type: 'reset', position: first - 1, reason: gapReason };
    return undefined;
  }

  const { view } = access;
  if (view?.follower.isReady && (from === undefined || from === view.follower.applied)) {
    told = view.follower.applied;
    listenTo(view);
  } else {
    const bounds = await log.bounds();
    told = from ?? bounds.last;
    const reset = resetOf(told, bounds);
    if (reset !== undefined) tell(reset);
    followLog(told === bounds.last ? bounds.lastAtMs : undefined);
  }

  return {
    position: () => told,
    async stop() {
      isStopped = true;
      stopListening?.();
      if (follower !== undefined) end(follower);
      await Promise.all(ending);
    },
  };
}
