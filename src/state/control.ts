/**
 * The control plane's state: one fold of members, caches and leases over the control log.
 *
 * Each part sees every event and takes what is its own. Events that nobody could read, and those of later versions, are
 * counted here with the first example kept; commands and outcomes belong to other folds of the same log.
 */
import type { ControlEvent, Recorded } from '../events/control.ts';
import type { Position } from '../events/record.ts';
import { applyCaches, type CachesState, initCaches } from './caches.ts';
import { applyLeases, initLeases, type LeasesState } from './leases.ts';
import { applyMembers, initMembers, type MembersState } from './members.ts';
import type { Reducer } from './reducer.ts';

/** The first of the events that were counted. */
export interface SkippedExample {
  readonly position: Position;
  readonly subject: string;
  readonly reason: string;
}

export interface Skipped {
  count: number;
  first: SkippedExample | undefined;
}

export interface ControlState {
  readonly members: MembersState;
  readonly caches: CachesState;
  readonly leases: LeasesState;
  /** Events whose body breaks a rule. */
  readonly unreadable: Skipped;
  /** Events whose subject this version does not know. */
  readonly unknown: Skipped;
}

export function initControl(): ControlState {
  return {
    members: initMembers(),
    caches: initCaches(),
    leases: initLeases(),
    unreadable: { count: 0, first: undefined },
    unknown: { count: 0, first: undefined },
  };
}

export function applyControl(state: ControlState, recorded: Recorded<ControlEvent>): void {
  const { event, position } = recorded;
  if (event.type === 'control.unreadable') skip(state.unreadable, position, event.subject, event.reason);
  else if (event.type === 'control.unknown') skip(state.unknown, position, event.subject, 'unknown subject');
  applyMembers(state.members, recorded);
  applyCaches(state.caches, recorded);
  applyLeases(state.leases, recorded);
}

/** Of a subject or a reason, as much as is kept. */
const exampleCharactersMax = 256;

function skip(skipped: Skipped, position: Position, subject: string, reason: string): void {
  skipped.count += 1;
  skipped.first ??= {
    position,
    subject: subject.slice(0, exampleCharactersMax),
    reason: reason.slice(0, exampleCharactersMax),
  };
}

export const controlReducer: Reducer<ControlState, ControlEvent> = {
  name: 'control',
  version: 1,
  init: initControl,
  apply: applyControl,
};
