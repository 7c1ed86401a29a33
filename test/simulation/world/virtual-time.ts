/**
 * The one time of a simulated world. Events fire one by one, in order of their moment and then of their creation, and after
 * each the engine runs every promise that it set free. So a run depends on nothing but its script and its seed.
 */

export interface Scheduled {
  cancel(): void;
}

export interface VirtualTime {
  /** ms since the world began. */
  readonly nowMs: number;
  /** Events fired so far. */
  readonly fired: number;
  at(atMs: number, fire: () => void): Scheduled;
  after(delayMs: number, fire: () => void): Scheduled;
  /** Runs until the moment, or until the condition holds; true for the latter. The condition is asked after each event. */
  runUntil(untilMs: number, isDone?: () => boolean): Promise<boolean>;
}

interface Event {
  readonly atMs: number;
  readonly order: number;
  fire: (() => void) | undefined;
}

const isBefore = (one: Event, other: Event): boolean =>
  one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);

export function createVirtualTime(): VirtualTime {
  // A binary heap: the parent of `index` is at `(index - 1) >> 1`.
  const heap: Event[] = [];
  let nowMs = 0;
  let order = 0;
  let fired = 0;

  function push(event: Event): void {
    let index = heap.length;
    heap.push(event);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent] as Event;
      if (!isBefore(event, above)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = event;
  }

  function pop(): Event | undefined {
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || first === last) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Event, heap[child] as Event)) child += 1;
      if (!isBefore(heap[child] as Event, last)) break;
      heap[index] = heap[child] as Event;
      index = child;
    }
    heap[index] = last;
    return first;
  }

  /** The next event that was not cancelled, if it is due; it stays in the heap. */
  function peekDue(untilMs: number): Event | undefined {
    for (let first = heap[0]; first !== undefined; first = heap[0]) {
      if (first.fire === undefined) pop();
      else return first.atMs <= untilMs ? first : undefined;
    }
    return undefined;
  }

  function at(atMs: number, fire: () => void): Scheduled {
    order += 1;
    const event: Event = { atMs: Math.max(nowMs, atMs), order, fire };
    push(event);
    return {
      cancel() {
        event.fire = undefined;
      },
    };
  }

  return {
    get nowMs() {
      return nowMs;
    },
    get fired() {
      return fired;
    },
    at,
    after: (delayMs, fire) => at(nowMs + Math.max(0, delayMs), fire),
    runUntil(untilMs, isDone = () => false) {
      return new Promise((resolve, reject) => {
        function step(): void {
          try {
            // Everything that waited for promises alone has run by now.
            if (isDone()) return resolve(true);
            const due = peekDue(untilMs);
            if (due === undefined) {
              nowMs = Math.max(nowMs, untilMs);
              return resolve(false);
            }
            pop();
            nowMs = due.atMs;
            fired += 1;
            due.fire?.();
            setImmediate(step);
          } catch (error) {
            reject(error);
          }
        }
        setImmediate(step);
      });
    },
  };
}
