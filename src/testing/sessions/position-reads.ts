/** A read that demands, or declares, a position is never older than that position. */
import { describeRecord } from '../history/describe-record.ts';
import { broken, type CheckOptions, collectFindings, type Finding } from '../history/finding.ts';
import { type History, partitionOf } from '../history/record.ts';
import { readsOf, shownByRead } from '../history/shown.ts';
import { buildTimeline, missedChange } from '../history/timeline.ts';

export function checkPositionReads(history: History, options: CheckOptions = {}): Finding[] {
  return collectFindings(findOlder(history), options);
}

function* findOlder(history: History): Iterable<Finding> {
  const timeline = buildTimeline(history);
  for (const read of readsOf(history)) {
    const { minPosition = 0, position = 0, key } = read;
    const facts = { key, partition: partitionOf(read) };
    if (read.position !== undefined && position < minPosition)
      yield broken(
        'position-reads',
        `${describeRecord(read)} demands position ${minPosition} and was answered at ${position}`,
        [read],
        facts,
      );
    const bound = Math.max(minPosition, position);
    if (bound === 0) continue;
    const missed = missedChange(timeline, shownByRead(read), (change) => change.position <= bound);
    if (missed === undefined) continue;
    const why = bound === minPosition ? 'demands' : 'declares';
    const message = `${describeRecord(read)} ${why} position ${bound} and does not show ${describeRecord(missed.record)}, at position ${missed.position}`;
    yield broken('position-reads', message, [read, missed.record], facts);
  }
}
