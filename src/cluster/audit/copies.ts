/**
 * Who holds copies: the nodes by their pulses, and the library processes that listen. Each is asked in the same words. A member
 * that says nothing, or does not serve what it should, is told as well: what was not looked at must not pass for right.
 */
import { type Clock, pause } from '../../base/clock.ts';
import { idPattern } from '../../events/subjects.ts';
import { decodePulse, isRefused, mergeReady, type Pulse, readyPartitions } from '../../membership/pulse.ts';
import { parseRanges } from '../../membership/ranges.ts';
import type { Messenger } from '../../nats/messenger.ts';
import { aliveMembers } from '../../state/members.ts';
import { isId, isObject, isText, readFieldsOf } from '../../state/shape.ts';
import { decodePeerAnswer, encodePeerBody, type PeerAnswer, type PeerRequest } from '../peer-protocol.ts';
import type { Session } from '../session.ts';

export interface Answered {
  readonly answer: PeerAnswer<'audit'>;
  readonly bytes: number;
}

export interface Copy {
  /** Node id, or the name and the id of a library process. */
  readonly name: string;
  readonly kind: 'node' | 'process';
  /** Partitions of the cache that it serves. */
  serves(cache: string): readonly number[];
  /** Rejects with `log-unavailable` when it does not answer, or with its own error. */
  audit(request: PeerRequest<'audit'>): Promise<Answered>;
}

export interface Copies {
  readonly all: readonly Copy[];
  /** Members that live by the log and were not heard. */
  readonly silent: readonly string[];
}

/** Two pulses of the default four per second, and a little. */
export const listenDefaultMs = 600;
/** Beyond the wait that the request allows. */
const answerMs = 5_000;

export interface FindOptions {
  readonly session: Session;
  readonly messenger: Messenger;
  readonly clock: Clock;
  readonly listenMs?: number;
  readonly signal: AbortSignal;
}

export async function findCopies({ session, messenger, clock, signal, ...options }: FindOptions): Promise<Copies> {
  const listenMs = options.listenMs ?? listenDefaultMs;
  const pulses = new Map<string, Pulse>();
  const stop = messenger.onPulse((body) => {
    const pulse = decodePulse(body);
    // What the pulses of one incarnation leave out is in those before.
    if (!isRefused(pulse)) pulses.set(pulse.node, mergeReady(pulses.get(pulse.node), pulse));
  });
  const [clients] = await Promise.all([messenger.findClients(clock, listenMs), pause(clock, listenMs, signal)]);
  stop();
  const members = aliveMembers(session.control.state.members);
  const isHeard = (node: string, incarnation: string): boolean => pulses.get(node)?.incarnation === incarnation;
  const nodes = members.flatMap(({ node, incarnation }) => {
    const pulse = pulses.get(node);
    return pulse !== undefined && isHeard(node, incarnation) ? [nodeCopy(messenger, pulse)] : [];
  });
  const processes = clients.flatMap((body) => clientCopy(messenger, body) ?? []);
  return {
    all: [...nodes, ...processes].sort((a, b) => (a.name < b.name ? -1 : 1)),
    silent: members.filter(({ node, incarnation }) => !isHeard(node, incarnation)).map(({ node }) => node),
  };
}

function decode(body: Uint8Array): Answered {
  return { answer: decodePeerAnswer('audit', body).fields, bytes: body.length };
}

function nodeCopy(messenger: Messenger, pulse: Pulse): Copy {
  return {
    name: pulse.node,
    kind: 'node',
    serves: (cache) => readyPartitions(pulse, cache),
    audit: async (request) =>
      decode(await messenger.request(pulse.node, 'audit', encodePeerBody(request), request.waitMs + answerMs)),
  };
}

export interface ClientPresence {
  readonly id: string;
  readonly name: string;
  /** By cache: the partitions that it serves, as text of `formatRanges`. */
  readonly ready: Readonly<Record<string, string>>;
}

export const encodePresence = (presence: ClientPresence): Uint8Array => Buffer.from(JSON.stringify(presence));

const presenceBytesMax = 256 * 1024;

/** Undefined for what is no presence: anybody may answer. */
export function decodePresence(body: Uint8Array): ClientPresence | undefined {
  if (body.length > presenceBytesMax) return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(body).toString('utf8'));
    if (!isObject(value)) return undefined;
    const isReady = (ready: unknown): boolean => isObject(ready) && Object.values(ready).every((text) => isText(text));
    const fields = readFieldsOf(value, { id: isId, name: (name) => idPattern.test(String(name)), ready: isReady });
    return typeof fields === 'string' ? undefined : (fields as unknown as ClientPresence);
  } catch {
    return undefined;
  }
}

function clientCopy(messenger: Messenger, body: Uint8Array): Copy | undefined {
  const presence = decodePresence(body);
  if (presence === undefined) return undefined;
  const { id, name, ready } = presence;
  return {
    name: `${name}/${id}`,
    kind: 'process',
    serves: (cache) => (Object.hasOwn(ready, cache) ? (parseRanges(ready[cache] ?? '') ?? []) : []),
    audit: async (request) =>
      decode(await messenger.requestClient(id, 'audit', encodePeerBody(request), request.waitMs + answerMs)),
  };
}
