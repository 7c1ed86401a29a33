/**
 * Node to node: the verbs and their bodies. A body is one line of JSON, a newline, and bytes:
 *
 *   {"cache":"demo","partition":3,"key":"a", …}\n<value>
 *
 * Decoding is total: a peer of another version or a stranger on the subject gets an error back, never an exception here.
 */
import { z } from 'zod';
import { type ErrorCode, errorTable, isSluiceError, messageOf, SluiceError } from '../errors.ts';

/** Keys in one page of an audit, and keys that one request may name. */
export const auditKeysMax = 10_000;
export const auditNamedKeysMax = 500;

const count = z.number().int().nonnegative();
const cache = z.string().max(64);

const readFields = {
  consistency: z.enum(['local', 'latest']).optional(),
  minPosition: count.optional(),
  maxStalenessMs: z.number().nonnegative().optional(),
  waitMs: z.number().nonnegative().optional(),
};

export const peerRequests = {
  /** An entry from the receiver's own copy. */
  get: z.object({ cache, partition: count, key: z.string(), epoch: count, ...readFields }),
  list: z.object({
    cache,
    partition: count,
    epoch: count,
    prefix: z.string().optional(),
    after: z.string().optional(),
    limit: z.number().int().positive().max(10_000),
  }),
  /** Answers once each copy that the receiver holds has applied its position. */
  reached: z.object({ cache, positions: z.array(z.tuple([count, count])).max(1024), waitMs: z.number().nonnegative() }),
  /** Revisions and checksums of the receiver's own copy, once that has applied the position. */
  audit: z.object({
    cache,
    partition: count,
    position: count,
    waitMs: z.number().nonnegative(),
    limit: z.number().int().positive().max(auditKeysMax),
    after: z.string().optional(),
    /** Only keys whose hash leaves `at` when it is divided by `of`. */
    share: z.object({ of: z.number().int().positive().max(1_000_000), at: count }).optional(),
    /** These keys and no others. */
    keys: z.array(z.string()).max(auditNamedKeysMax).optional(),
    /** Asks the log for its first position before, so that nothing below it is in the answer. */
    isFloorAsked: z.boolean().optional(),
  }),
  /** Drops the copies of one cache, or of all, and replays them. */
  rebuild: z.object({ cache: cache.optional() }),
} as const;

export type PeerVerb = keyof typeof peerRequests;
export type PeerRequest<Verb extends PeerVerb> = z.infer<(typeof peerRequests)[Verb]>;

export const peerAnswers = {
  get: z.object({
    position: count,
    found: z
      .object({
        revision: count,
        atMs: z.number(),
        /** null: never. */
        expiresAtMs: z.number().nullable(),
        tags: z.array(z.string()).optional(),
        contentType: z.string().optional(),
      })
      .optional(),
  }),
  list: z.object({
    keys: z.array(z.object({ key: z.string(), revision: count, bytes: count })),
    next: z.string().optional(),
    isComplete: z.boolean(),
  }),
  reached: z.object({}),
  audit: z.object({
    /** Every key is at least as new as this position. */
    at: count,
    /** True when a key that is not here is not in the copy's log. */
    isComplete: z.boolean(),
    /** Key, revision, checksum, and when it expires in ms since 1970 UTC, null: never. */
    entries: z.array(z.tuple([z.string(), count, z.string(), z.number().nullable()])).max(auditKeysMax),
    next: z.string().optional(),
  }),
  rebuild: z.object({ rebuilt: z.array(z.string()) }),
} as const;

export type PeerAnswer<Verb extends PeerVerb> = z.infer<(typeof peerAnswers)[Verb]>;

const failure = z.object({ code: z.string(), message: z.string(), epoch: count.optional() });

const newline = 0x0a;
const empty = new Uint8Array(0);

export function encodePeerBody(fields: unknown, bytes: Uint8Array = empty): Uint8Array {
  return Buffer.concat([Buffer.from(`${JSON.stringify(fields)}\n`), bytes]);
}

interface PeerBody {
  readonly fields: unknown;
  readonly bytes: Uint8Array;
}

function splitBody(body: Uint8Array): PeerBody | undefined {
  const end = body.indexOf(newline);
  if (end < 0) return undefined;
  try {
    return { fields: JSON.parse(Buffer.from(body.subarray(0, end)).toString('utf8')), bytes: body.subarray(end + 1) };
  } catch {
    return undefined;
  }
}

/** Throws `bad-request` when the body breaks the verb's form. */
export function decodePeerRequest<Verb extends PeerVerb>(verb: Verb, body: Uint8Array): PeerRequest<Verb> {
  const checked = peerRequests[verb].safeParse(splitBody(body)?.fields);
  if (!checked.success) {
    const [issue] = checked.error.issues;
    throw new SluiceError('bad-request', `${verb}: ${issue?.path.join('.') ?? 'body'}: ${issue?.message ?? 'invalid'}`);
  }
  return checked.data as PeerRequest<Verb>;
}

export const encodePeerFailure = (error: unknown, epoch: number): Uint8Array =>
  encodePeerBody({ error: { code: isSluiceError(error) ? error.code : 'internal', message: messageOf(error), epoch } });

export interface PeerReply<Verb extends PeerVerb> {
  readonly fields: PeerAnswer<Verb>;
  readonly bytes: Uint8Array;
}

/** The answer, or the error that the peer sent; its epoch is in `details.epoch`. */
export function decodePeerAnswer<Verb extends PeerVerb>(verb: Verb, body: Uint8Array): PeerReply<Verb> {
  const split = splitBody(body);
  const error = failure.safeParse((split?.fields as { error?: unknown } | undefined)?.error);
  if (error.success) {
    const { code, message, epoch } = error.data;
    throw new SluiceError(Object.hasOwn(errorTable, code) ? (code as ErrorCode) : 'internal', message, {
      details: { epoch },
    });
  }
  const checked = peerAnswers[verb].safeParse(split?.fields);
  if (split === undefined || !checked.success)
    throw new SluiceError('internal', `${verb}: the node's answer cannot be read`);
  return { fields: checked.data as PeerAnswer<Verb>, bytes: split.bytes };
}
