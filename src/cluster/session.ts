/**
 * What every process of a cluster shares: a connection, a publisher, the control view, and the logs of caches. Nodes, the
 * in-process library and the command line are built on it.
 */
import type { Clock } from '../base/clock.ts';
import { pause } from '../base/clock.ts';
import type { Lifecycle } from '../base/lifecycle.ts';
import type { Random } from '../base/random.ts';
import { isSluiceError, messageOf, SluiceError } from '../errors.ts';
import type { CacheDeclaration } from '../events/control.ts';
import { bucketNames, bucketStreamName, bucketSubjects } from '../events/subjects.ts';
import type { FollowerLimits, FollowerNotice } from '../log/follower-options.ts';
import type { Log } from '../log/log.ts';
import { createLink, type Link, type LinkOptions } from '../nats/link.ts';
import { createNatsLog } from '../nats/nats-log.ts';
import { createPublisher, defaultPublisherLimits, type Publisher, type PublisherLimits } from '../nats/publisher.ts';
import type { ReaderLimits } from '../nats/reading/reader.ts';
import {
  createStream,
  errCodes,
  JetStreamError,
  type StreamConfig,
  type StreamInfo,
  streamInfo,
} from '../nats/stream-api.ts';
import { buildBucketStream, buildControlStream } from '../nats/stream-definitions.ts';
import { type ControlView, createControlView } from '../replay/control-view.ts';
import { createFollowerNotices, type OnNotice } from './follower-notices.ts';

export interface SessionOptions {
  readonly cluster: string;
  /** Node or client id; the origin of its writes. */
  readonly origin: string;
  readonly nats: Omit<LinkOptions, 'clock' | 'name'>;
  /** Who connects takes it that the cluster exists: when its control stream has to be made, that is a warning. Default: false. */
  readonly expectsCluster?: boolean;
  /** How long to try at start before giving up. */
  readonly connectWaitMs: number;
  readonly controlReplicas: number;
  readonly storage: 'file' | 'memory';
  readonly publisher?: Partial<PublisherLimits>;
  readonly follower?: Partial<FollowerLimits>;
  readonly reader?: Partial<ReaderLimits>;
  /** How a connection is made. Default: over the network, by the driver. */
  readonly dial?: (options: LinkOptions) => Promise<Link>;
  readonly clock: Clock;
  readonly random: Random;
  /** Progress and trouble, for a log. */
  readonly onNotice: OnNotice;
}

export interface Session extends Lifecycle {
  readonly options: SessionOptions;
  readonly link: Link;
  readonly publisher: Publisher;
  readonly control: ControlView;
  /** The log of a bucket that exists; undefined when there is none. */
  findLog(bucket: string): Promise<Log | undefined>;
  /** Makes the streams of a cache where they are missing; existing ones are taken as they are. */
  ensureLogs(name: string, settings: CacheDeclaration): Promise<Log[]>;
  /** Forgets what was learned of a cache's streams. */
  forgetLogs(name: string, partitionCount: number): void;
  readonly onFollowerNotice: (notice: FollowerNotice) => void;
}

const apiTimeoutMs = 5_000;
const retryMs = 500;

/** Connects and replays the control log. Rejects with `log-unavailable` or `unsupported` after `connectWaitMs`. */
export async function createSession(options: SessionOptions): Promise<Session> {
  const { cluster, clock, random, onNotice } = options;
  const untilMs = clock.monotonic() + options.connectWaitMs;
  const dial = options.dial ?? createLink;
  const link = await retried(() => dial({ ...options.nats, name: options.origin, clock }), untilMs, options);
  const publisher = createPublisher(link, clock, random, { ...defaultPublisherLimits, ...options.publisher });
  const logs = new Map<string, Promise<Log | undefined>>();

  link.listen({
    lost: (reason) => onNotice('warn', reason),
    found: (server) => onNotice('info', `connected to NATS again at ${server}`),
    problem: (message) => onNotice('warn', `NATS: ${message}`),
  });

  const onFollowerNotice = createFollowerNotices(clock, () => link.isConnected, onNotice);

  const toLog = (info: StreamInfo): Log =>
    createNatsLog({ link, publisher, clock, random, info, reader: options.reader ?? {} });

  try {
    const info = await retried(() => ensureControlStream(link, options), untilMs, options);
    const control = createControlView({
      cluster,
      log: toLog(info),
      clock,
      random,
      limits: options.follower ?? {},
      onNotice: onFollowerNotice,
    });
    await control.start();
    await control.follower.ready({ waitMs: Math.max(1_000, untilMs - clock.monotonic()) });
    return buildSession(control);
  } catch (error) {
    publisher.close();
    await link.close();
    throw error;
  }

  function buildSession(control: ControlView): Session {
    async function findLog(bucket: string): Promise<Log | undefined> {
      const known = logs.get(bucket);
      if (known !== undefined) return known;
      const found = streamInfo(link, bucketStreamName(bucket), apiTimeoutMs).then((info) => {
        if (info === undefined) logs.delete(bucket);
        else reportGaps(info, options);
        return info === undefined ? undefined : toLog(info);
      });
      logs.set(bucket, found);
      found.catch(() => logs.delete(bucket));
      return found;
    }

    return {
      options,
      link,
      publisher,
      control,
      findLog,
      onFollowerNotice,
      async ensureLogs(name, settings) {
        const { partitions, logBytesMax } = settings;
        return Promise.all(
          bucketNames(name, partitions).map(async (bucket) => {
            const known = await findLog(bucket);
            if (known !== undefined) return known;
            const share = logBytesMax === null ? null : Math.max(64 * 1024, Math.floor(logBytesMax / partitions));
            const info = await ensureStream(
              link,
              buildBucketStream(cluster, bucket, { ...settings, logBytesMax: share, storage: options.storage }),
            );
            reportGaps(info, options);
            const log = toLog(info);
            logs.set(bucket, Promise.resolve(log));
            return log;
          }),
        );
      },
      forgetLogs(name, partitionCount) {
        for (const bucket of bucketNames(name, partitionCount)) logs.delete(bucket);
      },
      start: async () => undefined,
      async stop() {
        await control.stop();
        publisher.close();
        await link.close();
      },
    };
  }
}

/** What a stream lacks of what Sluice would ask for; told once, when it is opened. */
function reportGaps({ config }: StreamInfo, { onNotice, cluster }: SessionOptions): void {
  const bucket = config.name.replace(/^KV_/, '');
  const isOwn = config.subjects?.includes(bucketSubjects(cluster, bucket).all[1] ?? '') ?? false;
  const gaps = [
    config.allow_msg_ttl === true ? undefined : 'the server does not remove expired entries (no per-message TTL)',
    isOwn ? undefined : 'made by others: no clear, no tag invalidation',
    (config.subject_delete_marker_ttl ?? 0) > 0
      ? 'markers of expiry: nats-server can remove a write that arrives while it stores one'
      : undefined,
    (config.max_msgs_per_subject ?? -1) === 1 ? undefined : `keeps ${config.max_msgs_per_subject} messages per key`,
  ].filter((gap) => gap !== undefined);
  if (gaps.length > 0) onNotice('info', `${config.name}: ${gaps.join('; ')}`, { stream: config.name });
}

async function ensureControlStream(link: Link, options: SessionOptions): Promise<StreamInfo> {
  const { cluster, controlReplicas, storage, onNotice, expectsCluster = false } = options;
  const config = buildControlStream(cluster, controlReplicas, storage);
  return ensureStream(link, config, () =>
    onNotice(
      expectsCluster ? 'warn' : 'info',
      `there was no cluster "${cluster}" here: made its control stream ${config.name}; if the name is wrong, remove it: nats stream rm ${config.name}`,
    ),
  );
}

/** Creates a stream, or takes the one that is there. `onMade` hears of the former. */
async function ensureStream(link: Link, config: StreamConfig, onMade?: () => void): Promise<StreamInfo> {
  const existing = await streamInfo(link, config.name, apiTimeoutMs);
  if (existing !== undefined) return existing;
  try {
    const made = await createStream(link, config, apiTimeoutMs);
    onMade?.();
    return made;
  } catch (error) {
    if (!(error instanceof JetStreamError)) throw error;
    if (error.errCode === errCodes.streamNameInUse) {
      const made = await streamInfo(link, config.name, apiTimeoutMs);
      if (made !== undefined) return made;
    }
    if (error.errCode === errCodes.insufficientResources || error.errCode === errCodes.storageExceeded) {
      throw new SluiceError(
        'log-full',
        `${config.name}: the server has no room for ${config.max_bytes} bytes; lower logBytesMax or give JetStream more storage`,
        {
          cause: error,
          details: { field: 'logBytesMax', value: config.max_bytes },
        },
      );
    }
    if (error.errCode === errCodes.noSuitablePeers)
      throw new SluiceError('log-unavailable', `${config.name}: ${error.message}`, { cause: error });
    throw new SluiceError('unsupported', `${config.name}: the server refuses the stream: ${error.message}`, {
      cause: error,
    });
  }
}

/** What the API refused, in our own terms; JetStream that is off or forbidden is nothing that a later try could change. */
function explainApiError(error: unknown): unknown {
  if (!(error instanceof JetStreamError)) return error;
  return new SluiceError(error.code === 503 ? 'log-unavailable' : 'unsupported', `JetStream: ${error.message}`, {
    cause: error,
  });
}

/** Tries again until the time is up, while the reason may pass: no server yet, no leader yet. */
async function retried<Result>(
  attempt: () => Promise<Result>,
  untilMs: number,
  { clock, onNotice }: SessionOptions,
): Promise<Result> {
  let told: string | undefined;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const canPass =
        isSluiceError(error, 'log-unavailable') || (error instanceof JetStreamError && error.code === 503);
      if (!canPass || clock.monotonic() >= untilMs) throw explainApiError(error);
      const message = messageOf(error);
      if (message !== told)
        onNotice('warn', `${message}; trying again for ${Math.round((untilMs - clock.monotonic()) / 1000)} s`);
      told = message;
      await pause(clock, retryMs);
    }
  }
}
