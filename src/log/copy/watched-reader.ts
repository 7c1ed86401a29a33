/**
 * One reader from its opening to its end, with a watchdog: a reader that says nothing for too long is as dead as one
 * that says so. Whoever calls this in a loop has at most one reader at any time.
 */
import { type Clock, every, type Timer } from '../../base/clock.ts';
import type { LogRecord, Position } from '../../events/record.ts';
import type { Log, ReaderEvents } from '../log.ts';

export interface WatchedReaderOptions {
  readonly log: Log;
  readonly clock: Clock;
  readonly from: Position;
  readonly silenceMs: number;
  readonly record: (record: LogRecord, pending: number) => void;
  readonly idle: (provenAtMs: number, through: Position) => void;
  /** For who wants to know only where messages stand. */
  readonly withoutData?: boolean;
  readonly opened?: () => void;
  /** Called several times per `silenceMs` while the reader is open. */
  readonly tick?: () => void;
}

export interface WatchedReader {
  /** Resolves with the reason once the reader is gone and closed; rejects when none could be opened. */
  readonly ended: Promise<string>;
  /** Nothing is delivered after this call. */
  end(reason: string): void;
}

const ticksPerSilence = 4;

export function openWatchedReader(options: WatchedReaderOptions): WatchedReader {
  const { log, clock, silenceMs } = options;
  let end: (reason: string) => void = () => undefined;
  const ended = new Promise<string>((resolve, reject) => {
    let isOver = false;
    let activity = 0;
    let watchdog: Timer | undefined;
    end = (reason) => {
      if (isOver) return;
      isOver = true;
      watchdog?.cancel();
      // Invariant: resolved only when this one is closed, so that the next one is never the second.
      opening.then((reader) => reader.close()).then(() => resolve(reason), reject);
    };
    const events: ReaderEvents = {
      record(record, pending) {
        activity += 1;
        if (!isOver) options.record(record, pending);
      },
      idle(provenAtMs, through) {
        activity += 1;
        if (!isOver) options.idle(provenAtMs, through);
      },
      alive() {
        activity += 1;
      },
      ended: end,
    };
    const opening = log.open(options.from, events, { withoutData: options.withoutData === true });
    opening.then(() => {
      if (isOver) return;
      options.opened?.();
      let lastActivity = activity;
      let quietSinceMs = clock.monotonic();
      watchdog = every(clock, silenceMs / ticksPerSilence, () => {
        const now = clock.monotonic();
        if (activity !== lastActivity) {
          lastActivity = activity;
          quietSinceMs = now;
        } else if (now - quietSinceMs > silenceMs) {
          return end(`silent for ${Math.round(now - quietSinceMs)} ms`);
        }
        options.tick?.();
      });
    }, reject);
  });
  return { ended, end: (reason) => end(reason) };
}
