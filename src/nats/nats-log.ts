/**
 * The log on JetStream: one stream seen as a `Log`.
 *
 * The stream is taken as it is. What the server or the stream lacks is read from the configuration that the server
 * returns, never from its version alone, and never changed here.
 */
import type { Clock } from '../base/clock.ts';
import { type Random, systemRandom } from '../base/random.ts';
import { abortedBy } from '../base/waiters.ts';
import { withGetters } from '../base/with-getters.ts';
import { type ErrorCode, isSluiceError, SluiceError } from '../errors.ts';
import { headerNames, headerText, readField } from '../events/header.ts';
import type { LogRecord, LogWrite, Position } from '../events/record.ts';
import type {
  Appended,
  AppendOptions,
  Log,
  LogBounds,
  LogReader,
  OpenOptions,
  PurgeOptions,
  ReaderEvents,
} from '../log/log.ts';
import { requireLeader } from './leader-contact.ts';
import { isAtLeast, type Link } from './link.ts';
import type { Publisher } from './publisher.ts';
import { createConsumerCleanup } from './reading/consumer-cleanup.ts';
import { defaultReaderLimits, openReader, type ReaderLimits } from './reading/reader.ts';
import { errCodes, JetStreamError, latestMessage, purgeStream, type StreamInfo, streamInfo } from './stream-api.ts';
import type { PublishTarget } from './writing/pending-write.ts';
import { surveyLog } from './writing/survey.ts';

export interface NatsLogOptions {
  readonly link: Link;
  readonly publisher: Publisher;
  readonly clock: Clock;
  /** For names of consumers. Default: the system's. */
  readonly random?: Random;
  readonly info: StreamInfo;
  readonly reader?: Partial<ReaderLimits>;
}

/** Requests to the API wait so long for an answer; a leader election takes longer, and then the caller tries again. */
const requestMs = 1_000;
/** Removing a million messages takes its time. */
const purgeMs = 10_000;
/** How long a call waits for a lost connection before it fails. */
const reconnectMs = 1_000;

const none: AppendOptions = {};

export function createNatsLog(options: NatsLogOptions): Log {
  const { link, publisher, clock, random = systemRandom } = options;
  const limits = { ...defaultReaderLimits, ...options.reader };
  // Read back with every look at the bounds: an operator may change limits or the number of replicas.
  let { config } = options.info;
  const stream = config.name;
  const cleanup = createConsumerCleanup({
    link,
    clock,
    stream,
    requestMs: limits.requestMs,
    forgetMs: 2 * limits.inactiveMs,
  });
  let slowOpens = 0;

  const isReplicated = (): boolean => config.num_replicas > 1;
  const isCompareAndSetSafe = (): boolean => !isReplicated() || isAtLeast(link.serverVersion, '2.9.21');

  async function connected(signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) throw abortedBy(signal);
    if (!link.isConnected) await link.connected(reconnectMs, signal);
  }

  async function findStored(subject: string, id: string): Promise<Position | undefined> {
    const newest = await log.latest(subject);
    if (newest?.header === undefined) return undefined;
    return readField(headerText(newest.header), headerNames.messageId) === id ? newest.position : undefined;
  }

  function refusalOf({ expected }: AppendOptions): SluiceError | undefined {
    if (config.mirror !== undefined)
      return new SluiceError('unsupported', `${stream}: is a mirror and takes no writes`);
    if (expected === undefined || expected === 0 || isCompareAndSetSafe()) return undefined;
    return new SluiceError(
      'cas-unsupported',
      `${stream}: compare-and-set on a stream with ${config.num_replicas} replicas needs nats-server 2.9.21 or later; ${link.serverVersion} can let two writers win`,
    );
  }

  /** A leader that was deposed compares with the past. It stores nothing, so nothing is lost by not believing it. */
  async function believe(refused: unknown): Promise<never> {
    if (isSluiceError(refused, 'position-conflict')) await log.bounds();
    throw refused;
  }

  const target: PublishTarget = {
    stream,
    get duplicateWindowMs() {
      // 0 means the server's default of two minutes.
      return (config.duplicate_window ?? 0) / 1e6 || 120_000;
    },
    findStored,
    head: options.info.state.last_seq,
    get forgetsIds() {
      return (config.max_msgs_per_subject ?? 0) > 0;
    },
    get isReplicated() {
      return isReplicated();
    },
    survey: (above) => surveyLog(log, clock, above),
  };

  /** Errors of the API in our own words: what is true for now, and what will not change by itself. */
  async function translate<Result>(refused: ErrorCode, call: () => Promise<Result>): Promise<Result> {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof JetStreamError)) throw error;
      const isGone = error.errCode === errCodes.streamNotFound;
      const code = isGone || error.code === 503 ? 'log-unavailable' : refused;
      const message = isGone ? 'the stream does not exist' : error.message;
      throw new SluiceError(code, `${stream}: ${message}`, { cause: error });
    }
  }

  const getters = {
    isCompareAndSetSafe,
    allowsRollup: () => config['allow_rollup_hdrs'] === true && config.deny_purge !== true,
    honoursTtl: () => config.allow_msg_ttl === true,
    subjects: () => config.subjects ?? [],
    markersMs: () => {
      const ttl = config.subject_delete_marker_ttl ?? 0;
      return ttl > 0 ? ttl / 1e6 : Number.POSITIVE_INFINITY;
    },
    maxAgeMs: () => (config.max_age > 0 ? config.max_age / 1e6 : Number.POSITIVE_INFINITY),
  };
  const log: Log = withGetters<Log, keyof typeof getters>(getters, {
    name: stream,
    append(write: LogWrite, append: AppendOptions = none): Promise<Appended> {
      const refusal = refusalOf(append);
      if (refusal !== undefined) return Promise.reject(refusal);
      const appended = publisher.publish(write, append, target);
      return append.expected === undefined || !isReplicated() ? appended : appended.catch(believe);
    },
    async bounds(signal?: AbortSignal): Promise<LogBounds> {
      await connected(signal);
      const current = await translate('log-unavailable', () => streamInfo(link, stream, requestMs));
      if (current === undefined) throw new SluiceError('log-unavailable', `${stream}: the stream does not exist`);
      config = current.config;
      requireLeader(current);
      const { first_seq, last_seq, last_ts, messages } = current.state;
      // An empty stream states first 0 or last + 1, depending on its past.
      return {
        first: messages === 0 ? last_seq + 1 : first_seq,
        last: last_seq,
        identity: current.created,
        messages,
        ...(last_ts === undefined ? {} : { lastAtMs: Date.parse(last_ts) }),
      };
    },
    async latest(subject: string, signal?: AbortSignal): Promise<LogRecord | undefined> {
      await connected(signal);
      return translate('unsupported', () => latestMessage(link, stream, subject, requestMs));
    },
    async confirmHead(head: Position): Promise<void> {
      if (!isReplicated()) return;
      const { last } = await log.bounds();
      if (last < head)
        throw new SluiceError(
          'log-unavailable',
          `${stream}: who answers has it up to ${last}, and ${head} was seen in it`,
        );
    },
    async open(from: Position, events: ReaderEvents, { withoutData = false }: OpenOptions = {}): Promise<LogReader> {
      await connected();
      // A short time-out finds another server soon after one died. A big stream in memory takes its time, though, and
      // would never be opened at all with it.
      const patience = isReplicated() ? 1 : 2 ** Math.min(slowOpens, 3);
      const reader = { ...limits, requestMs: limits.requestMs * patience };
      try {
        const opened = await translate('log-unavailable', () =>
          openReader(
            { link, clock, random, stream, limits: reader, cleanup, isReplicated: isReplicated(), withoutData },
            from,
            events,
          ),
        );
        slowOpens = 0;
        return opened;
      } catch (error) {
        if (link.isConnected) slowOpens += 1;
        throw error;
      }
    },
    async purge({ subject, below }: PurgeOptions = {}): Promise<number> {
      await connected();
      return translate('unsupported', () => purgeStream(link, stream, { subject, below }, purgeMs));
    },
  });
  return log;
}
