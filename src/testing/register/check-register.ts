/**
 * Linearizability of the writes and the `latest` reads of each key, with a verdict that can be understood: the shortest
 * beginning of the history that already has no explanation, how far an explanation comes, and which operations fit nowhere.
 */

import { describeRecord, quote } from '../history/describe-record.ts';
import type { CheckOptions, Finding } from '../history/finding.ts';
import { findingsMaxDefault } from '../history/finding.ts';
import type { History, Operation } from '../history/record.ts';
import { cutAt, type KeyHistory, type KeyStep, keyHistoriesOf } from './key-history.ts';
import { describeMisfit, describeState, emptyRegister } from './register-state.ts';
import { type DeadEnd, type SearchResult, searchLinearization } from './search.ts';

export interface RegisterOptions extends CheckOptions {
  /** How many states may be looked at for one key, before its verdict is `undecided`. Default 200,000. */
  readonly statesMax?: number | undefined;
}

export interface RegisterFinding extends Finding {
  readonly check: 'register';
  readonly key: string;
  readonly partition: number;
  /** The longest order that explains the beginning of the key's history; a proof of nothing when undecided. */
  readonly explained: readonly Operation[];
  /** One of these would have to be next, and none can be. */
  readonly misfits: readonly Operation[];
}

export interface RegisterReport {
  /** `broken` if any key's history is; else `undecided` if any key's is. */
  readonly verdict: 'holds' | 'broken' | 'undecided';
  readonly findings: readonly RegisterFinding[];
  readonly keys: number;
  readonly operations: number;
  /** How many states were looked at. */
  readonly states: number;
}

/** An explanation need not be the shortest at any price. */
const explainingStatesMax = 10_000;

export const statesMaxDefault = 200_000;

/** Of each key whose history is not linearizable, or could not be decided within the budget. */
export function checkRegister(history: History, options: RegisterOptions = {}): RegisterFinding[] {
  return [...judgeRegister(history, options).findings];
}

export function judgeRegister(history: History, options: RegisterOptions = {}): RegisterReport {
  const { statesMax = statesMaxDefault, findingsMax = findingsMaxDefault } = options;
  const findings: RegisterFinding[] = [];
  let keys = 0;
  let operations = 0;
  let states = 0;
  let isBroken = false;
  let isUndecided = false;
  for (const keyHistory of keyHistoriesOf(history)) {
    keys += 1;
    operations += keyHistory.steps.length;
    const result = searchLinearization(keyHistory.steps, statesMax);
    states += result.states;
    if (result.verdict === 'linearizable') continue;
    if (result.verdict === 'undecided') isUndecided = true;
    else isBroken = true;
    if (findings.length < findingsMax) findings.push(explain(keyHistory, result, statesMax));
  }
  return { verdict: isBroken ? 'broken' : isUndecided ? 'undecided' : 'holds', findings, keys, operations, states };
}

function explain(history: KeyHistory, result: SearchResult, statesMax: number): RegisterFinding {
  const { key, partition } = history;
  if (result.verdict === 'undecided') {
    const placed = operationsOf(result.deadEnd?.placed ?? []);
    const message =
      `key ${quote(key)}: undecided after ${result.states} states (statesMax ${statesMax}); ` +
      `an order of ${placed.length} of ${history.steps.length} operations was found`;
    const misfits = operationsOf(result.deadEnd?.next ?? []);
    return {
      check: 'register',
      verdict: 'undecided',
      message,
      key,
      partition,
      records: misfits,
      explained: placed,
      misfits,
    };
  }
  const shortened = shorten(history.steps, result, Math.min(statesMax, explainingStatesMax));
  const { steps } = shortened;
  const { placed, state, next } = lastStraw(shortened) ?? farthest(shortened, Math.min(statesMax, explainingStatesMax));
  const last = placed.at(-1);
  const message = [
    `key ${quote(key)} is not linearizable: ${placed.length} of its first ${steps.length} operations have an order`,
    ...(last === undefined ? [] : [`, up to ${describeRecord(last.operation)}`]),
    `; then ${describeState(state)}, and nothing fits: `,
    next.map((step) => `${describeRecord(step.operation)}: ${describeMisfit(state, step)}`).join('; '),
  ].join('');
  const misfits = operationsOf(next);
  const writer = state.message === undefined ? [] : [state.message.operation];
  return {
    check: 'register',
    verdict: 'broken',
    message,
    key,
    partition,
    records: [...misfits, ...writer],
    explained: operationsOf(placed),
    misfits,
  };
}

const noDeadEnd: DeadEnd = { placed: [], state: emptyRegister, next: [] };

/** An observation that was the last to end, where all before it has an order: that order, and it. */
function lastStraw({ steps, before, end }: Shortened): DeadEnd | undefined {
  const last = steps.filter((step) => step.end === end);
  const isSeen = last.every(({ kind }) => kind === 'read' || kind === 'conflict');
  return before === undefined || !isSeen ? undefined : { placed: before.order, state: before.state, next: last };
}

/** What was shortened is small as a rule; where it is not, the first dead end will do. */
function farthest({ steps, deadEnd }: Shortened, statesMax: number): DeadEnd {
  const thorough = searchLinearization(steps, statesMax, true).deadEnd ?? noDeadEnd;
  return deadEnd === undefined || requiredIn(thorough) >= requiredIn(deadEnd) ? thorough : deadEnd;
}

const requiredIn = ({ placed }: DeadEnd): number => placed.filter((step) => step.isRequired).length;

const operationsOf = (steps: readonly KeyStep[]): Operation[] => steps.map((step) => step.operation);

interface Shortened {
  readonly steps: readonly KeyStep[];
  readonly deadEnd: DeadEnd | undefined;
  /** Up to which moment the steps are known. */
  readonly end: number | undefined;
  /** What was found for the next shorter beginning, if that has an order. */
  readonly before: SearchResult | undefined;
}

/** The shortest beginning, by the end of an operation, that has no order: by halving, because longer ones have none either. */
function shorten(steps: readonly KeyStep[], whole: SearchResult, statesMax: number): Shortened {
  const ends = [...new Set(steps.flatMap((step) => (Number.isFinite(step.end) ? [step.end] : [])))].sort(
    (one, other) => one - other,
  );
  let found: Omit<Shortened, 'before'> = { steps, deadEnd: whole.deadEnd, end: ends.at(-1) };
  let before: SearchResult | undefined;
  let low = 0;
  let high = ends.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const end = ends[middle] ?? 0;
    const cut = cutAt(steps, end);
    const result = searchLinearization(cut, statesMax);
    if (result.verdict === 'not-linearizable') {
      found = { steps: cut, deadEnd: result.deadEnd, end };
      high = middle - 1;
    } else {
      before = result.verdict === 'linearizable' ? result : undefined;
      low = middle + 1;
    }
  }
  return { ...found, before };
}
