/**
 * Faults that are planted into a sound history, by the check that must find them. Each changes what one caller, copy or watcher
 * was told, as a defect would; undefined: the history has no place for it.
 */
import type { CheckName } from '../../src/testing/history/finding.ts';
import type {
  History,
  HistoryRecord,
  KeyedWrite,
  MemberObservation,
  PutOperation,
  ReadOperation,
  StateObservation,
  WatchObservation,
  WriteOperation,
} from '../../src/testing/history/record.ts';

export type Fault = (history: History) => History | undefined;

type Placed<Write> = Write & { readonly revision: number };
type Told = Extract<WatchObservation, { event: 'put' | 'delete' | 'clear' | 'tag' }>;

const isAcknowledged = (record: HistoryRecord): record is Placed<WriteOperation> =>
  ['put', 'delete', 'clear', 'invalidate'].includes(record.type) &&
  'outcome' in record &&
  record.outcome === 'ok' &&
  'revision' in record &&
  record.revision !== undefined;

const isPlacedPut = (record: HistoryRecord): record is Placed<PutOperation> =>
  record.type === 'put' && isAcknowledged(record);

const isReadOk = (record: HistoryRecord): record is ReadOperation => record.type === 'read' && record.outcome === 'ok';

const isTold = (record: HistoryRecord): record is Told =>
  record.type === 'watch' && ['put', 'delete', 'clear', 'tag'].includes(record.event);

const sameLife = (one: ReadOperation, other: HistoryRecord): boolean =>
  'process' in other && one.process === other.process && one.incarnation === other.incarnation;

const replace = (history: History, old: HistoryRecord, changed: object): History =>
  history.map((record) => (record === old ? ({ ...record, ...changed } as HistoryRecord) : record));

/** The first of some records for which there is a change. */
function plant<Found extends HistoryRecord>(
  history: History,
  isFound: (record: HistoryRecord) => record is Found,
  changeOf: (found: Found) => object | undefined,
): History | undefined {
  for (const record of history.filter(isFound)) {
    const changed = changeOf(record);
    if (changed !== undefined) return replace(history, record, changed);
  }
  return undefined;
}

/** What a read shows when it shows the put before `newer`. Loaded values are left out: other rules hold for them. */
function olderThan(history: History, key: string, newer: number): object | undefined {
  const older = history.filter(isPlacedPut).find((put) => put.key === key && put.revision < newer && !put.basis);
  return older === undefined ? undefined : { value: older.value, revision: older.revision };
}

/** A read shows what was replaced by a put or a delete that it ought to show. */
const oldRead =
  (isDue: (write: Placed<KeyedWrite>, read: ReadOperation) => boolean): Fault =>
  (history) =>
    plant(history, isReadOk, (read) => {
      const due = history
        .filter(isAcknowledged)
        .filter((write): write is Placed<KeyedWrite> => 'key' in write && write.key === read.key)
        .filter((write) => isDue(write, read))
        .sort((one, other) => one.revision - other.revision)
        .at(-1);
      return due === undefined ? undefined : olderThan(history, read.key, due.revision);
    });

const isLocal = (read: ReadOperation): boolean => read.consistency === 'local';

/** A read after another one of the same session. */
const laterRead =
  (changeOf: (before: ReadOperation, later: ReadOperation, history: History) => object | undefined): Fault =>
  (history) =>
    plant(history, isReadOk, (later) => {
      const isReset = history.some(({ type }) => type === 'reset');
      if (isReset || !isLocal(later)) return undefined;
      for (const before of history.filter(isReadOk))
        if (isLocal(before) && sameLife(before, later) && before.end < later.start) {
          const change = changeOf(before, later, history);
          if (change !== undefined) return change;
        }
      return undefined;
    });

const isFinal = (record: HistoryRecord): record is StateObservation =>
  record.type === 'state' && record.quiescence !== undefined;

/** The last copy's state with one entry changed; undefined: it is taken away. */
const changedEntry =
  (change: (entry: StateObservation['entries'][number], history: History) => object | undefined): Fault =>
  (history) => {
    const state = history.filter(isFinal).at(-1);
    for (const entry of state?.entries ?? []) {
      const changed = change(entry, history);
      const others = state?.entries.filter((other) => other !== entry) ?? [];
      if (state !== undefined && changed !== noChange)
        return replace(history, state, {
          entries: changed === undefined ? others : [...others, { ...entry, ...changed }],
        });
    }
    return undefined;
  };
const noChange = {};

const ends = (history: History) =>
  history.filter(isAcknowledged).filter(({ type }) => type === 'delete' || type === 'clear');
const headOf = (history: History): number =>
  Math.max(0, ...history.filter(isAcknowledged).map(({ revision }) => revision));
/** After everything. */
const lateAt = (start: number) =>
  ({ process: 'late', start: 1e6 + start, end: 1e6 + start + 1, outcome: 'ok' }) as const;

const swapWith = (history: History, one: Told, other: Told | undefined): History | undefined =>
  other === undefined ? undefined : replace(replace(history, one, { at: other.at }), other, { at: one.at });

const nextTold = (history: History, told: Told): Told | undefined => {
  const place = history.indexOf(told);
  const next = history.slice(place + 1).find((record) => record.type === 'watch' && record.watch === told.watch);
  return next !== undefined && isTold(next) ? next : undefined;
};

const isMember = (record: HistoryRecord): record is MemberObservation => record.type === 'member';
const openedOf = (history: History, watch: string) =>
  history.find(
    (record): record is Extract<WatchObservation, { event: 'opened' }> =>
      record.type === 'watch' && record.event === 'opened' && record.watch === watch,
  );

export const faults: Readonly<Record<CheckName, Readonly<Record<string, Fault>>>> = {
  register: {
    'a value nobody wrote': (history) =>
      plant(history, isReadOk, (read) => (isLocal(read) ? undefined : { value: 'invented', revision: undefined })),
    'a value that was replaced': oldRead((write, read) => !isLocal(read) && write.end < read.start),
    'an acknowledged put that is not there': (history) => {
      const at = headOf(history) + 100;
      return [
        ...history.filter((record) => !('outcome' in record && record.outcome === 'unknown' && record.type !== 'put')),
        { ...lateAt(1), type: 'put', key: 'late', value: 'x', revision: at },
        { ...lateAt(3), type: 'read', consistency: 'latest', key: 'late', value: null },
      ];
    },
  },
  'read-your-writes': {
    'the value before': oldRead((write, read) => sameLife(read, write) && write.end < read.start),
  },
  'monotonic-reads': {
    'an older value': laterRead((before, later, history) =>
      before.key === later.key && before.revision !== undefined
        ? olderThan(history, later.key, before.revision)
        : undefined,
    ),
    'what a miss had ended': laterRead((before, later, history) =>
      before.key === later.key && before.value === null && before.position !== undefined
        ? olderThan(history, later.key, before.position + 1)
        : undefined,
    ),
    'a lower position': laterRead((before, later) =>
      before.position !== undefined && later.position !== undefined && before.position > 0
        ? { position: before.position - 1 }
        : undefined,
    ),
  },
  'writes-follow-reads': {
    'a position that was read before': (history) =>
      plant(history, isAcknowledged, (write) => {
        const read = history
          .filter(isReadOk)
          .find((one) => sameLife(one, write) && one.end < write.start && (one.position ?? 0) > 0);
        return read === undefined ? undefined : { revision: read.position };
      }),
  },
  'position-reads': {
    'older than declared': oldRead((write, read) => (read.position ?? 0) >= write.revision),
    'older than demanded': oldRead((write, read) => (read.minPosition ?? 0) >= write.revision),
    'answered below the demand': (history) =>
      plant(history, isReadOk, (read) =>
        read.position !== undefined && read.minPosition !== undefined ? { position: read.minPosition - 1 } : undefined,
      ),
  },
  'bounded-staleness': {
    'older than its lag': oldRead((write, read) => write.end < read.start - (read.lagMs ?? Number.POSITIVE_INFINITY)),
    'older than allowed': oldRead(
      (write, read) => write.end < read.start - (read.maxStalenessMs ?? Number.POSITIVE_INFINITY),
    ),
  },
  convergence: {
    'an entry that one lacks': changedEntry(() => undefined),
    'another value': changedEntry(() => ({ value: 'other' })),
    'another revision': changedEntry(({ revision }) => ({ revision: revision + 1 })),
  },
  'no-lost-write': {
    'the entry before it': changedEntry((entry, history) => {
      const isKnown = history.filter(isPlacedPut).some(({ revision }) => revision === entry.revision);
      return (isKnown ? olderThan(history, entry.key, entry.revision) : undefined) ?? noChange;
    }),
  },
  'no-future': {
    'a value nobody wrote': (history) => plant(history, isReadOk, () => ({ value: 'invented', revision: undefined })),
    'a value of a failed put': (history) =>
      plant(history, isReadOk, (read) => {
        const failed = history.find(
          (one): one is PutOperation => one.type === 'put' && one.outcome === 'failed' && one.key === read.key,
        );
        return failed === undefined ? undefined : { value: failed.value, revision: undefined };
      }),
    'a value of a later put': (history) =>
      plant(history, isReadOk, (read) => {
        const later = history.filter(isPlacedPut).find(({ key, start }) => key === read.key && start > read.end);
        return later === undefined ? undefined : { value: later.value, revision: later.revision };
      }),
    'a value of another key': (history) =>
      plant(history, isReadOk, (read) => {
        const put = history.filter(isPlacedPut).find(({ key, end }) => key !== read.key && end < read.start);
        return put === undefined ? undefined : { value: put.value, revision: put.revision };
      }),
  },
  'no-resurrection': {
    'in the newest state': (history) =>
      plant(history, isReadOk, (read) => {
        const end = ends(history).find((one) => one.end < read.start && (!('key' in one) || one.key === read.key));
        return end === undefined || isLocal(read) ? undefined : olderThan(history, read.key, end.revision);
      }),
    'in a copy that has applied the end': (history) =>
      plant(history, isReadOk, (read) => {
        const end = ends(history).find(
          (one) => one.revision <= (read.position ?? 0) && (!('key' in one) || one.key === read.key),
        );
        return end === undefined ? undefined : olderThan(history, read.key, end.revision);
      }),
  },
  'one-winner': {
    'a second winner': (history) => {
      const winner = history.filter(isPlacedPut).find(({ ifRevision }) => ifRevision !== undefined);
      if (winner === undefined) return undefined;
      return [...history, { ...winner, process: 'thief', value: 'stolen', revision: headOf(history) + 100 }];
    },
    'a position of two': (history) => {
      const [write] = history.filter(isPlacedPut);
      return write === undefined ? undefined : [...history, { ...write, process: 'thief', key: 'b', value: 'stolen' }];
    },
    'a create of what is there': (history) => {
      const at = headOf(history) + 100;
      return [
        ...history.filter(({ type }) => type !== 'clear' && type !== 'invalidate'),
        { ...lateAt(1), type: 'put', key: 'late', value: 'x', revision: at },
        { ...lateAt(3), type: 'put', key: 'late', value: 'y', ifAbsent: true, revision: at + 1 },
      ];
    },
  },
  'log-order': {
    'positions against time': (history) =>
      plant(history, isAcknowledged, (later) => {
        const before = history.filter(isAcknowledged).find((one) => one.end < later.start);
        return before === undefined ? undefined : { revision: before.revision - 1 };
      }),
  },
  membership: {
    'two joins of one life': (history) =>
      plant(history, isMember, (seen) => {
        const other = history
          .filter(isMember)
          .find((one) => one.event === seen.event && one.node === seen.node && one !== seen);
        return other === undefined
          ? undefined
          : { nodeIncarnation: other.nodeIncarnation, position: seen.position + 1 };
      }),
    'observers that disagree': (history) =>
      plant(history, isMember, (seen) =>
        history.filter(isMember).some((one) => one !== seen && one.position === seen.position)
          ? { node: 'n9' }
          : undefined,
      ),
    'an order of its own': (history) => {
      const [first, second] = history.filter(isMember).filter(({ process }) => process === 'n1');
      if (first === undefined || second === undefined) return undefined;
      return replace(replace(history, first, { at: second.at }), second, { at: first.at });
    },
  },
  'watch-ordered': {
    'two changes the other way round': (history) => {
      for (const told of history.filter(isTold)) {
        const swapped = swapWith(history, told, nextTold(history, told));
        if (swapped !== undefined) return swapped;
      }
      return undefined;
    },
    'from before it began': (history) =>
      plant(history, isTold, (told) => {
        const opened = openedOf(history, told.watch);
        const isFirst =
          history.find((one) => one.type === 'watch' && one.watch === told.watch && one !== opened) === told;
        return isFirst && opened !== undefined && opened.position > 0 ? { position: opened.position } : undefined;
      }),
  },
  'watch-unique': {
    'a change twice': (history) => {
      const [told] = history.filter(isTold);
      return told === undefined ? undefined : [...history, { ...told, at: told.at + 0.5 }];
    },
    'again by the one that goes on': (history) => {
      for (const opened of history) {
        if (opened.type !== 'watch' || opened.event !== 'opened' || opened.resumes === undefined) continue;
        const before = history.filter(
          (one): one is WatchObservation => one.type === 'watch' && one.watch === opened.resumes,
        );
        const told = before.slice(before.findLastIndex(({ event }) => event === 'reset') + 1).findLast(isTold);
        if (told !== undefined) return [...history, { ...told, watch: opened.watch, at: opened.at + 0.5 }];
      }
      return undefined;
    },
  },
  'watch-genuine': {
    'another value': (history) =>
      plant(history, isTold, (told) =>
        isKnown(history, told) && told.event === 'put' ? { value: 'other' } : undefined,
      ),
    'another key': (history) =>
      plant(history, isTold, (told) => (isKnown(history, told) && 'key' in told ? { key: 'other' } : undefined)),
    'a change of another kind': (history) =>
      plant(history, isTold, (told) =>
        isKnown(history, told) && told.event !== 'clear' ? { event: 'clear' } : undefined,
      ),
  },
  'watch-reliable': {
    'a change left out': (history) => {
      const told = history
        .filter(isTold)
        .find(
          (one) =>
            isKnown(history, one) &&
            one.position > (openedOf(history, one.watch)?.head ?? 0) &&
            nextTold(history, one) !== undefined,
        );
      return told === undefined ? undefined : history.filter((record) => record !== told);
    },
  },
  'watch-resumable': {
    'from farther on': (history) => plant(history, isResumed, ({ position }) => ({ position: position + 1 })),
    'from a watch that never was': (history) => plant(history, isResumed, () => ({ resumes: 'w0' })),
  },
  'watch-progress': {
    'a change from below a bookmark': (history) =>
      plant(history, isBookmark, (mark) => {
        const place = history.indexOf(mark);
        const next = history.slice(place + 1).find((one) => one.type === 'watch' && one.watch === mark.watch);
        return next !== undefined && isTold(next) ? { position: next.position } : undefined;
      }),
    'a bookmark below another': (history) => {
      const mark = history.find(isBookmark);
      return mark === undefined || mark.position === 0
        ? undefined
        : [...history, { ...mark, at: mark.at + 0.5, position: mark.position - 1 }];
    },
  },
  'watch-filtered': {
    'a key that was not asked for': (history) =>
      plant(history, isTold, (told) =>
        'key' in told && openedOf(history, told.watch)?.prefix !== undefined ? { key: 'b' } : undefined,
      ),
  },
};

type Resumed = Extract<WatchObservation, { event: 'opened' }>;
const isResumed = (record: HistoryRecord): record is Resumed =>
  record.type === 'watch' && record.event === 'opened' && record.resumes !== undefined;
const isBookmark = (record: HistoryRecord): record is WatchObservation =>
  record.type === 'watch' && record.event === 'progress';
/** Whether the history says what is at that position. */
const isKnown = (history: History, { position }: Told): boolean =>
  history.filter(isAcknowledged).some(({ revision }) => revision === position);
