/** A session's reads show its own acknowledged writes, or something newer. */
import { describeRecord } from '../history/describe-record.ts';
import { broken, type CheckOptions, collectFindings, type Finding } from '../history/finding.ts';
import { type History, isWrite, partitionOf, sessionOf } from '../history/record.ts';
import { type OkRead, readsOf, shownByRead } from '../history/shown.ts';
import { buildTimeline, missedChange } from '../history/timeline.ts';

export function checkReadYourWrites(history: History, options: CheckOptions = {}): Finding[] {
  return collectFindings(findMissing(history), options);
}

function* findMissing(history: History): Iterable<Finding> {
  const timeline = buildTimeline(history);
  for (const read of readsOf(history)) {
    const session = sessionOf(read);
    const missed = missedChange(
      timeline,
      shownByRead(read),
      ({ record, end }) => isWrite(record) && end < read.start && sessionOf(record) === session,
    );
    if (missed !== undefined) yield finding(read, missed.record, missed.position);
  }
}

function finding(read: OkRead, write: Parameters<typeof describeRecord>[0], position: number): Finding {
  const message = `${describeRecord(read)} does not show the session's own ${describeRecord(write)}, at position ${position}`;
  return broken('read-your-writes', message, [read, write], { key: read.key, partition: partitionOf(read) });
}
