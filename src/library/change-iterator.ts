/**
 * Changes as an async iterator: it listens from the moment it is made, not from the first `next`, so that nothing falls
 * between making it and using it. What waits to be taken is bounded.
 */
import { createQueue } from '../base/queue.ts';
import { SluiceError } from '../errors.ts';

export interface ChangeSource<Item> {
  /** Calls `onItem` for each item, and `onEnd` when there will be no more, which may be at once. */
  listen(onItem: (item: Item) => void, onEnd: (error: SluiceError) => void): () => void;
  /** Ends the iteration in order. */
  readonly signal: AbortSignal;
}

const itemsWaitingMax = 10_000;

export function iterateChanges<Item>({ listen, signal }: ChangeSource<Item>): AsyncIterableIterator<Item> {
  const items = createQueue<Item>();
  const takers = createQueue<{ resolve(result: IteratorResult<Item>): void; reject(error: unknown): void }>();
  const done: IteratorResult<Item> = { done: true, value: undefined };
  let isOver = false;
  /** Thrown once, after what was waiting has been taken. */
  let failure: SluiceError | undefined;
  let stopListening = (): void => undefined;

  const stop = listen(onItem, fail);
  if (failure === undefined) {
    stopListening = stop;
    signal.addEventListener('abort', finish, { once: true });
    if (signal.aborted) finish();
  } else {
    stop();
  }

  function onItem(value: Item): void {
    if (isOver || failure !== undefined) return;
    const taker = takers.shift();
    if (taker !== undefined) taker.resolve({ done: false, value });
    else if (items.size < itemsWaitingMax) items.push(value);
    else fail(new SluiceError('slow-consumer', `more than ${itemsWaitingMax} changes were waiting to be taken`));
  }

  function detach(): void {
    stopListening();
    signal.removeEventListener('abort', finish);
  }

  function fail(error: SluiceError): void {
    if (isOver || failure !== undefined) return;
    failure = error;
    detach();
    const taker = takers.shift();
    if (taker === undefined) return;
    isOver = true;
    taker.reject(error);
    finishTakers();
  }

  function finish(): void {
    if (isOver) return;
    isOver = true;
    detach();
    finishTakers();
  }

  function finishTakers(): void {
    for (let taker = takers.shift(); taker !== undefined; taker = takers.shift()) taker.resolve(done);
  }

  return {
    next() {
      if (isOver) return Promise.resolve(done);
      const value = items.shift();
      if (value !== undefined) return Promise.resolve({ done: false, value });
      if (failure !== undefined) {
        isOver = true;
        return Promise.reject(failure);
      }
      return new Promise((resolve, reject) => takers.push({ resolve, reject }));
    },
    return() {
      finish();
      return Promise.resolve(done);
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
