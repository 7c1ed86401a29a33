/**
 * Watching a cache: every change in log order, from now or from where a watcher left off.
 *
 * Where this process has a copy, a watcher listens to it and costs nothing on the server. To resume, it first reads the log
 * from its own position, and changes over to the copy at the moment both are at the same place, so nothing is missed or
 * told twice. A watcher that is too far behind, or whose log was recreated, is told `reset`: list again, then go on.
 */
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { type BucketContext, decodeBucketRecord } from '../events/entry.ts';
import type { LogRecord, Position } from '../events/record.ts';
import { createFollower, type Follower } from '../log/follower.ts';
import type { Change } from '../replay/partition-view.ts';
import type { PartitionAccess } from './cache.ts';

export type WatchEvent =
  | {
      readonly type: 'put';
      readonly key: string;
      readonly position: Position;
      readonly value: Uint8Array;
      readonly contentType: string | undefined;
      readonly tags: readonly string[] | undefined;
      readonly expiresAtMs: number;
    }
  | { readonly type: 'delete'; readonly key: string; readonly position: Position }
  | { readonly type: 'clear'; readonly position: Position }
  | { readonly type: 'tag'; readonly tag: string; readonly position: Position }
  /** What the watcher knows of this partition is void: list the keys, then go on from `position`. */
  | { readonly type: 'reset'; readonly position: Position; readonly reason: string };

export interface WatchOptions {
  readonly partitions: readonly PartitionAccess[];
  readonly clock: Clock;
  readonly random: Random;
  /** Index = partition; what the watcher has seen already. Undefined: from now. */
  readonly from?: readonly Position[] | undefined;
  /** A watcher that must catch up on more than this is told `reset` instead. */
  readonly backlogMax: number;
  /** Called synchronously and in order per partition. */
  readonly onEvent: (event: WatchEvent, partition: number) => void;
}

export interface Watch {
  /** By partition: everything up to here was told. */
  readonly positions: readonly Position[];
  stop(): Promise<void>;
}

export async function watchCache(options: WatchOptions): Promise<Watch> {
  const watches = await Promise.all(
    options.partitions.map((access, partition) =>
      watchPartition(access, options, options.from?.[partition], (event) => options.onEvent(event, partition)),
    ),
  );
  return {
    get positions() {
      return watches.map((watch) => watch.position());
    },
    async stop() {
      await Promise.all(watches.map((watch) => watch.stop()));
    },
  };
}

interface PartitionWatch {
  position(): Position;
  stop(): Promise<void>;
}

async function watchPartition(
  { view, log, subjects }: PartitionAccess,
  { clock, random, backlogMax }: WatchOptions,
  from: Position | undefined,
  onEvent: (event: WatchEvent) => void,
): Promise<PartitionWatch> {
  let told = from ?? 0;
  let stopListening: (() => void) | undefined;
  let follower: Follower | undefined;

  function tell(event: WatchEvent): void {
    told = event.position;
    onEvent(event);
  }

  function listen(): void {
    told = Math.max(told, view?.follower.applied ?? 0);
    stopListening = view?.listen((change) => {
      if (change.type === 'rebuilt') tell({ type: 'reset', position: 0, reason: change.reason });
      else if (change.position > told) tellChange(change);
    });
  }

  function tellChange(change: Exclude<Change, { type: 'rebuilt' }>): void {
    if (change.type !== 'put') {
      tell(change);
      return;
    }
    const { key, position, entry } = change;
    // A value that this node could not keep, or that was invalid on arrival, is told as its absence.
    if (entry === undefined) {
      tell({ type: 'delete', key, position });
      return;
    }
    const { value, contentType, tags, expiresAtMs } = entry;
    tell({ type: 'put', key, position, value, contentType, tags, expiresAtMs });
  }

  if (view !== undefined && (from === undefined || from === view.follower.applied)) {
    listen();
  } else {
    const { last } = await log.bounds();
    told = from ?? last;
    if (last < told || last - told > backlogMax) {
      tell({ type: 'reset', position: last, reason: last < told ? 'the log was recreated' : 'too far behind' });
    }
    follower = createFollower({
      log,
      clock,
      random,
      applied: told,
      sink: {
        apply: (record) => {
          const event = eventOf({ subjects, maxAgeMs: log.maxAgeMs }, record, clock.now());
          if (event === undefined) told = record.position;
          else tell(event);
          changeOver();
        },
        rebuild: (reason) => tell({ type: 'reset', position: 0, reason }),
        floor: () => undefined,
      },
      onNotice: ({ what }) => {
        if (what === 'ready') changeOver();
      },
    });
    await follower.start();
  }

  /** From the follower of our own to the copy, once it is not ahead of us. */
  function changeOver(): void {
    if (view === undefined || stopListening !== undefined || follower === undefined) return;
    if (!view.follower.isReady || Math.max(told, follower.applied) < view.follower.applied) return;
    const done = follower;
    listen();
    queueMicrotask(() => void done.stop());
  }

  return {
    position: () => told,
    async stop() {
      stopListening?.();
      await follower?.stop();
    },
  };
}

function eventOf(context: BucketContext, record: LogRecord, nowMs: number): WatchEvent | undefined {
  const event = decodeBucketRecord(context, record);
  const { position } = record;
  switch (event.type) {
    case 'entry.put': {
      const { key, contentType, tags, expiresAtMs } = event;
      if (expiresAtMs <= nowMs) return { type: 'delete', key, position };
      return { type: 'put', key, position, value: event.value.slice(), contentType, tags, expiresAtMs };
    }
    case 'entry.deleted':
    case 'entry.unreadable':
      return { type: 'delete', key: event.key, position };
    case 'cache.cleared':
      return { type: 'clear', position };
    case 'tag.invalidated':
      return { type: 'tag', tag: event.tag, position };
    default:
      return undefined;
  }
}
