/** Positions agree with time, over all keys of a partition: a write that ended before another one began is below it. */
import type { Position } from '../../events/record.ts';
import { describeRecord } from '../history/describe-record.ts';
import { broken, type CheckOptions, collectFindings, type Finding } from '../history/finding.ts';
import { type History, isWrite, partitionOf, type WriteOperation } from '../history/record.ts';

export function checkLogOrder(history: History, options: CheckOptions = {}): Finding[] {
  return collectFindings(findDisorder(history), options);
}

function* findDisorder(history: History): Iterable<Finding> {
  const writes = history.filter(isWrite).filter((write) => write.outcome === 'ok' && write.revision !== undefined);
  const byEnd = [...writes].sort((one, other) => one.end - other.end);
  const highest = new Map<number, WriteOperation>();
  const positionOf = (write: WriteOperation | undefined): Position => write?.revision ?? 0;
  let next = 0;
  for (const write of [...writes].sort((one, other) => one.start - other.start)) {
    for (let ended = byEnd[next]; ended !== undefined && ended.end < write.start; ended = byEnd[next]) {
      if (positionOf(ended) > positionOf(highest.get(partitionOf(ended)))) highest.set(partitionOf(ended), ended);
      next += 1;
    }
    const before = highest.get(partitionOf(write));
    if (before === undefined || positionOf(write) > positionOf(before)) continue;
    const message = `${describeRecord(write)} began after the end of ${describeRecord(before)}, and is not above it`;
    yield broken('log-order', message, [write, before], { partition: partitionOf(write) });
  }
}
