/**
 * How far a long piece of work is: a bar on a terminal, otherwise a plain line every few seconds. It only shows; the work
 * tells it where it stands.
 */
import type { Clock } from '../../base/clock.ts';
import type { Terminal } from './terminal.ts';
import { formatCount, formatSize, formatSpan } from './text.ts';

export interface ProgressOptions {
  readonly terminal: Terminal;
  readonly clock: Clock;
  /** What is being done, for instance `loading files`. */
  readonly what: string;
  /** How many things there are. */
  readonly total: number;
  /** What they are called. */
  readonly unit: string;
  /** Where plain lines go, when there is no terminal. Default: remarks. */
  readonly say?: (line: string) => void;
}

export interface Progress {
  /** So many things and bytes are done. */
  update(done: number, bytes: number): void;
  /** Removes the bar. */
  end(): void;
}

const barWidth = 24;
const redrawMs = 80;
const plainMs = 3_000;

export function createProgress({ terminal, clock, what, total, unit, say }: ProgressOptions): Progress {
  const startedMs = clock.monotonic();
  const tell = say ?? (terminal.isJson ? () => undefined : terminal.note);
  let shownMs = startedMs;

  return {
    update(done, bytes) {
      const nowMs = clock.monotonic();
      if (nowMs - shownMs < (terminal.hasStatus ? redrawMs : plainMs)) return;
      shownMs = nowMs;
      const text = formatProgress({ what, unit, total, done, bytes, elapsedMs: nowMs - startedMs });
      if (terminal.hasStatus) terminal.status(`${formatBar(done, total)} ${text}`);
      else tell(text);
    },
    end: () => terminal.status(undefined),
  };
}

/** `[########----------------]` */
export function formatBar(done: number, total: number): string {
  const filled = total === 0 ? barWidth : Math.floor((Math.min(done, total) / total) * barWidth);
  return `[${'#'.repeat(filled)}${'-'.repeat(barWidth - filled)}]`;
}

export interface ProgressState {
  readonly what: string;
  readonly unit: string;
  readonly total: number;
  readonly done: number;
  readonly bytes: number;
  readonly elapsedMs: number;
}

/** `loading files: 45 %, 1,800 of 4,000 files, 12.3 MiB, 3,400/s, 0.6 s left` */
export function formatProgress({ what, unit, total, done, bytes, elapsedMs }: ProgressState): string {
  const percent = total === 0 ? 100 : Math.floor((done / total) * 100);
  const perMs = elapsedMs > 0 ? done / elapsedMs : 0;
  const parts = [`${percent} %`, `${formatCount(done)} of ${formatCount(total)} ${unit}`, formatSize(bytes)];
  if (perMs > 0) parts.push(`${formatCount(Math.round(perMs * 1000))}/s`, `${formatSpan((total - done) / perMs)} left`);
  return `${what}: ${parts.join(', ')}`;
}
