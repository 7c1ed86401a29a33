/**
 * Watching a cache: every change in log order, from now or from where a watcher left off.
 *
 * Where this process has a copy, a watcher listens to it and costs nothing on the server. Else, and to resume, it reads the
 * log from its own position, and changes over to the copy at a moment when the copy is not ahead of it; when the copy is
 * given up it goes on from the log again. So nothing is missed or told twice. A watcher that is too far behind, or whose
 * log was recreated, is told `reset`: list again, then go on.
 */
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import type { Position } from '../events/record.ts';
import type { PartitionAccess } from './cache.ts';
import type { WatchEvent } from './watch-event.ts';
import { type PartitionWatch, watchPartition } from './watch-partition.ts';

export type { WatchEvent } from './watch-event.ts';

export interface WatchOptions {
  readonly partitions: readonly PartitionAccess[];
  readonly clock: Clock;
  readonly random: Random;
  /** Index = partition; what the watcher has seen already. Undefined: from now. */
  readonly from?: readonly Position[] | undefined;
  /** A watcher that must catch up on more messages than this is told `reset` instead. */
  readonly backlogMax: number;
  /** Called synchronously and in order per partition. */
  readonly onEvent: (event: WatchEvent, partition: number) => void;
}

export interface Watch {
  /** By partition: everything up to here was told. */
  readonly positions: readonly Position[];
  stop(): Promise<void>;
}

/** Resolves once each partition is being watched; rejects with `log-unavailable` when a log cannot be asked where it stands. */
export async function watchCache(options: WatchOptions): Promise<Watch> {
  const started = await Promise.allSettled(
    options.partitions.map((access, partition) =>
      watchPartition(access, options, options.from?.[partition], (event) => options.onEvent(event, partition)),
    ),
  );
  const watches = started.flatMap((result): PartitionWatch[] => (result.status === 'fulfilled' ? [result.value] : []));
  const stop = async (): Promise<void> => {
    await Promise.all(watches.map((watch) => watch.stop()));
  };
  const failed = started.find((result) => result.status === 'rejected');
  if (failed !== undefined) {
    await stop();
    throw failed.reason;
  }
  return {
    get positions() {
      return watches.map((watch) => watch.position());
    },
    stop,
  };
}
