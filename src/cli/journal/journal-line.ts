/** One line of the journal, before it is shown. */
import type { Position } from '../../events/record.ts';
import { isoTime, showKey } from '../terminal/text.ts';

export interface JournalLine {
  readonly position: Position;
  /** When the log stored it. */
  readonly atMs: number;
  /** Who did it, where the event says so. */
  readonly by: string | undefined;
  /** The type of the event. */
  readonly type: string;
  /** The rest for people, on one line. */
  readonly what: string;
  /** The rest for programs. */
  readonly facts: Readonly<Record<string, unknown>>;
}

/** `      17  2026-07-31T10:11:12.123Z  node-1        member.joined     node-1  incarnation …` */
export function formatLine({ position, atMs, by, type, what }: JournalLine, bucket: string | undefined): string {
  const columns = [
    String(position).padStart(8),
    isoTime(atMs) ?? '-',
    ...(bucket === undefined ? [] : [bucket]),
    showKey(by ?? '-').padEnd(12),
    type.padEnd(16),
    what,
  ];
  return columns.join('  ').trimEnd();
}

export function lineJson({ position, atMs, by, type, facts }: JournalLine): Readonly<Record<string, unknown>> {
  return { position, at: isoTime(atMs), by, type, ...facts };
}
