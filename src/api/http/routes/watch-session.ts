/**
 * One reader of a cache's changes: which events it is shown, and the id of each. It keeps one position per partition, also of
 * events that it does not show, so that resuming never goes further back than needed.
 */
import type { Position } from '../../../events/record.ts';
import type { Watch, WatchEvent } from '../../../service/watch.ts';
import type { EventStream, EventStreamOptions } from './event-stream.ts';
import { createEventStream } from './event-stream.ts';
import { formatWatchEvent, formatWatchId, type ValueForm } from './watch-event.ts';

export interface WatchSessionOptions extends Pick<EventStreamOptions, 'res' | 'clock' | 'limits'> {
  readonly partitionCount: number;
  /** Index = partition; undefined: from now. */
  readonly from: readonly Position[] | undefined;
  readonly prefix: string;
  readonly values: ValueForm;
  readonly onEnd: () => void;
}

export interface WatchSession {
  readonly stream: EventStream;
  tell(event: WatchEvent, partition: number): void;
  /** Sends what has been told so far and goes on from there. */
  begin(watch: Watch): void;
}

/** What a browser waits before it reconnects, in ms. */
const retryMs = 1_000;

export function createWatchSession(options: WatchSessionOptions): WatchSession {
  const { partitionCount, from, prefix, values } = options;
  /** Undefined until it is known where each partition begins. */
  let positions: Position[] | undefined;
  const early: { readonly event: WatchEvent; readonly partition: number }[] = [];
  let sentId = '';
  const stream = createEventStream({ ...options, progress });

  function open(known: readonly Position[]): void {
    positions = [...known];
    sentId = formatWatchId(positions);
    stream.send(`retry: ${retryMs}\nid: ${sentId}\n\n`);
  }

  function tell(event: WatchEvent, partition: number): void {
    if (!stream.isOpen) return;
    if (positions === undefined) {
      early.push({ event, partition });
      if (early.length > options.limits.eventsMax) stream.end('slow-consumer', 'too many changes at once; try again');
      return;
    }
    positions[partition] = event.position;
    if (!isShown(event)) return;
    sentId = formatWatchId(positions);
    stream.send(`${formatWatchEvent(event, partitionCount === 1 ? undefined : partition, values)}id: ${sentId}\n\n`);
  }

  const isShown = (event: WatchEvent): boolean =>
    (event.type !== 'put' && event.type !== 'delete') || event.key.startsWith(prefix);

  function progress(): string | undefined {
    const id = formatWatchId(positions ?? []);
    if (id === sentId) return undefined;
    sentId = id;
    return `id: ${id}\n`;
  }

  /** Where a partition began: just below the first event that was told of it. */
  function beginnings(watch: Watch): Position[] {
    return watch.positions.map((told, partition) => {
      const first = early.find((item) => item.partition === partition)?.event.position;
      return first === undefined ? told : Math.max(0, Math.min(told, first - 1));
    });
  }

  if (from !== undefined) open(from);

  return {
    stream,
    tell,
    begin(watch) {
      if (positions === undefined) {
        open(beginnings(watch));
        for (const { event, partition } of early.splice(0)) tell(event, partition);
      }
      stream.start();
    },
  };
}
