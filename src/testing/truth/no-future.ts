/** Nothing is shown that nobody had written by then: no invented value, no value of a failed write, none before its write began. */
import { describeRead, describeRecord, quote } from '../history/describe-record.ts';
import { broken, type CheckOptions, collectFindings, type Finding } from '../history/finding.ts';
import type { History } from '../history/record.ts';
import { entriesShown, type ShownBy } from '../history/shown.ts';
import { buildTimeline, type PutFacts, type Timeline } from '../history/timeline.ts';

export function checkNoFuture(history: History, options: CheckOptions = {}): Finding[] {
  return collectFindings(findInvented(history), options);
}

function* findInvented(history: History): Iterable<Finding> {
  const timeline = buildTimeline(history);
  for (const shown of entriesShown(history)) {
    const why = problemOf(timeline, shown);
    if (why === undefined) continue;
    const entry = describeRead({ value: shown.value ?? null, revision: shown.revision });
    const message = `${describeRecord(shown.record)} shows ${entry} for key ${quote(shown.key)}, but ${why.text}`;
    yield broken('no-future', message, [shown.record, ...why.puts.map((put) => put.record)], {
      key: shown.key,
      partition: shown.partition,
    });
  }
}

interface Problem {
  readonly text: string;
  readonly puts: readonly PutFacts[];
}

function problemOf(timeline: Timeline, { partition, key, value, revision, end }: ShownBy): Problem | undefined {
  const puts = timeline.puts(partition, key);
  if (revision !== undefined) {
    const there = timeline.at(partition, revision);
    if (there !== undefined && (there.kind !== 'put' || there.key !== key))
      return { text: `at that position is something else: ${describeRecord(there.record)}`, puts: [] };
  }
  const same = puts.filter((put) => value === undefined || put.value === value);
  if (same.length === 0) return { text: 'nobody put that value', puts: [] };
  const possible = same.filter((put) => !put.isFailed);
  if (possible.length === 0) return { text: 'every put of that value failed', puts: same };
  const here = possible.filter(
    (put) => revision === undefined || put.revision === undefined || put.revision === revision,
  );
  if (here.length === 0) return { text: 'that value was put at another position', puts: possible };
  if (here.every((put) => put.start > end)) return { text: 'it was put only later', puts: here };
  return undefined;
}
