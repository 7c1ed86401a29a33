/**
 * The shape of every fold over a log.
 *
 * A reducer is deterministic, synchronous and total: it reads no clock, does no I/O and throws for no input, so the same
 * log gives the same state on every node and in every version. What it does not accept it counts, so that nothing
 * disappears silently.
 */
import type { Recorded } from '../events/control.ts';

export interface Reducer<State, Event> {
  readonly name: string;
  /** Rises when the meaning of the state changes; a checkpoint of another version is not used. */
  readonly version: number;
  init(): State;
  /** Updates the state, which the reducer's owner lends it. Positions must rise from call to call. */
  apply(state: State, recorded: Recorded<Event>): void;
}

/** Events of one type, for instance `EventOf<'member.joined'>`. */
export type EventOf<Event extends { type: string }, Type extends Event['type']> = Extract<Event, { type: Type }>;
