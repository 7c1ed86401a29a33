/**
 * Each position belongs to one write, and each revision has at most one successor by compare-and-set: nothing else was written to
 * the key between what a condition named and what it wrote, and nothing is created that was there.
 */
import { describeRecord } from '../history/describe-record.ts';
import { broken, type CheckOptions, collectFindings, type Finding } from '../history/finding.ts';
import { type History, isWrite, partitionOf, type WriteOperation } from '../history/record.ts';
import { buildTimeline, missedChange, type Timeline } from '../history/timeline.ts';

type KeyedWrite = Extract<WriteOperation, { key: string }>;

export function checkOneWinner(history: History, options: CheckOptions = {}): Finding[] {
  return collectFindings(findSecondWinners(history), options);
}

function* findSecondWinners(history: History): Iterable<Finding> {
  const timeline = buildTimeline(history);
  const owners = new Map<string, WriteOperation>();
  const winners = new Map<string, WriteOperation>();
  for (const write of history.filter(isWrite)) {
    if (write.outcome !== 'ok') continue;
    const partition = partitionOf(write);
    if (write.revision !== undefined) {
      const owner = second(owners, JSON.stringify([partition, write.revision]), write);
      if (owner !== undefined)
        yield finding(write, owner, `${describeRecord(write)} has the position of ${describeRecord(owner)}`);
    }
    if (!('key' in write)) continue;
    if (write.ifRevision !== undefined) {
      const winner = second(winners, JSON.stringify([partition, write.key, write.ifRevision]), write);
      if (winner !== undefined)
        yield finding(write, winner, `${describeRecord(write)} won a revision that ${describeRecord(winner)} had won`);
    }
    yield* findPassedOver(timeline, write);
  }
}

/** undefined: it is the first. */
function second<Item>(found: Map<string, Item>, name: string, item: Item): Item | undefined {
  const other = found.get(name);
  if (other === undefined) found.set(name, item);
  return other;
}

/** A change that stood in the way of a condition that is said to have held. */
function* findPassedOver(timeline: Timeline, write: KeyedWrite): Iterable<Finding> {
  const { ifRevision, revision, key } = write;
  if (revision === undefined) return;
  const partition = partitionOf(write);
  if (ifRevision !== undefined) {
    const between = timeline
      .changesOfKey(partition, key)
      .find((change) => change.key === key && change.position > ifRevision && change.position < revision);
    if (between !== undefined)
      yield finding(
        write,
        between.record,
        `${describeRecord(write)} at ${revision} passed over ${describeRecord(between.record)}`,
      );
  }
  if (write.type === 'put' && write.ifAbsent === true) {
    // To be created, the key must have been absent right below: what a miss there would have missed, stood in the way.
    const shown = { key, value: null, partition, start: write.start, end: write.end };
    const below = lastMessageBelow(timeline, partition, key, revision);
    const there = missedChange(timeline, shown, (change) => change === below);
    if (below !== undefined && there === below && !isEndedBelow(timeline, write, below.position))
      yield finding(
        write,
        below.record,
        `${describeRecord(write)} created what was there: ${describeRecord(below.record)}`,
      );
  }
}

function lastMessageBelow(timeline: Timeline, partition: number, key: string, position: number) {
  const below = timeline
    .changesOfKey(partition, key)
    .filter((change) => change.key === key && change.position < position);
  const last = below.at(-1);
  return last?.kind === 'put' ? last : undefined;
}

function isEndedBelow(timeline: Timeline, write: KeyedWrite, from: number): boolean {
  return timeline
    .changesOfKey(partitionOf(write), write.key)
    .some((change) => change.key === undefined && change.position > from && change.position < (write.revision ?? 0));
}

function finding(write: WriteOperation, other: Finding['records'][number], message: string): Finding {
  return broken('one-winner', message, [write, other], {
    partition: partitionOf(write),
    ...('key' in write ? { key: write.key } : {}),
  });
}
