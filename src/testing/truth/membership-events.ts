/**
 * Membership changes once per incarnation: one `joined`, then at most one `left`, at positions on which all observers agree; and
 * each observer learns of them in the order of the control log, once in each of its lives.
 */
import { describeRecord } from '../history/describe-record.ts';
import { broken, type CheckOptions, collectFindings, type Finding } from '../history/finding.ts';
import { type History, lifeOf, type MemberObservation } from '../history/record.ts';

export function checkMembership(history: History, options: CheckOptions = {}): Finding[] {
  return collectFindings(findContradictions(history), options);
}

const subjectOf = ({ node, nodeIncarnation }: MemberObservation): string => JSON.stringify([node, nodeIncarnation]);
const eventOf = (seen: MemberObservation): string => `${subjectOf(seen)} ${seen.event}`;

function* findContradictions(history: History): Iterable<Finding> {
  const firstOfEvent = new Map<string, MemberObservation>();
  const atPosition = new Map<number, MemberObservation>();
  const lastOfObserver = new Map<string, MemberObservation>();
  const seen = history.filter((record): record is MemberObservation => record.type === 'member');
  for (const one of [...seen].sort((first, second) => first.at - second.at)) {
    const same = remember(firstOfEvent, eventOf(one), one);
    if (same !== undefined && same.position !== one.position)
      yield contradiction(one, same, `and ${describeRecord(same)}: one life ${one.event} twice`);
    const there = remember(atPosition, one.position, one);
    if (there !== undefined && eventOf(there) !== eventOf(one))
      yield contradiction(one, there, `where ${describeRecord(there)}`);
    const last = lastOfObserver.get(lifeOf(one));
    if (last !== undefined && last.position >= one.position)
      yield contradiction(one, last, `after ${describeRecord(last)}: not in the order of the log, or twice`);
    lastOfObserver.set(lifeOf(one), one);
  }
  for (const left of firstOfEvent.values()) {
    if (left.event !== 'left') continue;
    const joined = firstOfEvent.get(`${subjectOf(left)} joined`);
    if (joined !== undefined && joined.position > left.position)
      yield contradiction(left, joined, `before ${describeRecord(joined)}`);
  }
}

/** What was remembered under the name before; undefined: nothing. */
function remember<Key>(
  found: Map<Key, MemberObservation>,
  key: Key,
  one: MemberObservation,
): MemberObservation | undefined {
  const before = found.get(key);
  if (before === undefined) found.set(key, one);
  return before;
}

const contradiction = (one: MemberObservation, other: MemberObservation, text: string): Finding =>
  broken('membership', `${describeRecord(one)}, ${text}`, [one, other]);
