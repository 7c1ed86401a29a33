/**
 * Given events, when a decision, then events or a refusal: the form of every test of a reducer and its deciders.
 *
 *   spec.given(joined, left).gives((state) => …)
 *   spec.given(joined).when((state) => decideLeave(state, …)).yields(left)
 *   spec.given(left).when((state) => decideJoin(state, …)).isRefused('bad-request')
 */
import assert from 'node:assert/strict';
import { type ErrorCode, isSluiceError, type SluiceError } from '../../src/errors.ts';
import type { Recorded } from '../../src/events/control.ts';

export interface Fold<State, Event> {
  init(): State;
  apply(state: State, recorded: Recorded<Event>): void;
}

export interface Outcome<Result> {
  readonly result: () => Result;
  /** The decision is exactly these events. */
  yields(...events: Result extends readonly (infer Item)[] ? Item[] : [Result]): void;
  /** The decision is no event. */
  isNothing(): void;
  isRefused(code: ErrorCode): SluiceError;
}

export interface Situation<State> {
  readonly state: State;
  when<Result>(decide: (state: State) => Result): Outcome<Result>;
  gives(check: (state: State) => void): void;
}

/** The log time of a position in these tests. */
export const atMsOf = (position: number): number => 1_700_000_000_000 + position * 1_000;

export const record = <Event>(event: Event, position: number): Recorded<Event> => ({
  event,
  position,
  atMs: atMsOf(position),
});

export function specify<State, Event>(fold: Fold<State, Event>): { given(...events: Event[]): Situation<State> } {
  return {
    /** Events at the positions 1, 2, 3 … */
    given(...events) {
      const state = fold.init();
      for (const [index, event] of events.entries()) fold.apply(state, record(event, index + 1));
      return {
        state,
        when: (decide) => outcomeOf(() => decide(state)),
        gives: (check) => check(state),
      };
    },
  };
}

function outcomeOf<Result>(result: () => Result): Outcome<Result> {
  return {
    result,
    yields: (...events) => assert.deepEqual(asArray(result()), events),
    isNothing: () => assert.deepEqual(asArray(result()), []),
    isRefused(code) {
      try {
        result();
      } catch (error) {
        assert.ok(isSluiceError(error, code), String(error));
        return error;
      }
      assert.fail(`expected the refusal ${code}`);
    },
  };
}

const asArray = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [value]);
