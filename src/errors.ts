/**
 * The one error type of Sluice and its closed table of codes.
 *
 * Expected outcomes (a miss, an unchanged write) are values, not errors. What is left has a code from this table;
 * callers recognise it by `code`, never by message. `docs/errors.md` and every transport are kept equal to the table.
 */

/** What a code means to a caller, and whether the same call may succeed later without any change. */
export interface ErrorMeaning {
  readonly meaning: string;
  readonly retryable: boolean;
}

export const errorTable = {
  'bad-request': {
    meaning: 'the input breaks a rule; the message names the field, the value and the rule',
    retryable: false,
  },
  'bad-key': {
    meaning: 'the key is empty, not a string, not well-formed Unicode or above 1,024 bytes of UTF-8',
    retryable: false,
  },
  'bad-config': { meaning: 'a setting is unknown, missing or out of range', retryable: false },
  'cache-unknown': { meaning: 'no cache of that name is declared and no bucket of that name exists', retryable: false },
  'settings-conflict': { meaning: 'the cache exists with other settings that cannot change', retryable: false },
  'too-large': { meaning: 'the value is larger than the cache or the server allows', retryable: false },
  'position-conflict': { meaning: 'compare-and-set lost: the key has another revision', retryable: false },
  'cas-unsupported': {
    meaning: 'this server does not check compare-and-set safely on a replicated stream',
    retryable: false,
  },
  unsupported: { meaning: 'the server or the bucket lacks what the operation needs', retryable: false },
  'log-unavailable': {
    meaning: 'the log did not accept the operation before its deadline; nothing was written',
    retryable: true,
  },
  'outcome-unknown': {
    meaning: 'no acknowledgement arrived: the write may or may not be in the log',
    retryable: false,
  },
  'log-full': { meaning: 'the log of the cache is full and set to refuse writes', retryable: true },
  stale: { meaning: 'the copy has not reached the demanded position or freshness in time', retryable: true },
  'not-ready': { meaning: 'the node has not caught up with the log yet', retryable: true },
  'not-owner': { meaning: 'the node does not hold the partition at that epoch', retryable: true },
  'no-owner': { meaning: 'no live node holds the partition and the log could not be read', retryable: true },
  'node-unknown': { meaning: 'no member has that node id', retryable: false },
  'slow-consumer': { meaning: 'the reader fell too far behind and was dropped', retryable: true },
  'rate-limited': { meaning: 'a limit of connections, requests or waiting calls is reached', retryable: true },
  'in-use': { meaning: 'another process holds the port or the data folder', retryable: false },
  'broker-unavailable': {
    meaning: 'no usable nats-server was found, or it did not start; the message says what was tried',
    retryable: false,
  },
  'not-found': { meaning: 'no such route or resource', retryable: false },
  aborted: { meaning: 'the caller gave up before the operation ended', retryable: true },
  closed: { meaning: 'the object was used after it was closed', retryable: false },
  internal: { meaning: 'a defect of Sluice; please report it with the log', retryable: false },
} as const satisfies Record<string, ErrorMeaning>;

export type ErrorCode = keyof typeof errorTable;

/** Facts that belong to an error and that a transport may show: field, value, rule, revision, lag … */
export type ErrorDetails = Readonly<Record<string, string | number | boolean | null | undefined | readonly string[]>>;

export class SluiceError extends Error {
  override readonly name = 'SluiceError';
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: ErrorDetails } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }

  get retryable(): boolean {
    return errorTable[this.code].retryable;
  }
}

/** True when `error` is a SluiceError, and of that code when one is given. */
export function isSluiceError(error: unknown, code?: ErrorCode): error is SluiceError {
  return error instanceof SluiceError && (code === undefined || error.code === code);
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
