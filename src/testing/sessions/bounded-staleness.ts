/** A read is never older than it declares (`lagMs`) or was told to be (`maxStalenessMs`). Acknowledged writes are the measure. */
import { describeRecord } from '../history/describe-record.ts';
import { broken, type CheckOptions, collectFindings, type Finding } from '../history/finding.ts';
import { type History, partitionOf } from '../history/record.ts';
import { readsOf, shownByRead } from '../history/shown.ts';
import { buildTimeline, missedChange } from '../history/timeline.ts';

export function checkBoundedStaleness(history: History, options: CheckOptions = {}): Finding[] {
  return collectFindings(findTooOld(history), options);
}

function* findTooOld(history: History): Iterable<Finding> {
  const timeline = buildTimeline(history);
  for (const read of readsOf(history)) {
    const { lagMs = Number.POSITIVE_INFINITY, maxStalenessMs = Number.POSITIVE_INFINITY } = read;
    const boundMs = Math.min(lagMs, maxStalenessMs);
    if (boundMs === Number.POSITIVE_INFINITY) continue;
    const dueAt = read.start - boundMs;
    const missed = missedChange(timeline, shownByRead(read), (change) => change.end < dueAt);
    if (missed === undefined) continue;
    const bound = boundMs === lagMs ? `declares a lag of ${lagMs} ms` : `allows an age of ${maxStalenessMs} ms`;
    const ageMs = read.start - missed.end;
    const message = `${describeRecord(read)} ${bound} and does not show what was acknowledged ${ageMs} ms before it: ${describeRecord(missed.record)}`;
    yield broken('bounded-staleness', message, [read, missed.record], { key: read.key, partition: partitionOf(read) });
  }
}
