/**
 * The promises of a watch, after the validators of etcd's robustness tests: ordered, unique, genuine, reliable, resumable, with
 * true bookmarks, filtered.
 */
import { describeRecord } from '../history/describe-record.ts';
import { broken, type CheckName, type CheckOptions, collectFindings, type Finding } from '../history/finding.ts';
import type { History, HistoryRecord, WatchObservation, WriteOperation } from '../history/record.ts';
import { buildTimeline, type Change, type Timeline } from '../history/timeline.ts';
import {
  coveredBy,
  isTold,
  passes,
  type Stretch,
  stretchesOf,
  type Told,
  type WatchStream,
  watchStreamsOf,
} from './watch-stream.ts';

type Scan = (stream: WatchStream, timeline: Timeline, streams: readonly WatchStream[]) => Iterable<Finding>;

const checkOf =
  (scan: Scan) =>
  (history: History, options: CheckOptions = {}): Finding[] => {
    const timeline = buildTimeline(history);
    const streams = watchStreamsOf(history);
    function* all(): Iterable<Finding> {
      for (const stream of streams) yield* scan(stream, timeline, streams);
    }
    return collectFindings(all(), options);
  };

/** Positions only grow, and are above the one that the watch began at. */
export const checkWatchOrdered = checkOf(function* (stream) {
  for (const { from, begin, observations } of stretchesOf(stream)) {
    let last: WatchObservation | undefined;
    for (const told of observations.filter(isTold)) {
      if (told.position < (last?.position ?? 0))
        yield found('watch-ordered', stream, `${describeRecord(told)}, after ${describeRecord(last ?? told)}`, [
          told,
          last,
        ]);
      else if (told.position <= from)
        yield found('watch-ordered', stream, `${describeRecord(told)}, but it began above ${from}`, [told, begin]);
      last = told;
    }
  }
});

/** Nothing is told twice, also not by a watch that goes on from another one. */
export const checkWatchUnique = checkOf(function* (stream, _timeline, streams) {
  const told = new Map<number, WatchObservation>();
  const before = streams.find(
    ({ watch, partition }) => watch === stream.opened?.resumes && partition === stream.partition,
  );
  for (const other of before === undefined ? [] : (stretchesOf(before).at(-1)?.observations ?? []))
    if (isTold(other)) told.set(other.position, other);
  for (const { begin, observations } of stretchesOf(stream)) {
    if (begin?.event === 'reset') told.clear();
    for (const one of observations.filter(isTold)) {
      const same = told.get(one.position);
      if (same !== undefined)
        yield found('watch-unique', stream, `${describeRecord(one)}, which was told already: ${describeRecord(same)}`, [
          one,
          same,
        ]);
      else told.set(one.position, one);
    }
  }
});

/** What is told is what the log has at that position. */
export const checkWatchGenuine = checkOf(function* (stream, timeline) {
  for (const told of stream.observations.filter(isTold)) {
    const change = timeline.at(stream.partition, told.position);
    if (change === undefined || isSame(told, change, stream)) continue;
    const message = `${describeRecord(told)}, but at that position is ${describeRecord(change.record)}`;
    yield found('watch-genuine', stream, message, [told, change.record]);
  }
});

function isSame(told: Told, change: Change, { opened }: WatchStream): boolean {
  if ('key' in told && told.key !== change.key) return false;
  if (told.event === 'tag') return change.kind === 'tag' && change.tag === told.tag;
  if (told.event === 'put' && told.value !== undefined && told.value !== change.value) return false;
  // A put that is void when it arrives is told as a delete.
  const mayBeVoid = change.basis !== undefined || change.expiresAt <= told.at || change.position <= (opened?.head ?? 0);
  return told.event === change.kind || (told.event === 'delete' && change.kind === 'put' && mayBeVoid);
}

/** There is no gap: everything that passes the filter, between where it began and how far it says it is, was told. */
export const checkWatchReliable = checkOf(function* (stream, timeline) {
  for (const stretch of stretchesOf(stream)) {
    const upTo = coveredBy(stretch);
    for (const change of missing(stream, stretch, timeline, upTo)) {
      const message = `it told everything from ${stretch.from} to ${upTo} without ${describeRecord(change.record)}, at position ${change.position}`;
      yield found('watch-reliable', stream, message, [change.record, stretch.begin]);
    }
  }
});

function missing(stream: WatchStream, stretch: Stretch, timeline: Timeline, upTo: number): Change[] {
  const told = new Set(stretch.observations.filter(isTold).map(({ position }) => position));
  const head = stream.opened?.head ?? 0;
  const changes = timeline.changes(stream.partition).filter(({ position }) => position > stretch.from);
  return changes.filter(
    (change) =>
      change.position <= upTo &&
      passes(stream.opened, change.key) &&
      !told.has(change.position) &&
      !(change.position <= head && (isReplaced(change, changes) || mayBeReplacedUnseen(stream, change, timeline))),
  );
}

/** The head of a watch whose delivery was interrupted again and again: what was replaced may be missing anywhere. */
const endless = Number.MAX_SAFE_INTEGER;

/** By a write whose position nobody knows, and that began before the watch was opened; or at any time, for a head without end. */
function mayBeReplacedUnseen({ opened, partition }: WatchStream, change: Change, timeline: Timeline): boolean {
  return timeline
    .unplaced(partition, change.key ?? '')
    .some((write) => (write.start <= (opened?.at ?? 0) || opened?.head === endless) && mayReplace(write, change));
}

function mayReplace(write: WriteOperation, change: Change): boolean {
  if (write.type === 'clear') return true;
  if (write.type !== 'invalidate') return change.key !== undefined;
  return change.kind === 'tag' ? write.tag === change.tag : change.tags.includes(write.tag);
}

/** The log keeps the newest message of a key only, and what a clear or a tag has ended may be removed from it. */
function isReplaced(change: Change, changes: readonly Change[]): boolean {
  return changes.some((newer) => newer.position > change.position && replaces(newer, change));
}

function replaces(newer: Change, change: Change): boolean {
  if (change.kind === 'tag') return newer.kind === 'tag' && newer.tag === change.tag;
  if (newer.kind === 'clear') return true;
  if (newer.kind === 'tag') return change.tags.includes(newer.tag ?? '');
  return newer.key === change.key;
}

/** A watch that goes on from another one begins where that one stood, so that both together have no gap. */
export const checkWatchResumable = checkOf(function* (stream, _timeline, streams) {
  const { opened } = stream;
  if (opened?.resumes === undefined) return;
  const before = streams.find(({ watch, partition }) => watch === opened.resumes && partition === stream.partition);
  if (before === undefined) {
    yield found('watch-resumable', stream, `it goes on from ${opened.resumes}, which is not in the history`, [opened]);
    return;
  }
  const stretch = stretchesOf(before).at(-1);
  const upTo = stretch === undefined ? 0 : coveredBy(stretch);
  if (opened.position === upTo) return;
  const message = `it goes on from ${opened.resumes} at ${opened.position}, and that one stood at ${upTo}`;
  yield found('watch-resumable', stream, message, [opened, stretch?.observations.at(-1) ?? stretch?.begin]);
});

/** After a bookmark comes nothing from below it, and bookmarks do not go back. */
export const checkWatchProgress = checkOf(function* (stream) {
  for (const { observations } of stretchesOf(stream)) {
    let mark: WatchObservation | undefined;
    for (const one of observations) {
      const isBehind =
        mark !== undefined && (isTold(one) ? one.position <= mark.position : one.position < mark.position);
      if (isBehind)
        yield found('watch-progress', stream, `${describeRecord(one)}, after ${describeRecord(mark ?? one)}`, [
          one,
          mark,
        ]);
      if (!isTold(one) && !isBehind) mark = one;
    }
  }
});

/** Only what was asked for is told. */
export const checkWatchFiltered = checkOf(function* (stream) {
  const { opened } = stream;
  for (const told of stream.observations.filter(isTold)) {
    if (!('key' in told) || passes(opened, told.key)) continue;
    const message = `${describeRecord(told)}, but only keys with ${JSON.stringify(opened?.prefix)} were asked for`;
    yield found('watch-filtered', stream, message, [told, opened]);
  }
});

function found(
  check: CheckName,
  { watch, partition }: WatchStream,
  message: string,
  records: readonly (HistoryRecord | undefined)[],
): Finding {
  return broken(
    check,
    `watch ${watch}: ${message}`,
    records.filter((record) => record !== undefined),
    { partition },
  );
}
