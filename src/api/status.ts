/**
 * What each error code is called on each transport: HTTP status, gRPC status and JSON-RPC code. One table for all doors,
 * so that a client can change the door without learning new errors; the compiler refuses a missing row, and
 * `docs/errors.md` is kept equal by a test.
 */
import type { ErrorCode } from '../errors.ts';

/** The numbers of gRPC status codes that occur here. */
const grpc = {
  cancelled: 1,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
} as const;

export interface TransportStatus {
  readonly http: number;
  readonly grpc: (typeof grpc)[keyof typeof grpc];
  /** Those of the specification where one fits, else one of the server's own range, -32000 to -32099. */
  readonly jsonRpc: number;
}

export const statusTable = {
  'bad-request': { http: 400, grpc: grpc.invalidArgument, jsonRpc: -32602 },
  'bad-key': { http: 400, grpc: grpc.invalidArgument, jsonRpc: -32001 },
  'bad-config': { http: 500, grpc: grpc.failedPrecondition, jsonRpc: -32002 },
  'cache-unknown': { http: 404, grpc: grpc.notFound, jsonRpc: -32003 },
  'settings-conflict': { http: 409, grpc: grpc.alreadyExists, jsonRpc: -32004 },
  'too-large': { http: 413, grpc: grpc.resourceExhausted, jsonRpc: -32005 },
  'position-conflict': { http: 412, grpc: grpc.aborted, jsonRpc: -32006 },
  'cas-unsupported': { http: 501, grpc: grpc.unimplemented, jsonRpc: -32007 },
  unsupported: { http: 501, grpc: grpc.unimplemented, jsonRpc: -32008 },
  'log-unavailable': { http: 503, grpc: grpc.unavailable, jsonRpc: -32009 },
  'outcome-unknown': { http: 504, grpc: grpc.deadlineExceeded, jsonRpc: -32010 },
  'log-full': { http: 507, grpc: grpc.resourceExhausted, jsonRpc: -32011 },
  stale: { http: 503, grpc: grpc.unavailable, jsonRpc: -32012 },
  'not-ready': { http: 503, grpc: grpc.unavailable, jsonRpc: -32013 },
  'not-owner': { http: 421, grpc: grpc.aborted, jsonRpc: -32014 },
  'no-owner': { http: 503, grpc: grpc.unavailable, jsonRpc: -32015 },
  'node-unknown': { http: 404, grpc: grpc.notFound, jsonRpc: -32016 },
  'slow-consumer': { http: 503, grpc: grpc.resourceExhausted, jsonRpc: -32017 },
  'rate-limited': { http: 429, grpc: grpc.resourceExhausted, jsonRpc: -32018 },
  'in-use': { http: 500, grpc: grpc.failedPrecondition, jsonRpc: -32019 },
  'broker-unavailable': { http: 503, grpc: grpc.unavailable, jsonRpc: -32020 },
  'not-found': { http: 404, grpc: grpc.notFound, jsonRpc: -32601 },
  // 499 is no registered status, but it is what proxies log for a client that went away; nobody is left to read it.
  aborted: { http: 499, grpc: grpc.cancelled, jsonRpc: -32021 },
  closed: { http: 503, grpc: grpc.unavailable, jsonRpc: -32022 },
  internal: { http: 500, grpc: grpc.internal, jsonRpc: -32603 },
} as const satisfies Record<ErrorCode, TransportStatus>;

/** The name of a gRPC status number as its documents write it, for instance `INVALID_ARGUMENT`. */
export function grpcName(status: TransportStatus['grpc']): string {
  const name = Object.entries(grpc).find(([, number]) => number === status)?.[0] ?? 'unknown';
  return name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}
