/**
 * The JetStream API as JSON over requests: streams only. Raw, because the answers must be read back field by field to
 * learn what a server really does (old ones ignore what they do not know), and because every call needs its own
 * short time-out.
 */
import { SluiceError } from '../errors.ts';
import { type LogRecord, type Position, recordOf } from '../events/record.ts';
import type { Link } from './link.ts';

/** A stream's configuration as the server states it. Durations in nanoseconds. */
export interface StreamConfig {
  readonly name: string;
  readonly subjects?: readonly string[];
  readonly num_replicas: number;
  readonly max_bytes: number;
  readonly max_age: number;
  readonly max_msg_size?: number;
  readonly max_msgs_per_subject?: number;
  readonly discard?: 'old' | 'new';
  readonly storage?: 'file' | 'memory';
  readonly duplicate_window?: number;
  readonly allow_direct?: boolean;
  readonly allow_msg_ttl?: boolean;
  readonly subject_delete_marker_ttl?: number;
  readonly deny_purge?: boolean;
  readonly deny_delete?: boolean;
  readonly sealed?: boolean;
  readonly mirror?: unknown;
  readonly [field: string]: unknown;
}

export interface StreamInfo {
  readonly config: StreamConfig;
  readonly created: string;
  readonly state: {
    readonly messages: number;
    readonly bytes: number;
    readonly first_seq: number;
    readonly last_seq: number;
    /** RFC 3339. */
    readonly last_ts?: string;
  };
  /** Only from a server of a cluster. */
  readonly cluster?: {
    /** Missing when the server that answers knows of none. */
    readonly leader?: string;
    /** The replicas beside the leader. `active`: nanoseconds since the leader has heard from it. */
    readonly replicas?: readonly { readonly name: string; readonly active?: number }[];
  };
}

/** An error of the API itself, with the numbers of `server/errors.json`. */
export class JetStreamError extends Error {
  override readonly name = 'JetStreamError';
  readonly code: number;
  readonly errCode: number;
  constructor(subject: string, error: { code?: number; err_code?: number; description?: string }) {
    super(`${subject}: ${error.description ?? 'error'} (${error.err_code ?? error.code ?? 0})`);
    this.code = error.code ?? 0;
    this.errCode = error.err_code ?? 0;
  }
}

export const errCodes = {
  streamNotFound: 10059,
  streamNameInUse: 10058,
  messageNotFound: 10037,
  /** A cluster that has not found all its servers yet, or has lost too many. */
  noSuitablePeers: 10005,
  insufficientResources: 10047,
  storageExceeded: 10028,
  subjectsOverlap: 10065,
  consumerNotFound: 10014,
} as const;

/** `verb`: what follows the prefix of the API, for instance `STREAM.INFO.KV_demo`. Throws `JetStreamError` for what the API refuses. */
export async function callApi<Answer>(link: Link, verb: string, body: unknown, timeoutMs: number): Promise<Answer> {
  const subject = link.apiSubject(verb);
  const message = await link.request(subject, body === undefined ? '' : JSON.stringify(body), timeoutMs);
  let answer: { error?: { code?: number; err_code?: number; description?: string } };
  try {
    answer = JSON.parse(message.string());
  } catch (error) {
    throw new SluiceError('log-unavailable', `${subject}: the answer is not JSON`, { cause: error });
  }
  if (answer.error !== undefined) throw new JetStreamError(subject, answer.error);
  return answer as Answer;
}

const isErrCode = (error: unknown, errCode: number): boolean =>
  error instanceof JetStreamError && error.errCode === errCode;

export async function streamInfo(link: Link, stream: string, timeoutMs: number): Promise<StreamInfo | undefined> {
  try {
    return await callApi<StreamInfo>(link, `STREAM.INFO.${stream}`, undefined, timeoutMs);
  } catch (error) {
    if (isErrCode(error, errCodes.streamNotFound)) return undefined;
    throw error;
  }
}

export async function createStream(link: Link, config: StreamConfig, timeoutMs: number): Promise<StreamInfo> {
  return callApi<StreamInfo>(link, `STREAM.CREATE.${config.name}`, config, timeoutMs);
}

export async function updateStream(link: Link, config: StreamConfig, timeoutMs: number): Promise<StreamInfo> {
  return callApi<StreamInfo>(link, `STREAM.UPDATE.${config.name}`, config, timeoutMs);
}

/** True when the stream existed. */
export async function deleteStream(link: Link, stream: string, timeoutMs: number): Promise<boolean> {
  try {
    await callApi(link, `STREAM.DELETE.${stream}`, undefined, timeoutMs);
    return true;
  } catch (error) {
    if (isErrCode(error, errCodes.streamNotFound)) return false;
    throw error;
  }
}

export async function purgeStream(
  link: Link,
  stream: string,
  options: { readonly subject?: string | undefined; readonly below?: number | undefined },
  timeoutMs: number,
): Promise<number> {
  const body = { filter: options.subject, seq: options.below };
  const answer = await callApi<{ purged: number }>(link, `STREAM.PURGE.${stream}`, body, timeoutMs);
  return answer.purged;
}

/** The newest message of a subject, from the stream's leader. */
export const latestMessage = (
  link: Link,
  stream: string,
  subject: string,
  timeoutMs: number,
): Promise<LogRecord | undefined> => getMessage(link, stream, { last_by_subj: subject }, timeoutMs);

/** The first message at or above the position, from the stream's leader. */
export const firstMessageFrom = (
  link: Link,
  stream: string,
  position: Position,
  timeoutMs: number,
): Promise<LogRecord | undefined> => getMessage(link, stream, { seq: position, next_by_subj: '>' }, timeoutMs);

async function getMessage(
  link: Link,
  stream: string,
  which: object,
  timeoutMs: number,
): Promise<LogRecord | undefined> {
  try {
    const answer = await callApi<{
      message: { subject: string; seq: number; hdrs?: string; data?: string; time: string };
    }>(link, `STREAM.MSG.GET.${stream}`, which, timeoutMs);
    const { message } = answer;
    return recordOf({
      position: message.seq,
      atMs: Math.floor(Date.parse(message.time)),
      subject: message.subject,
      header: message.hdrs === undefined ? undefined : Buffer.from(message.hdrs, 'base64'),
      data: message.data === undefined ? new Uint8Array(0) : Buffer.from(message.data, 'base64'),
    });
  } catch (error) {
    if (isErrCode(error, errCodes.messageNotFound)) return undefined;
    throw error;
  }
}

export async function streamNames(link: Link, filter: string, timeoutMs: number): Promise<string[]> {
  const names: string[] = [];
  for (;;) {
    const page = await callApi<{ total: number; streams: string[] | null }>(
      link,
      'STREAM.NAMES',
      { offset: names.length, ...(filter === '' ? {} : { subject: filter }) },
      timeoutMs,
    );
    names.push(...(page.streams ?? []));
    if (names.length >= page.total || (page.streams ?? []).length === 0) return names;
  }
}
