/**
 * The histories of single keys that linearizability is checked on: a history is linearizable exactly if that of each object is
 * (Herlihy and Wing), and many small searches are cheaper than a large one. A clear and a tag invalidation concern many keys:
 * each key's history has them as operations of its own.
 */
import type { Position } from '../../events/record.ts';
import { type History, isOperation, type Operation, partitionOf } from '../history/record.ts';

export interface KeyStep {
  /** Place in the order of starts. */
  readonly index: number;
  readonly kind: 'put' | 'delete' | 'clear' | 'tag' | 'read' | 'conflict';
  readonly start: number;
  readonly end: number;
  /** Its end as it was recorded: by then an entry may have expired for it. */
  readonly recordedEnd: number;
  /** False: it may be left out, because nobody knows whether it took place. */
  readonly isRequired: boolean;
  /** Of a put or a read; null: a read of nothing. */
  readonly value: string | null;
  readonly revision: Position | undefined;
  readonly ifRevision: Position | undefined;
  readonly ifAbsent: boolean;
  readonly basis: Position | undefined;
  readonly expiresAt: number;
  /** Of a put: those that it carries. Of a tag invalidation: the one. */
  readonly tags: readonly string[];
  readonly operation: Operation;
}

export interface KeyHistory {
  readonly key: string;
  readonly partition: number;
  /** In order of their starts. */
  readonly steps: readonly KeyStep[];
}

const noTags: readonly string[] = [];

/** undefined: says nothing about the register. */
function stepOf(operation: Operation): KeyStep | undefined {
  const { start, end, outcome } = operation;
  const kind = kindOf(operation);
  if (kind === undefined) return undefined;
  const isRequired = outcome !== 'unknown';
  return {
    index: 0,
    kind,
    start,
    end: isRequired ? end : Number.POSITIVE_INFINITY,
    recordedEnd: isRequired ? end : Number.POSITIVE_INFINITY,
    isRequired,
    value: 'value' in operation ? (operation.value ?? null) : null,
    revision: outcome === 'ok' ? operation.revision : undefined,
    ifRevision: 'ifRevision' in operation ? operation.ifRevision : undefined,
    ifAbsent: operation.type === 'put' && operation.ifAbsent === true,
    basis: operation.type === 'put' ? operation.basis : undefined,
    expiresAt: operation.type === 'put' ? (operation.expiresAt ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY,
    tags:
      operation.type === 'put'
        ? (operation.tags ?? noTags)
        : operation.type === 'invalidate'
          ? [operation.tag]
          : noTags,
    operation,
  };
}

function kindOf(operation: Operation): KeyStep['kind'] | undefined {
  const { type, outcome } = operation;
  if (type === 'read') return outcome === 'ok' && operation.consistency === 'latest' ? 'read' : undefined;
  if (type === 'clear') return outcome === 'failed' ? undefined : 'clear';
  if (type === 'invalidate') return outcome === 'failed' ? undefined : 'tag';
  if (outcome !== 'failed') return type;
  return operation.conflict === true ? 'conflict' : undefined;
}

/** One for each key of each partition, in the order of their first operations; one at a time, because they may be large. */
export function* keyHistoriesOf(history: History): Generator<KeyHistory> {
  const keyed = new Map<string, Operation[]>();
  const wide = new Map<number, Operation[]>();
  for (const record of history) {
    if (!isOperation(record)) continue;
    const partition = partitionOf(record);
    if ('key' in record) listIn(keyed, JSON.stringify([partition, record.key])).push(record);
    else listIn(wide, partition).push(record);
  }
  for (const [name, operations] of keyed) {
    const [partition, key] = JSON.parse(name) as [number, string];
    const carried = new Set(
      operations.flatMap((operation) => (operation.type === 'put' ? (operation.tags ?? []) : [])),
    );
    const concerning = (wide.get(partition) ?? []).filter(
      (operation) => operation.type === 'clear' || (operation.type === 'invalidate' && carried.has(operation.tag)),
    );
    yield { key, partition, steps: orderSteps([...operations, ...concerning]) };
  }
}

function orderSteps(operations: readonly Operation[]): KeyStep[] {
  return operations
    .flatMap((operation) => stepOf(operation) ?? [])
    .sort((one, other) => one.start - other.start || one.end - other.end)
    .map((step, index) => Object.assign(step, { index }));
}

function listIn<Key, Item>(lists: Map<Key, Item[]>, key: Key): Item[] {
  let list = lists.get(key);
  if (list === undefined) lists.set(key, (list = []));
  return list;
}

/**
 * The history as it was known at a moment: what began later is left out, a read that had not ended as well, and a write that
 * had not ended may be missing. If this has no linearization, the whole history has none.
 */
export function cutAt(steps: readonly KeyStep[], at: number): KeyStep[] {
  return steps
    .filter((step) => step.start <= at)
    .flatMap((step): Omit<KeyStep, 'index'>[] => {
      if (step.end <= at || !step.isRequired) return [step];
      if (step.kind === 'read' || step.kind === 'conflict') return [];
      return [{ ...step, isRequired: false, end: Number.POSITIVE_INFINITY }];
    })
    .map((step, index) => ({ ...step, index }));
}
