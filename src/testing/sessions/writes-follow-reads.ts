/**
 * A session's writes come after what it had read and written before, in the order of the log of their partition: their
 * positions are above every position that it had seen.
 */
import type { Position } from '../../events/record.ts';
import { describeRecord } from '../history/describe-record.ts';
import { broken, type CheckOptions, collectFindings, type Finding } from '../history/finding.ts';
import { type History, isOperation, type Operation, partitionOf, sessionOf } from '../history/record.ts';
import { buildTimeline, type Timeline } from '../history/timeline.ts';

export function checkWritesFollowReads(history: History, options: CheckOptions = {}): Finding[] {
  return collectFindings(findEarly(history), options);
}

function* findEarly(history: History): Iterable<Finding> {
  const timeline = buildTimeline(history);
  const operations = history.filter(isOperation).filter(({ outcome }) => outcome === 'ok');
  const byEnd = [...operations].sort((one, other) => one.end - other.end);
  const highest = new Map<string, { readonly position: Position; readonly by: Operation }>();
  let next = 0;
  for (const operation of [...operations].sort((one, other) => one.start - other.start)) {
    for (let ended = byEnd[next]; ended !== undefined && ended.end < operation.start; ended = byEnd[next]) {
      const position = positionSeen(timeline, ended);
      const name = nameOf(ended);
      if (position > (highest.get(name)?.position ?? 0)) highest.set(name, { position, by: ended });
      next += 1;
    }
    const seen = highest.get(nameOf(operation));
    if (operation.type === 'read' || operation.revision === undefined || seen === undefined) continue;
    if (operation.revision > seen.position) continue;
    const message = `${describeRecord(operation)} is not above position ${seen.position}, which its session had seen: ${describeRecord(seen.by)}`;
    yield broken('writes-follow-reads', message, [operation, seen.by], { partition: partitionOf(operation) });
  }
}

const nameOf = (operation: Operation): string => JSON.stringify([sessionOf(operation), partitionOf(operation)]);

function positionSeen(timeline: Timeline, operation: Operation): Position {
  if (operation.type !== 'read') return operation.revision ?? 0;
  return Math.max(operation.position ?? 0, timeline.revisionOf(operation, partitionOf(operation)) ?? 0);
}
