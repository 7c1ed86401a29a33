/**
 * Checkpoints: the folded control state at a position, as bytes.
 *
 *   sluice-checkpoint <version> <sha256 of the body, hex> LF
 *   <body: canonical JSON>
 *
 * Equal states give equal bytes, so a checkpoint is also the digest by which replays are compared (G7). A reader uses it
 * or refuses it with a reason; it never repairs one. What is accepted is exactly what this version would write.
 */

import { createHash } from 'node:crypto';
import { asBuffer } from '../base/bytes.ts';
import { messageOf } from '../errors.ts';
import { readCacheDeclaration } from '../events/control.ts';
import type { Position } from '../events/record.ts';
import type { CachesState, DeclaredCache } from './caches.ts';
import { type ControlState, controlReducer, initControl, type Skipped, type SkippedExample } from './control.ts';
import type { Lease, LeasesState } from './leases.ts';
import type { Member, MembersState } from './members.ts';
import {
  isCount,
  isId,
  isObject,
  isOneOf,
  isPositive,
  isText,
  isTime,
  type PlainObject,
  type Rules,
  readFieldsOf,
} from './shape.ts';

/** Larger bytes are refused unread. */
export const checkpointBytesMax = 16 * 1024 * 1024;

const format = 'sluice-checkpoint';
const firstLine = /^sluice-checkpoint (\d{1,9}) ([0-9a-f]{64})\n/;
const firstLineBytesMax = 100;

export interface Checkpoint {
  readonly state: ControlState;
  readonly position: Position;
}

export interface RefusedCheckpoint {
  readonly refused: string;
}

export function encodeCheckpoint(state: ControlState, position: Position): Uint8Array {
  const { members, caches, leases, unreadable, unknown } = state;
  const body = canonicalJson({
    position,
    members: {
      epoch: members.epoch,
      members: sortedValues(members.members),
      ended: [...members.ended],
      ignored: members.ignored,
    },
    caches: { caches: Object.fromEntries(caches.caches), ignored: caches.ignored },
    leases: { leases: sortedValues(leases.leases), ignored: leases.ignored },
    unreadable,
    unknown,
  });
  return Buffer.from(`${format} ${controlReducer.version} ${sha256(body)}\n${body}`, 'utf8');
}

const sha256 = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex');

function sortedValues<Value>(map: ReadonlyMap<string, Value>): Value[] {
  return [...map].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, value]) => value);
}

/** JSON with sorted keys: the order in which fields were set does not show. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, field: unknown) =>
    isObject(field)
      ? Object.fromEntries(Object.entries(field).sort(([one], [other]) => (one < other ? -1 : 1)))
      : field,
  );
}

export function decodeCheckpoint(data: Uint8Array): Checkpoint | RefusedCheckpoint {
  if (data.length > checkpointBytesMax) return { refused: `bytes: ${data.length}; at most ${checkpointBytesMax}` };
  const bytes = asBuffer(data);
  const [line = '', version, checksum] = firstLine.exec(bytes.toString('latin1', 0, firstLineBytesMax)) ?? [];
  if (line === '') return { refused: 'format: is not a checkpoint' };
  if (version !== String(controlReducer.version))
    return { refused: `version: ${version} is not ${controlReducer.version}` };
  const body = bytes.subarray(line.length);
  if (sha256(body) !== checksum) return { refused: 'checksum: does not match' };
  try {
    const checkpoint = readBody(JSON.parse(body.toString('utf8')));
    const isCanonical = bytes.equals(encodeCheckpoint(checkpoint.state, checkpoint.position));
    return isCanonical ? checkpoint : { refused: 'body: is not canonical' };
  } catch (error) {
    return { refused: `body: ${messageOf(error)}` };
  }
}

export const isRefusedCheckpoint = (result: Checkpoint | RefusedCheckpoint): result is RefusedCheckpoint =>
  'refused' in result;

const reasons = isOneOf('shutdown', 'timeout', 'operator');
const memberRules: Rules = {
  node: isId,
  incarnation: isId,
  status: isOneOf('alive', 'left'),
  version: isText,
  joinedAt: isCount,
  atMs: isTime,
};
const memberOptions: Rules = {
  http: isText,
  region: isText,
  mac: isText,
  ip: isText,
  pid: isPositive,
  leftAt: isCount,
  leftReason: reasons,
  leftBy: isText,
};
const leaseRules: Rules = {
  role: isId,
  epoch: isPositive,
  holder: isId,
  durationMs: isPositive,
  createdAt: isCount,
  renewedAt: isCount,
  renewedAtMs: isTime,
};
const cacheRules: Rules = { declaredAt: isCount, changedAt: isCount };
const exampleRules: Rules = { position: isCount, subject: isText, reason: isText };

/** Throws for anything that is not the body of a checkpoint; only `decodeCheckpoint` calls it. */
function readBody(value: unknown): Checkpoint {
  const { position, members, caches, leases, unreadable, unknown } = asObject(value, 'body');
  const state = initControl();
  readMembers(state.members, asObject(members, 'members'));
  readCaches(state.caches, asObject(caches, 'caches'));
  readLeases(state.leases, asObject(leases, 'leases'));
  readSkipped(state.unreadable, unreadable);
  readSkipped(state.unknown, unknown);
  return { state, position: asCount(position, 'position') };
}

function readMembers(state: MembersState, { epoch, members, ended, ignored }: PlainObject): void {
  state.epoch = asCount(epoch, 'epoch');
  for (const item of asArray(members, 'members')) {
    const member = asFields<Member>(item, memberRules, memberOptions);
    if ((member.status === 'left') !== (member.leftAt !== undefined)) throw new Error('member status');
    state.members.set(member.node, member);
  }
  const left = [...state.members.values()].filter((member) => member.status === 'left');
  for (const { node } of left.sort((one, other) => (one.leftAt ?? 0) - (other.leftAt ?? 0))) state.leftNodes.add(node);
  for (const item of asArray(ended, 'ended')) {
    const [life, position] = asArray(item, 'ended life');
    const names = typeof life === 'string' ? life.split('.') : [];
    if (names.length !== 2 || !names.every(isId)) throw new Error('ended life');
    state.ended.set(names.join('.'), asCount(position, 'ended position'));
  }
  readCounters(state.ignored, ignored);
}

function readCaches(state: CachesState, { caches, ignored }: PlainObject): void {
  for (const [name, item] of Object.entries(asObject(caches, 'caches'))) {
    const cache = asObject(item, name);
    const { settings } = cache;
    const declaration = readCacheDeclaration(settings);
    if (!isId(name) || declaration === undefined) throw new Error('cache settings');
    state.caches.set(name, { ...asFields<DeclaredCache>(cache, cacheRules, { by: isText }), settings: declaration });
  }
  readCounters(state.ignored, ignored);
}

function readLeases(state: LeasesState, { leases, ignored }: PlainObject): void {
  for (const item of asArray(leases, 'leases')) {
    const lease = asFields<Lease>(item, leaseRules);
    state.leases.set(lease.role, lease);
  }
  readCounters(state.ignored, ignored);
}

function readSkipped(skipped: Skipped, value: unknown): void {
  const { count, first } = asObject(value, 'skipped');
  skipped.count = asCount(count, 'count');
  skipped.first = first === undefined ? undefined : asFields<SkippedExample>(first, exampleRules);
}

/** Fills the counters that this version has. */
function readCounters<Name extends string>(counters: Record<Name, number>, value: unknown): void {
  const given = asObject(value, 'ignored');
  for (const name of Object.keys(counters) as Name[]) counters[name] = asCount(given[name], name);
}

function asFields<Shape>(value: unknown, required: Rules, optional: Rules = {}): Shape {
  const fields = readFieldsOf(asObject(value, 'entry'), required, optional);
  if (typeof fields === 'string') throw new Error(`${fields}: breaks its rule`);
  return fields as Shape;
}

function asObject(value: unknown, name: string): PlainObject {
  if (!isObject(value)) throw new Error(`${name}: is not an object`);
  return value;
}

function asArray(value: unknown, name: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error(`${name}: is not an array`);
  return value;
}

function asCount(value: unknown, name: string): number {
  if (!isCount(value)) throw new Error(`${name}: is not a count`);
  return value as number;
}
