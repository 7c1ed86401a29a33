/** Records of hand-made histories in few words. Times and positions are whole numbers. */
import type {
  DeleteOperation,
  MemberObservation,
  PutOperation,
  ReadOperation,
  StateObservation,
  WatchObservation,
} from '../../src/testing/history/record.ts';

type Span = readonly [start: number, end: number];

export const putAt = (
  [start, end]: Span,
  key: string,
  value: string,
  more: Partial<PutOperation> = {},
): PutOperation => ({
  type: 'put',
  process: 'p1',
  key,
  value,
  start,
  end,
  outcome: 'ok',
  ...more,
});

export const deleteAt = ([start, end]: Span, key: string, more: Partial<DeleteOperation> = {}): DeleteOperation => ({
  type: 'delete',
  process: 'p1',
  key,
  start,
  end,
  outcome: 'ok',
  ...more,
});

export const latestAt = (
  [start, end]: Span,
  key: string,
  value: string | null,
  more: Partial<ReadOperation> = {},
): ReadOperation => ({
  type: 'read',
  process: 'p2',
  consistency: 'latest',
  key,
  value,
  start,
  end,
  outcome: 'ok',
  ...more,
});

export const localAt = (
  span: Span,
  key: string,
  value: string | null,
  more: Partial<ReadOperation> = {},
): ReadOperation => latestAt(span, key, value, { process: 'p1', consistency: 'local', ...more });

export const clearAt = ([start, end]: Span, revision?: number) =>
  ({ type: 'clear', process: 'p3', start, end, outcome: 'ok', revision }) as const;

export const invalidateAt = ([start, end]: Span, tag: string, revision?: number) =>
  ({ type: 'invalidate', process: 'p3', tag, start, end, outcome: 'ok', revision }) as const;

/** Entries as [key, value, revision]. */
export const stateAt = (
  at: number,
  process: string,
  position: number,
  entries: readonly (readonly [string, string, number])[],
  more: Partial<StateObservation> = {},
): StateObservation => ({
  type: 'state',
  process,
  at,
  position,
  quiescence: 'the end',
  entries: entries.map(([key, value, revision]) => ({ key, value, revision })),
  ...more,
});

export const memberAt = (
  at: number,
  process: string,
  event: 'joined' | 'left',
  node: string,
  position: number,
  nodeIncarnation = '1',
): MemberObservation => ({ type: 'member', at, process, event, node, nodeIncarnation, position });

/** What one watch says, at moments 100, 101, … */
export function watchSays(
  watch: string,
  ...events: readonly (readonly [WatchObservation['event'], number, object?])[]
): WatchObservation[] {
  return events.map(
    ([event, position, more], index) =>
      ({ type: 'watch', process: 'w', watch, at: 100 + index, event, position, ...more }) as WatchObservation,
  );
}

export const lost = { outcome: 'unknown', end: Number.POSITIVE_INFINITY } as const;
