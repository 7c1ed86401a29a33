/**
 * One reader of server-sent events, with a bound on what waits for it.
 *
 * Events go out as fast as the socket takes them, many in one write. A burst is no fault of the reader; a reader is slow when
 * too many events wait while its socket has taken nothing for a while, or too many bytes wait. It is told so and closed; it
 * knows the id of the last event and resumes. `send` must never throw or wait: it is called in the middle of applying the
 * log.
 */
import type { ServerResponse } from 'node:http';
import { type Clock, every, type Timer } from '../../../base/clock.ts';
import type { ErrorCode } from '../../../errors.ts';

/** What waits for all readers together. */
export interface EventBudget {
  bytes: number;
  readonly bytesMax: number;
}

export interface EventStreamLimits {
  /** Events that may wait while the socket is stuck. */
  readonly eventsMax: number;
  /** Bytes that may wait in any case; one event alone may be larger. */
  readonly bytesMax: number;
  /** Shared by the readers: while it is used up, a reader that has not taken the event before is dropped. */
  readonly budget: EventBudget;
}

export interface EventStreamOptions {
  readonly res: ServerResponse;
  readonly clock: Clock;
  readonly limits: EventStreamLimits;
  /** The lines of a keep-alive that say how far the reader has got, or undefined when that is no news. */
  readonly progress: () => string | undefined;
  /** Called once, when nothing more is sent. */
  readonly onEnd: () => void;
}

export interface EventStream {
  readonly isOpen: boolean;
  /** One event, or any other block of lines with its blank line. Before `start` it waits, under the same limits. */
  send(block: string): void;
  start(): void;
  /** Sends what waits, then `event: dropped` with the reason, and closes. */
  end(code: ErrorCode, reason: string): void;
}

const eventStreamHeaders = ['Content-Type', 'text/event-stream', 'Cache-Control', 'no-store', 'Connection', 'close'];
const keepAliveMs = 15_000;
/** A socket that has taken nothing for so long is stuck. */
const stuckMs = 1_000;
/** How long a closed reader gets to take the last bytes. */
const lingerMs = 1_000;

export function createEventStream({ res, clock, limits, progress, onEnd }: EventStreamOptions): EventStream {
  let isStarted = false;
  let isEnding = false;
  let isEnded = false;
  let waiting: string[] = [];
  let waitingBytes = 0;
  /** Bytes handed to the socket and not taken yet; there is at most one such write. */
  let writingBytes = 0;
  /** Bytes of the budget that this reader uses, until its socket has taken them or is closed. */
  let heldBytes = 0;
  /** Since when the socket has taken nothing, while something waits for it. */
  let stuckSinceMs = clock.monotonic();
  let keepAlive: Timer | undefined;
  let linger: Timer | undefined;

  function hold(bytes: number): void {
    heldBytes += bytes;
    limits.budget.bytes += bytes;
  }

  function takeWaiting(): string {
    const text = waiting.join('');
    waiting = [];
    waitingBytes = 0;
    return text;
  }

  function flush(): void {
    if (!isStarted || isEnded || writingBytes > 0 || waiting.length === 0) return;
    writingBytes = waitingBytes;
    stuckSinceMs = clock.monotonic();
    res.write(takeWaiting(), () => {
      hold(-Math.min(heldBytes, writingBytes));
      writingBytes = 0;
      flush();
    });
  }

  function isSlow(): boolean {
    if (waitingBytes + writingBytes > limits.bytesMax) return waiting.length > 1 || writingBytes > 0;
    return waiting.length > limits.eventsMax && clock.monotonic() - stuckSinceMs > stuckMs;
  }

  /** What waits is still sent, so that a reader that resumes has come further, however often it is dropped. */
  function end(code: ErrorCode, reason: string): void {
    if (isEnding || isEnded) return;
    isEnding = true;
    waiting.push(`event: dropped\ndata: ${JSON.stringify({ code, reason })}\n\n`);
    if (isStarted) sendLast();
  }

  function sendLast(): void {
    linger = clock.timer(lingerMs, () => res.destroy());
    res.end(takeWaiting());
    finish();
  }

  function finish(): void {
    if (isEnded) return;
    isEnded = true;
    keepAlive?.cancel();
    waiting = [];
    onEnd();
  }

  /** What waits is given up where memory is short: the reader resumes from the last event that it got. */
  function dropForRoom(): void {
    hold(-waitingBytes);
    waiting = [];
    waitingBytes = 0;
    drop();
  }

  function drop(): void {
    end('slow-consumer', 'this reader takes events more slowly than they happen; resume from the last event id');
  }

  function tick(): void {
    if (isSlow() || (writingBytes > 0 && clock.monotonic() - stuckSinceMs >= keepAliveMs)) drop();
    else if (writingBytes === 0) send(`${progress() ?? ''}: keep-alive\n\n`);
  }

  function send(block: string): void {
    if (isEnding || isEnded) return;
    const { budget } = limits;
    if (budget.bytes > budget.bytesMax && (writingBytes > 0 || waitingBytes > 0)) return dropForRoom();
    const bytes = Buffer.byteLength(block);
    waiting.push(block);
    waitingBytes += bytes;
    hold(bytes);
    flush();
    if (isSlow()) drop();
  }

  res.once('close', () => {
    linger?.cancel();
    finish();
    hold(-heldBytes);
  });
  // A reader that goes away in the middle of a write is no error of the node; `close` follows.
  res.on('error', () => undefined);

  return {
    get isOpen() {
      return !isEnding && !isEnded;
    },
    send,
    start() {
      if (isStarted || isEnded) return;
      isStarted = true;
      res.writeHead(200, eventStreamHeaders);
      res.flushHeaders();
      if (isEnding) return sendLast();
      keepAlive = every(clock, keepAliveMs, tick);
      flush();
    },
    end,
  };
}
