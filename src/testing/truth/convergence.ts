/**
 * When nothing is under way any more, all copies and the log are equal: the same keys, at the same revisions, with the same
 * bytes. And nothing that was acknowledged is missing from them.
 */
import { describeRecord, quote } from '../history/describe-record.ts';
import { broken, type CheckOptions, collectFindings, type Finding } from '../history/finding.ts';
import { type History, partitionOf, type StateEntry, type StateObservation } from '../history/record.ts';
import { buildTimeline, missedChange } from '../history/timeline.ts';

const statesOf = (history: History): StateObservation[] =>
  history.filter((record): record is StateObservation => record.type === 'state');

/** States that carry the same name of a quiescence, compared with the first complete one of each partition. */
export function checkConvergence(history: History, options: CheckOptions = {}): Finding[] {
  return collectFindings(findDifferences(history), options);
}

function* findDifferences(history: History): Iterable<Finding> {
  const groups = new Map<string, StateObservation[]>();
  for (const state of statesOf(history)) {
    if (state.quiescence === undefined) continue;
    const name = JSON.stringify([state.quiescence, partitionOf(state)]);
    groups.set(name, [...(groups.get(name) ?? []), state]);
  }
  for (const states of groups.values()) {
    const model = states.find((state) => state.isComplete !== false);
    if (model === undefined) continue;
    for (const state of states) if (state !== model) yield* compare(model, state);
  }
}

function* compare(model: StateObservation, state: StateObservation): Iterable<Finding> {
  const partition = partitionOf(state);
  const there = new Map(model.entries.map((entry) => [entry.key, entry]));
  for (const entry of state.entries) {
    const other = there.get(entry.key);
    there.delete(entry.key);
    if (other?.revision === entry.revision && other.value === entry.value) continue;
    yield different(entry.key, describeEntry(entry), other === undefined ? 'nothing' : describeEntry(other));
  }
  if (state.isComplete === false) return;
  for (const other of there.values()) yield different(other.key, 'nothing', describeEntry(other));

  function different(key: string, one: string, other: string): Finding {
    const message = `after ${quote(state.quiescence ?? '')} ${state.process} has ${one} for key ${quote(key)}, and ${model.process} has ${other}`;
    return broken('convergence', message, [state, model], { key, partition });
  }
}

const describeEntry = ({ value, revision }: StateEntry): string => `${quote(value)} at ${revision}`;

/** Every acknowledged write shows in each state that was taken in a quiescence after it. */
export function checkNoLostWrite(history: History, options: CheckOptions = {}): Finding[] {
  return collectFindings(findLost(history), options);
}

function* findLost(history: History): Iterable<Finding> {
  const timeline = buildTimeline(history);
  const keys = new Map(
    timeline.partitions.map((partition) => [
      partition,
      new Set(timeline.changes(partition).flatMap(({ key }) => (key === undefined ? [] : [key]))),
    ]),
  );
  for (const state of statesOf(history)) {
    if (state.quiescence === undefined) continue;
    const partition = partitionOf(state);
    const entries = new Map(state.entries.map((entry) => [entry.key, entry]));
    for (const key of keys.get(partition) ?? []) {
      const entry = entries.get(key);
      if (entry === undefined && state.isComplete === false) continue;
      const shown = {
        key,
        value: entry?.value ?? null,
        revision: entry?.revision,
        partition,
        start: state.at,
        end: state.at,
      };
      const lost = missedChange(timeline, shown, (change) => change.end < state.at);
      if (lost === undefined) continue;
      const has = entry === undefined ? 'nothing' : describeEntry(entry);
      const message = `after ${quote(state.quiescence)} ${state.process} has ${has} for key ${quote(key)}, without ${describeRecord(lost.record)}`;
      yield broken('no-lost-write', message, [state, lost.record], { key, partition });
    }
  }
}
