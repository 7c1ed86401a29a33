/**
 * One key as the log holds it, and what each operation does to it: the sequential specification that a history is compared with.
 *
 * A key has a last message (a put or a delete) with a position, and an entry or none. A clear or a tag invalidation ends the
 * entry and leaves the message, so a compare-and-set compares with the position of the last message, as the log does. Positions
 * grow along the log. Where a position is not known (no acknowledgement, or a history without them) it is found out by what
 * reads and conditions show, and kept within what is possible.
 */
import type { Position } from '../../events/record.ts';
import { describeRead, quote } from '../history/describe-record.ts';
import type { ReadOperation } from '../history/record.ts';
import type { KeyStep } from './key-history.ts';

export interface RegisterState {
  /** The last message. */
  readonly message: KeyStep | undefined;
  readonly isPresent: boolean;
  /** Of the last message; 0: there is none. undefined: not known yet, but inside the open interval (above, below) and none of `not`. */
  readonly revision: Position | undefined;
  readonly above: Position;
  readonly below: Position;
  readonly not: readonly Position[];
  /** The highest position that is known so far. */
  readonly reached: Position;
}

export const emptyRegister: RegisterState = {
  message: undefined,
  isPresent: false,
  revision: 0,
  above: 0,
  below: Number.POSITIVE_INFINITY,
  not: [],
  reached: 0,
};

/** Whether a loaded value is void when it comes, because of what was cleared or invalidated above its basis. */
export type Arrival = 'valid' | 'void' | 'either';

/** What the key may look like after the step; nothing: the step does not fit here. The same object: it changes nothing. */
export function statesAfter(state: RegisterState, step: KeyStep, arrival: Arrival): readonly RegisterState[] {
  switch (step.kind) {
    case 'read':
      return step.value === null ? afterMiss(state, step) : afterHit(state, step);
    case 'conflict':
      return afterConflict(state, step);
    case 'clear':
    case 'tag':
      return afterRemoval(state, step);
    case 'put':
    case 'delete':
      return afterMessage(state, step, arrival);
  }
}

const isExpired = ({ message }: RegisterState, step: KeyStep): boolean =>
  message !== undefined && Number.isFinite(message.expiresAt) && message.expiresAt <= step.recordedEnd;

function afterHit(state: RegisterState, step: KeyStep): readonly RegisterState[] {
  if (!state.isPresent || state.message?.value !== step.value) return [];
  if (step.revision === undefined || step.revision === state.revision) return [state];
  const bound = withRevision(state, step.revision);
  return bound === undefined ? [] : [bound];
}

function afterMiss(state: RegisterState, step: KeyStep): readonly RegisterState[] {
  return !state.isPresent || isExpired(state, step) ? [state] : [];
}

/** Refused: the entry that had to be absent was there, or the last message was another one (or its entry gone). */
function afterConflict(state: RegisterState, { ifAbsent, ifRevision }: KeyStep): readonly RegisterState[] {
  if (ifAbsent) return state.isPresent ? [state] : [];
  if (ifRevision === undefined || !state.isPresent) return [state];
  if (state.revision !== undefined) return state.revision === ifRevision ? [] : [state];
  return state.not.includes(ifRevision) ? [state] : [{ ...state, not: [...state.not, ifRevision].sort(byNumber) }];
}

function afterRemoval(state: RegisterState, step: KeyStep): readonly RegisterState[] {
  const reached = reachedBy(state, step);
  if (reached === undefined) return [];
  const ends = step.kind === 'clear' || step.tags.some((tag) => state.message?.tags.includes(tag));
  const isPresent = state.isPresent && !ends;
  if (isPresent === state.isPresent && reached === state.reached) return [state];
  const isOpen = state.revision === undefined && step.revision !== undefined;
  return [{ ...state, isPresent, reached, below: isOpen ? Math.min(state.below, step.revision ?? 0) : state.below }];
}

function afterMessage(state: RegisterState, step: KeyStep, arrival: Arrival): readonly RegisterState[] {
  let before: RegisterState | undefined = state;
  if (step.ifRevision !== undefined && step.ifRevision !== state.revision)
    before = withRevision(state, step.ifRevision);
  if (before === undefined || (step.ifAbsent && state.isPresent && !isExpired(state, step))) return [];
  const reached = reachedBy(before, step);
  if (reached === undefined) return [];
  const after = {
    message: step,
    revision: step.revision,
    above: step.revision === undefined ? reached : 0,
    below: Number.POSITIVE_INFINITY,
    not: [],
    reached,
  };
  if (step.kind === 'delete' || arrival === 'void') return [{ ...after, isPresent: false }];
  const present = { ...after, isPresent: true };
  return arrival === 'valid' ? [present] : [present, { ...after, isPresent: false }];
}

/** The highest known position after a write; undefined: its position is not above those before it. */
function reachedBy({ reached }: RegisterState, { revision }: KeyStep): Position | undefined {
  if (revision === undefined) return reached;
  return revision > reached ? revision : undefined;
}

/** What was not known of the last message's position, is now. */
function withRevision(state: RegisterState, revision: Position): RegisterState | undefined {
  if (state.revision !== undefined || state.not.includes(revision)) return undefined;
  if (revision <= state.above || revision >= state.below) return undefined;
  return {
    ...state,
    revision,
    above: 0,
    below: Number.POSITIVE_INFINITY,
    not: [],
    reached: Math.max(state.reached, revision),
  };
}

const byNumber = (one: number, other: number): number => one - other;

/** Equal for states from which the same can follow. */
export function stateName({ message, isPresent, revision, above, below, not, reached }: RegisterState): string {
  const position = revision ?? `${above}<${below}!${not.join(',')}`;
  return `${message?.index ?? ''}${isPresent ? '+' : '-'}${position}@${reached}`;
}

export function describeState({ message, isPresent, revision }: RegisterState): string {
  if (message === undefined) return 'the key had never been written';
  const where = revision === undefined ? 'a position not known' : `position ${revision}`;
  if (message.kind === 'delete') return `the key was deleted (${where})`;
  if (!isPresent) return `${quote(message.value ?? '')} (${where}) was void`;
  return `the key held ${quote(message.value ?? '')} (${where})`;
}

/** Why a step does not fit after `state`. */
export function describeMisfit(state: RegisterState, step: KeyStep): string {
  const then = describeState(state);
  if (step.kind === 'read') return `it saw ${describeRead(step.operation as ReadOperation)}, but ${then}`;
  if (step.kind === 'conflict') return `its condition was refused, but ${then}`;
  if (step.revision !== undefined && step.revision <= state.reached)
    return `it was acknowledged at position ${step.revision}, but position ${state.reached} was reached before it`;
  if (step.ifAbsent) return `it was to find the key absent, but ${then}`;
  if (step.ifRevision !== undefined) return `it was to find revision ${step.ifRevision}, but ${then}`;
  return `what comes after it no longer fits (before it, ${then})`;
}
