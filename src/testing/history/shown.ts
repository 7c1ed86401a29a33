/** Everything in a history that shows an entry or a miss: reads, states of copies, puts that watchers were told. */
import { type History, type HistoryRecord, partitionOf, type ReadOperation } from './record.ts';
import type { Shown } from './timeline.ts';

export type OkRead = ReadOperation & { readonly value: string | null };

/** Reads that say something. */
export function readsOf(history: History): OkRead[] {
  return history.filter(
    (record): record is OkRead => record.type === 'read' && record.outcome === 'ok' && record.value !== undefined,
  );
}

export const shownByRead = (read: OkRead): Shown => ({
  partition: partitionOf(read),
  key: read.key,
  value: read.value,
  revision: read.revision,
  start: read.start,
  end: read.end,
});

export interface ShownBy extends Shown {
  readonly record: HistoryRecord;
  /** The copy had applied everything up to here. */
  readonly position: number | undefined;
}

/** All entries that were shown; misses are not among them. */
export function entriesShown(history: History): ShownBy[] {
  return history.flatMap((record): ShownBy[] => {
    if (record.type === 'read')
      return record.outcome === 'ok' && typeof record.value === 'string'
        ? [{ ...shownByRead({ ...record, value: record.value }), record, position: record.position }]
        : [];
    const partition = 'partition' in record ? (record.partition ?? 0) : 0;
    if (record.type === 'state') {
      const { at, position } = record;
      return record.entries.map((entry) => ({ ...entry, partition, start: at, end: at, record, position }));
    }
    if (record.type === 'watch' && record.event === 'put') {
      const { key, value, at } = record;
      return [{ key, value, revision: record.position, partition, start: at, end: at, record, position: undefined }];
    }
    return [];
  });
}
