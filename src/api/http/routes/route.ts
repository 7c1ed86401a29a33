/**
 * What a route is: a method, a path, the query parameters it knows, and a function from a request to an answer. Routes see
 * no HTTP library; `router.ts` attaches them to one.
 */
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { z } from 'zod';
import type { Clock } from '../../../base/clock.ts';
import { SluiceError } from '../../../errors.ts';
import type { NodeService } from '../../../service/node-service.ts';
import type { Answer } from '../answer.ts';
import { parseJson, type Query } from '../input.ts';
import type { EventStream, EventStreamLimits } from './event-stream.ts';

export interface Call {
  /** The target as it came: path and query, percent-encoded. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  /** Segments of the path that the route names, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: Query;
  readonly body: Uint8Array;
  /** Aborts when the client goes away before it has its answer. */
  readonly signal: AbortSignal;
  /** For routes that stream. */
  readonly res: ServerResponse;
}

export type Method = 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';

export interface Route {
  readonly methods: readonly Method[];
  /** `:name` is one segment, a final `*` is all the rest. */
  readonly path: string;
  readonly query: readonly string[];
  /** Default: that of bodies in JSON. */
  readonly bodyBytesMax?: number;
  /** Undefined: the route has answered through `res` itself. */
  readonly answer: (call: Call) => Promise<Answer | undefined>;
}

/** What routes work with. */
export interface RouteContext {
  readonly service: NodeService;
  readonly clock: Clock;
  readonly bodyBytesMax: number;
  readonly readWaitMaxMs: number;
  readonly watchLimits: EventStreamLimits;
  /** Open event streams, so that draining can end them. */
  readonly streams: Set<EventStream>;
  readonly log: DoorLog;
}

/** The part of a logger that the door uses; pino has it. An error travels as `err`. */
export interface DoorLog {
  info(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

export const paramOf = (call: Call, name: string): string => call.params[name] ?? '';

/** A header that may come once; repeated ones are joined by the HTTP parser and fail to parse. */
export function headerOf(call: Call, name: string): string | undefined {
  const value = call.headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}

const emptyBody = z.strictObject({}).optional();

/** Throws `bad-request` unless the body is empty or an empty object. */
export function requireNothing(call: Call): void {
  const body = parseJson(headerOf(call, 'content-type'), call.body);
  if (emptyBody.safeParse(body).success) return;
  throw new SluiceError('bad-request', 'body: this request takes none', { details: { field: 'body' } });
}
