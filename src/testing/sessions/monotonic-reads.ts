/**
 * The reads of a session never go backwards: not from an entry to an older one, not from a miss back to what was missed. The
 * position that a process's copy declares never goes backwards either. A declared reset begins anew.
 */
import type { Position } from '../../events/record.ts';
import { describeRecord } from '../history/describe-record.ts';
import { broken, type CheckOptions, collectFindings, type Finding } from '../history/finding.ts';
import { type History, lifeOf, partitionOf, type ResetObservation, sessionOf } from '../history/record.ts';
import { type OkRead, readsOf } from '../history/shown.ts';
import { buildTimeline } from '../history/timeline.ts';

/** What a later read must at least show. */
interface Floor {
  readonly revision: Position;
  /** The entry at `revision` itself was seen to be gone. */
  readonly isGone: boolean;
  readonly read: OkRead;
}

export function checkMonotonicReads(history: History, options: CheckOptions = {}): Finding[] {
  return collectFindings(findBackward(history), options);
}

function* findBackward(history: History): Iterable<Finding> {
  const timeline = buildTimeline(history);
  const resets = history.filter((record): record is ResetObservation => record.type === 'reset');
  const reads = readsOf(history).sort((one, other) => one.start - other.start);
  const bySession = groupBy(reads, (read) => JSON.stringify([sessionOf(read), partitionOf(read), read.key]));
  const isResetBetween = (one: OkRead, other: OkRead): boolean =>
    resets.some(
      (reset) =>
        partitionOf(reset) === partitionOf(one) &&
        [lifeOf(one), lifeOf(other)].includes(lifeOf(reset)) &&
        reset.at >= one.start &&
        reset.at <= other.end,
    );

  for (const group of bySession.values()) {
    const sweep = createSweep<Floor>(group, (floor, other) =>
      other.revision > floor.revision || (other.revision === floor.revision && other.isGone) ? other : floor,
    );
    for (const read of group) {
      const floor = sweep.before(read, (kept) => !isResetBetween(kept.read, read));
      const partition = partitionOf(read);
      const revision = timeline.revisionOf(read, partition);
      if (read.value === null) {
        sweep.add(read, { revision: Math.max(floor?.revision ?? 0, read.position ?? 0), isGone: true, read });
        continue;
      }
      if (revision === undefined) continue;
      const isBack =
        floor !== undefined && (revision < floor.revision || (floor.isGone && revision === floor.revision));
      if (isBack) {
        const message = `${describeRecord(read)} goes back behind the same session's ${describeRecord(floor.read)}`;
        yield broken('monotonic-reads', message, [read, floor.read], { key: read.key, partition });
      } else sweep.add(read, { revision, isGone: false, read });
    }
  }

  const declared = reads.filter((read) => read.consistency === 'local' && read.position !== undefined);
  for (const group of groupBy(declared, (read) => JSON.stringify([lifeOf(read), partitionOf(read)])).values()) {
    const sweep = createSweep<OkRead>(group, (one, other) =>
      (other.position ?? 0) > (one.position ?? 0) ? other : one,
    );
    for (const read of group) {
      const highest = sweep.before(read, (kept) => !isResetBetween(kept, read));
      if (highest !== undefined && (read.position ?? 0) < (highest.position ?? 0)) {
        const message = `${describeRecord(read)} declares position ${read.position}, and the same copy declared ${highest.position} before: ${describeRecord(highest)}`;
        yield broken('monotonic-reads', message, [read, highest], { key: read.key, partition: partitionOf(read) });
      }
      sweep.add(read, read);
    }
  }
}

interface Sweep<Known> {
  /** What is known from reads that ended before `read` began. */
  before(read: OkRead, isKept: (known: Known) => boolean): Known | undefined;
  add(read: OkRead, known: Known): void;
}

/** Folds what reads showed in the order of their ends, while reads come in the order of their starts. */
function createSweep<Known>(reads: readonly OkRead[], newest: (one: Known, other: Known) => Known): Sweep<Known> {
  const byEnd = [...reads].sort((one, other) => one.end - other.end);
  const shown = new Map<OkRead, Known>();
  let next = 0;
  let known: Known | undefined;
  return {
    before(read, isKept) {
      for (let ended = byEnd[next]; ended !== undefined && ended.end < read.start; ended = byEnd[next]) {
        const other = shown.get(ended);
        if (other !== undefined) known = known === undefined || !isKept(known) ? other : newest(known, other);
        next += 1;
      }
      return known !== undefined && isKept(known) ? known : undefined;
    },
    add: (read, other) => void shown.set(read, other),
  };
}

function groupBy<Item>(items: readonly Item[], nameOf: (item: Item) => string): Map<string, Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const name = nameOf(item);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [item]);
    else group.push(item);
  }
  return groups;
}
