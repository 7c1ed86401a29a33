/**
 * What a delete, a clear or a tag invalidation has ended stays ended, wherever that change is known to be applied: in a copy that
 * declares its position, in a read of the newest state that began afterwards, in a state after quiescence. A loaded value that
 * began before an invalidation is ended by it, though its own revision is above.
 */
import { describeRead, describeRecord, quote } from '../history/describe-record.ts';
import { broken, type CheckOptions, collectFindings, type Finding } from '../history/finding.ts';
import type { History } from '../history/record.ts';
import { entriesShown, type ShownBy } from '../history/shown.ts';
import { buildTimeline, type Change, ends, type Timeline } from '../history/timeline.ts';

export function checkNoResurrection(history: History, options: CheckOptions = {}): Finding[] {
  return collectFindings(findResurrected(history), options);
}

function* findResurrected(history: History): Iterable<Finding> {
  const timeline = buildTimeline(history);
  for (const shown of entriesShown(history)) {
    const end = endOf(timeline, shown);
    if (end === undefined) continue;
    const entry = describeRead({ value: shown.value ?? null, revision: shown.revision });
    const message = `${describeRecord(shown.record)} shows ${entry} for key ${quote(shown.key)}, which had been ended by ${describeRecord(end.record)}, at position ${end.position}`;
    yield broken('no-resurrection', message, [shown.record, end.record], {
      key: shown.key,
      partition: shown.partition,
    });
  }
}

function endOf(timeline: Timeline, shown: ShownBy): Change | undefined {
  const revision = timeline.revisionOf(shown, shown.partition);
  if (revision === undefined || shown.record.type === 'watch') return undefined;
  return timeline
    .changesOfKey(shown.partition, shown.key)
    .find((change) => change.kind !== 'put' && isApplied(change, shown) && ends(timeline, change, revision));
}

function isApplied(change: Change, { position, record, start }: ShownBy): boolean {
  if (position !== undefined && change.position <= position) return true;
  const isNewest =
    record.type === 'state'
      ? record.quiescence !== undefined
      : record.type === 'read' && record.consistency === 'latest';
  return isNewest && change.end < start;
}
