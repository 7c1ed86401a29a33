/**
 * Writes that are not on the wire: those that wait for a place in the window, and those that came back. One lane per
 * stream, so that a stream without a leader holds up its own writes and nobody else's.
 *
 * A lane keeps the order of admission. While it is blocked (the stream takes no writes) only one write goes out at a time, to
 * see whether the stream has come back; the others are not sent again and again for nothing.
 */
import { createQueue, type Queue } from '../../base/queue.ts';
import type { Position } from '../../events/record.ts';

export interface LaneItem {
  /** Order of admission. */
  readonly serial: number;
}

export interface Lane<Item extends LaneItem> {
  readonly name: string;
  /** Where the stream stored the last write that it acknowledged: what is sent from now on will stand above it. */
  head: Position;
  /** The stream refused the last write; undefined: it takes them. */
  blockedUntilMs: number | undefined;
  /** Is on its way to see whether a blocked stream is back. */
  scout: Item | undefined;
  push(item: Item): void;
  putBack(item: Item): void;
  peek(): Item | undefined;
  shift(): Item | undefined;
  toArray(): Item[];
  /** Lets go of items that no longer wait. */
  compact(): void;
}

/** An item that was settled while it waited stays in the lane, unseen, until `compact`. */
export function createLane<Item extends LaneItem>(
  name: string,
  head: Position,
  isWaiting: (item: Item) => boolean,
): Lane<Item> {
  /** Came back from the wire: older than all in `fresh`. Sorted by serial, highest first, to be taken from the end. */
  let returned: Item[] = [];
  let isSorted = true;
  let fresh: Queue<Item> = createQueue();

  function sort(): void {
    if (!isSorted) returned.sort((a, b) => b.serial - a.serial);
    isSorted = true;
  }

  function peek(): Item | undefined {
    sort();
    let item = returned.at(-1);
    for (; item !== undefined && !isWaiting(item); item = returned.at(-1)) returned.pop();
    if (item !== undefined) return item;
    item = fresh.peek();
    for (; item !== undefined && !isWaiting(item); item = fresh.peek()) fresh.shift();
    return item;
  }

  return {
    name,
    head,
    blockedUntilMs: undefined,
    scout: undefined,
    push: (item) => fresh.push(item),
    putBack(item) {
      isSorted = returned.length === 0;
      returned.push(item);
    },
    peek,
    shift() {
      peek();
      return returned.pop() ?? fresh.shift();
    },
    toArray() {
      sort();
      return returned.toReversed().concat(fresh.toArray()).filter(isWaiting);
    },
    compact() {
      returned = returned.filter(isWaiting);
      const rest = fresh.toArray().filter(isWaiting);
      fresh = createQueue();
      for (const item of rest) fresh.push(item);
    },
  };
}
