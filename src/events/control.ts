/**
 * Events of the control plane: membership, cache declarations, commands, outcomes and leases.
 *
 * The subject says which event it is; the JSON body carries the rest. Unknown fields are ignored, so old nodes survive
 * new events; a body that breaks a rule makes a `control.unreadable` event, which reducers count and skip.
 */
import { z } from 'zod';
import { SluiceError } from '../errors.ts';
import type { LogRecord, LogWrite } from './record.ts';
import { clusterPattern, controlSubjects, idPattern } from './subjects.ts';

const id = z.string().regex(idPattern);
const positive = z.number().int().positive();
const text = z.string().max(1024);

/** The largest message that any nats-server takes; a stream for larger ones cannot be made. */
const valueBytesMax = 64 * 1024 * 1024;

const cacheSettings = z.object({
  partitions: positive.max(1024),
  replicas: z.union([z.literal('all'), positive]),
  logReplicas: positive.max(5),
  entriesMax: positive,
  bytesMax: positive,
  ttlMs: positive.nullable(),
  valueBytesMax: positive.max(valueBytesMax),
  logBytesMax: positive.nullable(),
  whenFull: z.enum(['drop-oldest', 'refuse']),
});

const bodies = {
  'member.joined': z.object({
    http: text.optional(),
    region: text.optional(),
    mac: text.optional(),
    ip: text.optional(),
    version: text,
    pid: positive.optional(),
  }),
  'member.left': z.object({ reason: z.enum(['shutdown', 'timeout', 'operator']), by: text }),
  'cache.declared': z.object({ settings: cacheSettings, by: text.optional() }),
  'cache.dropped': z.object({ by: text.optional() }),
  'lease.held': z.object({ holder: id, durationMs: positive.max(3_600_000) }),
  'command.issued': z.looseObject({ expr: text, 'node-id': text.optional() }),
  'outcome.reported': z.object({ command: positive, ok: z.boolean(), code: text.optional(), message: text.optional() }),
} as const;

type Body<Type extends keyof typeof bodies> = z.infer<(typeof bodies)[Type]>;

/** The settings of a cache, as every node sees them. `ttlMs` and `logBytesMax` are null when there is no limit. */
export type CacheDeclaration = z.infer<typeof cacheSettings>;

/** The settings of a declaration that is already plain JSON, or undefined when they break a rule. */
export function readCacheDeclaration(settings: unknown): CacheDeclaration | undefined {
  return cacheSettings.safeParse(settings).data;
}

export type LeaveReason = Body<'member.left'>['reason'];

export type ControlEvent =
  | ({ readonly type: 'member.joined'; readonly node: string; readonly incarnation: string } & Body<'member.joined'>)
  | ({ readonly type: 'member.left'; readonly node: string; readonly incarnation: string } & Body<'member.left'>)
  | ({ readonly type: 'cache.declared'; readonly cache: string } & Body<'cache.declared'>)
  | ({ readonly type: 'cache.dropped'; readonly cache: string } & Body<'cache.dropped'>)
  | ({ readonly type: 'lease.held'; readonly role: string; readonly epoch: number } & Body<'lease.held'>)
  | { readonly type: 'command.issued'; readonly verb: string; readonly body: Body<'command.issued'> }
  | ({ readonly type: 'outcome.reported'; readonly node: string } & Body<'outcome.reported'>)
  | { readonly type: 'control.unreadable'; readonly subject: string; readonly reason: string }
  /** A subject of a later version. */
  | { readonly type: 'control.unknown'; readonly subject: string };

/** An event and what the log added to it. */
export interface Recorded<Event> {
  readonly event: Event;
  readonly position: number;
  readonly atMs: number;
}

interface Route {
  readonly type: keyof typeof bodies;
  readonly names: Readonly<Record<string, string | number>>;
}

/** Which event a subject means; undefined when this version knows none. */
function routeOf(cluster: string, subject: string): Route | undefined {
  if (!subject.startsWith(`${cluster}.`)) return undefined;
  const tokens = subject.slice(cluster.length + 1).split('.');
  if (tokens.length > 4 || tokens.includes('')) return undefined;
  const [kind = '', first = '', second = '', third = ''] = tokens;
  if (
    kind === 'member' &&
    (third === 'joined' || third === 'left') &&
    idPattern.test(first) &&
    idPattern.test(second)
  ) {
    return { type: `member.${third}`, names: { node: first, incarnation: second } };
  }
  if (third !== '') return undefined;
  if (kind === 'cache' && (second === 'declared' || second === 'dropped') && idPattern.test(first)) {
    return { type: `cache.${second}`, names: { cache: first } };
  }
  if (kind === 'lease' && idPattern.test(first) && /^[1-9]\d{0,14}$/.test(second)) {
    return { type: 'lease.held', names: { role: first, epoch: Number(second) } };
  }
  if (second !== '') return undefined;
  if (kind === 'command' && idPattern.test(first)) return { type: 'command.issued', names: { verb: first } };
  if (kind === 'outcome' && idPattern.test(first)) return { type: 'outcome.reported', names: { node: first } };
  return undefined;
}

export function decodeControlRecord(cluster: string, record: LogRecord): Recorded<ControlEvent> {
  return { event: decodeEvent(cluster, record.subject, record.data), position: record.position, atMs: record.atMs };
}

function decodeEvent(cluster: string, subject: string, data: Uint8Array): ControlEvent {
  const route = routeOf(cluster, subject);
  if (route === undefined) return { type: 'control.unknown', subject };
  const body = parseJson(data);
  if (body === undefined) return { type: 'control.unreadable', subject, reason: 'body: is not JSON' };
  const checked = bodies[route.type].safeParse(body);
  if (!checked.success) {
    const [issue] = checked.error.issues;
    return {
      type: 'control.unreadable',
      subject,
      reason: `${issue?.path.join('.') || 'body'}: ${issue?.message ?? 'invalid'}`,
    };
  }
  if (route.type === 'command.issued') {
    return { type: route.type, verb: String(route.names['verb']), body: checked.data as Body<'command.issued'> };
  }
  return { type: route.type, ...checked.data, ...route.names } as ControlEvent;
}

const decoder = new TextDecoder('utf-8', { fatal: true });

function parseJson(data: Uint8Array): unknown {
  if (data.length > 256 * 1024) return undefined;
  try {
    return JSON.parse(decoder.decode(data));
  } catch {
    return undefined;
  }
}

/** Events that Sluice writes; the two `control.` kinds exist only on the reading side. */
export type WritableControlEvent = Exclude<ControlEvent, { type: `control.${string}` }>;

/** The message of an event. Throws `bad-request` for an event that `decodeControlRecord` would not read as such. */
export function encodeControlEvent(cluster: string, event: WritableControlEvent): LogWrite {
  if (!clusterPattern.test(cluster))
    throw new RangeError(`cluster: ${JSON.stringify(cluster)} breaks ${clusterPattern}`);
  const subject = subjectOf(cluster, event);
  const data = Buffer.from(JSON.stringify(bodyOf(event)));
  const readBack = decodeEvent(cluster, subject, data);
  if (readBack.type !== event.type) {
    const reason = readBack.type === 'control.unreadable' ? readBack.reason : 'subject: a name in it is not allowed';
    throw new SluiceError('bad-request', reason, { details: { subject } });
  }
  return { subject, fields: '', data };
}

function subjectOf(cluster: string, event: WritableControlEvent): string {
  const subjects = controlSubjects(cluster);
  switch (event.type) {
    case 'member.joined':
      return subjects.joined(event.node, event.incarnation);
    case 'member.left':
      return subjects.left(event.node, event.incarnation);
    case 'cache.declared':
      return subjects.declared(event.cache);
    case 'cache.dropped':
      return subjects.dropped(event.cache);
    case 'lease.held':
      return subjects.lease(event.role, event.epoch);
    case 'command.issued':
      return subjects.command(event.verb);
    case 'outcome.reported':
      return subjects.outcome(event.node);
  }
}

/** What the subject already says is not repeated in the body. */
function bodyOf(event: WritableControlEvent): unknown {
  if (event.type === 'command.issued') return event.body;
  const body: Record<string, unknown> = { ...event };
  for (const name of ['type', ...(event.type === 'outcome.reported' ? ['node'] : subjectNames)]) delete body[name];
  return body;
}

const subjectNames = ['node', 'incarnation', 'cache', 'role', 'epoch'] as const;
