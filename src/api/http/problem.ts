/**
 * Errors as RFC 9457 problems: `application/problem+json` with the code of the one table. Whatever is thrown becomes one; what
 * Sluice did not throw on purpose is shown as `internal` without its message, which could hold anything.
 */
import { STATUS_CODES } from 'node:http';
import { type ErrorCode, type ErrorDetails, errorTable, isSluiceError, SluiceError } from '../../errors.ts';
import { statusTable } from '../status.ts';
import type { Answer } from './answer.ts';

export const problemType = 'application/problem+json';
/** What a client waits before it repeats a request that may succeed later without any change. */
const retryAfterSeconds = 1;

/** What HTTP itself has a finer status for than the table of codes, and headers that belong to it. */
export interface ProblemForm {
  readonly status?: number;
  readonly headers?: readonly string[];
  /** Members beside the error's details, for facts that are no plain values. */
  readonly members?: Readonly<Record<string, unknown>>;
}

/** An error that knows more about its answer than its code says. */
export class HttpProblem extends SluiceError {
  readonly form: ProblemForm;

  constructor(code: ErrorCode, message: string, form: ProblemForm, details: ErrorDetails = {}) {
    super(code, message, { details });
    this.form = form;
  }
}

/** 406: the client accepts none of what there is. */
export function notAcceptable(offered: readonly string[]): HttpProblem {
  return new HttpProblem(
    'bad-request',
    `Accept: this can be had as ${offered.join(' or ')}`,
    { status: 406 },
    { field: 'Accept' },
  );
}

export const isExpected = (error: unknown): boolean => toSluiceError(error).code !== 'internal';

/** `instance` is the path of the request. */
export function problemAnswer(thrown: unknown, instance: string): Answer {
  const error = toSluiceError(thrown);
  const form = error instanceof HttpProblem ? error.form : {};
  const status = form.status ?? statusTable[error.code].http;
  const { meaning } = errorTable[error.code];
  const problem = {
    ...error.details,
    ...form.members,
    type: `urn:sluice:error:${error.code}`,
    title: meaning,
    status,
    code: error.code,
    detail: error.message,
    ...(instance === '' ? {} : { instance }),
  };
  const headers = ['Content-Type', problemType, 'Cache-Control', 'no-store', ...(form.headers ?? [])];
  if (error.retryable && (status === 503 || status === 429 || status === 507)) {
    headers.push('Retry-After', String(retryAfterSeconds));
  }
  // The revision in the way of a compare-and-set is what the next attempt needs.
  const { current } = error.details;
  if (error.code === 'position-conflict' && typeof current === 'number' && current > 0) {
    headers.push('ETag', `"${current}"`);
  }
  return { status, headers, body: `${JSON.stringify(problem)}\n` };
}

function toSluiceError(thrown: unknown): SluiceError {
  if (isSluiceError(thrown)) return thrown;
  const { code, statusCode } = (thrown ?? {}) as { readonly code?: unknown; readonly statusCode?: unknown };
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new SluiceError('too-large', 'body: larger than this door takes (http.bodyBytesMax)', {
        details: { field: 'body' },
      });
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new HttpProblem(
        'bad-request',
        'Content-Type: is no media type',
        { status: 415 },
        { field: 'Content-Type' },
      );
    default:
  }
  // What the HTTP library refuses is the client's doing, and its messages name the fault.
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500 && thrown instanceof Error) {
    return new HttpProblem('bad-request', thrown.message, { status: statusCode });
  }
  return new SluiceError('internal', 'the request failed by a defect; the log of the node says more', {
    cause: thrown,
  });
}

/** The whole response to bytes that are no request; the connection closes after it. */
export function rawProblem(error: SluiceError): string {
  const { status, headers, body } = problemAnswer(error, '');
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`];
  for (let index = 0; index < headers.length; index += 2) lines.push(`${headers[index]}: ${headers[index + 1]}`);
  const text = String(body ?? '');
  lines.push(`Content-Length: ${Buffer.byteLength(text)}`, 'Connection: close', '', text);
  return lines.join('\r\n');
}
