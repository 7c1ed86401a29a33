/**
 * Members: which node lives in which incarnation, folded from `member.…joined` and `member.…left`.
 *
 * An incarnation joins once and ends once, and a node has one incarnation at a time. Whatever contradicts that (a second
 * join, a late `left` of an old life) changes nothing and is counted, so every node sees the same epochs (G8). Memory is
 * bounded by three limits; a long-lived member is never forgotten.
 */

import { SluiceError } from '../errors.ts';
import type { ControlEvent, LeaveReason, Recorded } from '../events/control.ts';
import type { Position } from '../events/record.ts';
import type { EventOf } from './reducer.ts';

/** Live members at most; a join beyond is ignored and counted. */
export const aliveMembersMax = 2_048;
/** Members that have left and are still listed; beyond, the one that left first is forgotten. */
export const leftMembersMax = 256;
/** Ended incarnations that are remembered; beyond, the one that ended first is forgotten. The log itself refuses a
 *  second `joined` of one incarnation, so forgetting only gives up the second line of defence. */
export const endedIncarnationsMax = 1_024;

export interface Member {
  readonly node: string;
  readonly incarnation: string;
  readonly status: 'alive' | 'left';
  /** Base address of the node's HTTP door. */
  readonly http?: string;
  readonly region?: string;
  /** Where switches redirect to. */
  readonly mac?: string;
  readonly ip?: string;
  readonly pid?: number;
  readonly version: string;
  readonly joinedAt: Position;
  /** Log time of the last change, ms since 1970 UTC. */
  readonly atMs: number;
  readonly leftAt?: Position;
  readonly leftReason?: LeaveReason;
  /** Who published the `left`. */
  readonly leftBy?: string;
}

export interface IgnoredMemberEvents {
  /** `joined` of the incarnation that is there already, or of one that has ended. */
  joinedAgain: number;
  joinedBeyondLimit: number;
  /** `left` of an incarnation that had ended before. */
  leftAgain: number;
  /** `left` of an incarnation that never joined; it is blocked from then on. */
  leftUnknown: number;
}

export interface MembersState {
  /** By node id: the current incarnation, or the last one when it has left. */
  readonly members: Map<string, Member>;
  /** Nodes of `members` that have left, the first to leave first. Invariant: derived from `members`. */
  readonly leftNodes: Set<string>;
  /** `<node>.<incarnation>` of ended lives → position of the end, in the order of their ends. */
  readonly ended: Map<string, Position>;
  /** Position of the last event that changed the membership; 0 when none did. */
  epoch: Position;
  readonly ignored: IgnoredMemberEvents;
}

export function initMembers(): MembersState {
  return {
    members: new Map(),
    leftNodes: new Set(),
    ended: new Map(),
    epoch: 0,
    ignored: { joinedAgain: 0, joinedBeyondLimit: 0, leftAgain: 0, leftUnknown: 0 },
  };
}

type Joined = EventOf<ControlEvent, 'member.joined'>;
type Left = EventOf<ControlEvent, 'member.left'>;

export function applyMembers(state: MembersState, recorded: Recorded<ControlEvent>): void {
  const { event } = recorded;
  if (event.type === 'member.joined') applyJoined(state, event, recorded);
  else if (event.type === 'member.left') applyLeft(state, event, recorded);
}

function applyJoined(state: MembersState, event: Joined, { position, atMs }: Recorded<ControlEvent>): void {
  const { type: _, node, incarnation, ...fields } = event;
  const current = state.members.get(node);
  if (current?.incarnation === incarnation || state.ended.has(lifeOf(event))) {
    state.ignored.joinedAgain += 1;
    return;
  }
  const isReplacing = current?.status === 'alive';
  if (!isReplacing && aliveCount(state) >= aliveMembersMax) {
    state.ignored.joinedBeyondLimit += 1;
    return;
  }
  if (isReplacing) rememberEnd(state, lifeOf(current), position);
  state.leftNodes.delete(node);
  state.members.set(node, {
    node,
    incarnation,
    status: 'alive',
    ...withoutUndefined(fields),
    joinedAt: position,
    atMs,
  });
  state.epoch = position;
}

function applyLeft(state: MembersState, event: Left, { position, atMs }: Recorded<ControlEvent>): void {
  const current = state.members.get(event.node);
  const isCurrent = current?.incarnation === event.incarnation;
  if ((isCurrent && current.status === 'left') || state.ended.has(lifeOf(event))) {
    state.ignored.leftAgain += 1;
    return;
  }
  rememberEnd(state, lifeOf(event), position);
  if (!isCurrent) {
    state.ignored.leftUnknown += 1;
    return;
  }
  const { reason, by } = event;
  state.members.set(event.node, { ...current, status: 'left', atMs, leftAt: position, leftReason: reason, leftBy: by });
  state.leftNodes.add(event.node);
  state.epoch = position;
  for (const node of state.leftNodes) {
    if (state.leftNodes.size <= leftMembersMax) break;
    state.leftNodes.delete(node);
    state.members.delete(node);
  }
}

const lifeOf = (life: { node: string; incarnation: string }): string => `${life.node}.${life.incarnation}`;

function rememberEnd(state: MembersState, life: string, position: Position): void {
  state.ended.set(life, position);
  for (const oldest of state.ended.keys()) {
    if (state.ended.size <= endedIncarnationsMax) break;
    state.ended.delete(oldest);
  }
}

type Defined<Fields> = { [Name in keyof Fields]: Exclude<Fields[Name], undefined> };

/** An absent field and one that is `undefined` are the same state, and must look the same. */
function withoutUndefined<Fields extends object>(fields: Fields): Defined<Fields> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<Fields>;
}

export const aliveCount = (state: MembersState): number => state.members.size - state.leftNodes.size;

/** The live members, by node id. */
export function aliveMembers(state: MembersState): Member[] {
  return [...state.members.values()]
    .filter((member) => member.status === 'alive')
    .sort((one, other) => (one.node < other.node ? -1 : 1));
}

/** True when this incarnation of the node is the one that lives. */
export function isAlive(state: MembersState, node: string, incarnation: string): boolean {
  const member = state.members.get(node);
  return member?.status === 'alive' && member.incarnation === incarnation;
}

/** What a node says of itself when it joins. */
export type Join = Omit<Joined, 'type'>;

/**
 * The event with which an incarnation joins; none when it is a member already. To be appended with `expected: 0`.
 * Throws `bad-request` when the incarnation has ended (a node comes back as a new one), `rate-limited` at the limit.
 */
export function decideJoin(state: MembersState, join: Join): Joined[] {
  if (isAlive(state, join.node, join.incarnation)) return [];
  const current = state.members.get(join.node);
  if (current?.incarnation === join.incarnation || state.ended.has(lifeOf(join))) {
    throw new SluiceError(
      'bad-request',
      `incarnation: ${join.incarnation} of ${join.node} has ended; join as a new one`,
      {
        details: { node: join.node, incarnation: join.incarnation },
      },
    );
  }
  if (current?.status !== 'alive' && aliveCount(state) >= aliveMembersMax) {
    throw new SluiceError('rate-limited', `members: the cluster has ${aliveMembersMax} live members, the limit`, {
      details: { node: join.node, limit: aliveMembersMax },
    });
  }
  return [{ type: 'member.joined', ...join }];
}

export type Leave = Omit<Left, 'type'>;

/** The event with which one incarnation ends; none when it is not alive. To be appended with `expected: 0`. */
export function decideLeave(state: MembersState, leave: Leave): Left[] {
  return isAlive(state, leave.node, leave.incarnation) ? [{ type: 'member.left', ...leave }] : [];
}

/**
 * The event with which an operator ends whatever incarnation of a node is alive; none when it has left.
 * Throws `node-unknown` when no member has that id. To be appended with `expected: 0`.
 */
export function decideEvict(state: MembersState, node: string, by: string): Left[] {
  const member = state.members.get(node);
  if (member === undefined) {
    throw new SluiceError('node-unknown', `node: no member is called ${JSON.stringify(node)}`, { details: { node } });
  }
  return decideLeave(state, { node, incarnation: member.incarnation, reason: 'operator', by });
}
