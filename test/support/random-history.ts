/**
 * Histories of a register made by one: operations take effect one after the other, callers see them later, some never hear of
 * it, and, on request, something in it is made untrue. So about as many have an order as have none.
 */
import type { History, Operation } from '../../src/testing/history/record.ts';
import type { SeededRandom } from '../../src/testing/seeded-random.ts';

export interface RandomHistoryOptions {
  readonly operations: number;
  readonly keys: number;
  readonly processes: number;
  /** Values are one of so many; undefined: each its own. */
  readonly values?: number | undefined;
  /** False: nobody tells positions. */
  readonly withRevisions: boolean;
  /** How long before and after it takes effect an operation can begin and end; one takes effect every 10. Default 40. */
  readonly span?: number | undefined;
  /** Of 100. */
  readonly unknownPercent: number;
  /** Clears, tags, loaded values and expiry, beside puts, deletes and conditions. */
  readonly isRich: boolean;
  /** How many of 1,000 operations are a clear or a tag invalidation, half of each. Default: 100 if rich, else none. */
  readonly invalidationsPerMille?: number | undefined;
  /** Keys are shared out among the processes, so that only so many touch a key at once. */
  readonly hasOwnKeys?: boolean | undefined;
}

interface Entry {
  value: string | null;
  position: number;
  tags: readonly string[];
}

type Draft = { -readonly [Name in keyof Operation]: Operation[Name] } & Record<string, unknown>;

const tags = ['red', 'blue'] as const;

/** A history that has an order. Times are whole numbers; an operation takes effect at a moment of its own. */
export function makeHistory(random: SeededRandom, options: RandomHistoryOptions): Operation[] {
  const entries = new Map<string, Entry>();
  const freeAt = Array.from({ length: options.processes }, () => 0);
  const invalidations: { readonly tag: string | undefined; readonly position: number }[] = [];
  const operations: Operation[] = [];
  const { span = 40, hasOwnKeys = false, invalidationsPerMille = options.isRich ? 100 : 0 } = options;
  const hasTags = options.isRich || invalidationsPerMille > 0;
  let position = 0;
  for (let index = 0; index < options.operations; index += 1) {
    const moment = (index + 1) * 10;
    const process = idleProcess(moment);
    const earliest = Math.min(moment, (freeAt[process] ?? 0) + 1);
    const start = Math.max(earliest, moment - random.below(span));
    const end = moment + random.below(span);
    const key = `k${hasOwnKeys ? process % options.keys : random.below(options.keys)}`;
    const entry = entries.get(key) ?? { value: null, position: 0, tags: [] };
    const draft: Draft = { type: 'read', process: `p${process}`, start, end, outcome: 'ok' } as unknown as Draft;
    decideOperation(draft, key, index, entry);
    const isLost = draft.type !== 'read' && random.below(100) < options.unknownPercent;
    // Of the lost ones, some never arrive.
    if (!isLost || random.below(2) === 0) take(draft, key, entry);
    if (isLost) {
      Object.assign(draft, { outcome: 'unknown', end: Number.POSITIVE_INFINITY });
      delete draft['revision'];
      delete draft['conflict'];
    } else freeAt[process] = end;
    operations.push(draft as unknown as Operation);
  }
  return operations;

  function idleProcess(moment: number): number {
    // A few guesses are enough as a rule, and the whole list is long where there are many.
    for (let guess = 0; guess < 20; guess += 1) {
      const process = random.below(options.processes);
      if ((freeAt[process] ?? 0) < moment) return process;
    }
    const idle = freeAt.flatMap((at, process) => (at < moment ? [process] : []));
    return idle.length === 0 ? random.below(options.processes) : random.pick(idle);
  }

  function decideOperation(draft: Draft, key: string, index: number, entry: Entry): void {
    const dice = random.below(100);
    const value = options.values === undefined ? `v${index}` : `v${random.below(options.values)}`;
    const isNamed = options.withRevisions;
    if (random.below(1_000) < invalidationsPerMille)
      Object.assign(draft, random.below(2) === 0 ? { type: 'clear' } : { type: 'invalidate', tag: random.pick(tags) });
    else if (dice < 45) Object.assign(draft, { type: 'read', key, consistency: 'latest' });
    else if (dice < 62) Object.assign(draft, { type: 'delete', key });
    else {
      Object.assign(draft, { type: 'put', key, value });
      if (dice < 70) draft['ifAbsent'] = true;
      else if (dice < 80 && isNamed) draft['ifRevision'] = Math.max(1, entry.position - random.below(2));
      if (hasTags && random.below(3) > 0) draft['tags'] = [random.pick(tags)];
      if (options.isRich && isNamed && random.below(8) === 0) draft['basis'] = Math.max(0, position - random.below(3));
      if (options.isRich && random.below(12) === 0) draft['expiresAt'] = (draft['start'] as number) + random.below(100);
    }
  }

  function take(draft: Draft, key: string, entry: Entry): void {
    if (draft.type === 'read') {
      Object.assign(draft, { value: entry.value });
      if (options.withRevisions && entry.value !== null) Object.assign(draft, { revision: entry.position });
      return;
    }
    const ifRevision = draft['ifRevision'] as number | undefined;
    const isRefused =
      (draft['ifAbsent'] === true && entry.value !== null) ||
      (ifRevision !== undefined && ifRevision !== entry.position);
    if (isRefused) {
      Object.assign(draft, { outcome: 'failed', conflict: true });
      return;
    }
    position += 1 + random.below(2);
    if (options.withRevisions) Object.assign(draft, { revision: position });
    if (draft.type === 'clear' || draft.type === 'invalidate') {
      const tag = draft['tag'] as string | undefined;
      invalidations.push({ tag, position });
      for (const other of entries.values()) if (tag === undefined || other.tags.includes(tag)) other.value = null;
      return;
    }
    const carried = (draft['tags'] as string[] | undefined) ?? [];
    const basis = draft['basis'] as number | undefined;
    const isVoid =
      basis !== undefined &&
      invalidations.some(({ tag, position: at }) => at > basis && (tag === undefined || carried.includes(tag)));
    const value = draft.type === 'delete' || isVoid ? null : (draft['value'] as string);
    entries.set(key, { value, position, tags: carried });
  }
}

/** The same with one thing changed: a read value, a position, a time, an outcome. It may still have an order. */
export function distort(random: SeededRandom, operations: readonly Operation[]): History {
  const index = random.below(operations.length);
  return operations.map((operation, at) => {
    if (at !== index) return operation;
    switch (random.below(5)) {
      case 0:
        return operation.type === 'read'
          ? { ...operation, value: random.pick(['v0', 'v1', null]), revision: undefined }
          : { ...operation, start: operation.start + 30, end: operation.end + 30 };
      case 1:
        return operation.revision === undefined
          ? operation
          : { ...operation, revision: Math.max(1, operation.revision - 1 + random.below(3)) };
      case 2:
        return { ...operation, start: operation.start + 25, end: operation.end + 25 };
      case 3:
        return { ...operation, start: operation.start - 25, end: Math.max(operation.start - 25, operation.end - 25) };
      default:
        return operation.outcome === 'unknown' ? { ...operation, outcome: 'ok', end: operation.start + 20 } : operation;
    }
  });
}
