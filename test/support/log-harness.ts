/**
 * Logs for tests, with the faults that a real deployment has: the same handle for a log in memory and for one on real
 * nats-servers, so that one suite can be run against all.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { formatField, headerNames } from '../../src/events/header.ts';
import type { Position } from '../../src/events/record.ts';
import type { Log } from '../../src/log/log.ts';
import { createMemoryLog } from '../../src/log/memory-log.ts';
import { createLink, type Link, type LinkOptions } from '../../src/nats/link.ts';
import { createNatsLog } from '../../src/nats/nats-log.ts';
import {
  createPublisher,
  defaultPublisherLimits,
  type Publisher,
  type PublisherLimits,
} from '../../src/nats/publisher.ts';
import type { ReaderLimits } from '../../src/nats/reading/reader.ts';
import { callApi, createStream, deleteStream, type StreamConfig, streamInfo } from '../../src/nats/stream-api.ts';
import { buildBucketStream } from '../../src/nats/stream-definitions.ts';
import { startNatsCluster, startNatsServer, type TestServer } from './nats-server.ts';
import { startTcpProxy } from './tcp-proxy.ts';
import { waitUntil } from './wait-until.ts';

export interface LogSettings {
  readonly messagesPerSubject?: number;
  readonly messagesMax?: number;
  readonly whenFull?: 'drop-oldest' | 'refuse';
}

export interface LogHarness {
  /** The log as the code under test sees it, faults included. */
  readonly log: Log;
  /** The same log by a way of its own, which no fault touches. */
  readonly direct: Log;
  readonly subjectOf: (name: string) => string;
  /** Deletes the log and makes it again. */
  recreate(): Promise<void>;
  /** Deletes the log. */
  remove(): Promise<void>;
  /** The log cannot be reached until the returned function is called. */
  outage(): Promise<() => Promise<void>>;
  /** Cuts the connection once. */
  disconnect(): Promise<void>;
  /** Remembers the log as it is; the returned function brings that state back. */
  backup(): Promise<() => Promise<void>>;
  /** Readers that the log knows of. */
  readers(): Promise<number>;
  dispose(): Promise<void>;
}

export interface LogSource {
  create(settings?: LogSettings): Promise<LogHarness>;
  stop(): Promise<void>;
}

/** Short, so that tests need not wait long for a watchdog. */
export const quickReader: Partial<ReaderLimits> = { heartbeatMs: 100, pullMs: 2_000 };

export async function startMemorySource(): Promise<LogSource> {
  let made = 0;
  // Our timers keep no process alive, and nothing else here does.
  const alive = setInterval(() => undefined, 60_000);
  return {
    async create(settings = {}) {
      made += 1;
      const log = createMemoryLog({
        name: `memory-${made}`,
        clock: systemClock,
        heartbeatMs: 100,
        honoursTtl: true,
        ...settings,
      });
      // The work of a call is done before it first waits, so the fault is only lifted for that moment.
      const passing = <Result>(call: () => Promise<Result>): Promise<Result> => {
        const { isAvailable } = log;
        log.isAvailable = true;
        const result = call();
        log.isAvailable = isAvailable;
        return result;
      };
      return {
        log,
        direct: {
          ...log,
          append: (write, options) => passing(() => log.append(write, options)),
          bounds: () => passing(() => log.bounds()),
          latest: (subject) => passing(() => log.latest(subject)),
          purge: (options) => passing(() => log.purge(options)),
        },
        subjectOf: (name) => `log.${name}`,
        async recreate() {
          log.recreate();
        },
        async remove() {
          log.isAvailable = false;
          log.disconnect();
        },
        async outage() {
          log.isAvailable = false;
          log.disconnect();
          return async () => {
            log.isAvailable = true;
          };
        },
        async disconnect() {
          log.disconnect();
        },
        async backup() {
          const { last } = await log.bounds();
          return async () => log.rollBack(last);
        },
        readers: async () => log.openReaders,
        dispose: async () => undefined,
      };
    },
    stop: async () => clearInterval(alive),
  };
}

let streams = 0;

/** A connection as Sluice makes it, which gives up on a dead network soon. */
export function connectTo(port: number, options: Partial<LinkOptions> = {}): Promise<Link> {
  return createLink({
    servers: [`nats://127.0.0.1:${port}`],
    name: 'test',
    clock: systemClock,
    pingIntervalMs: 500,
    ...options,
    // Tests decide which server they talk to.
    driver: { ignoreClusterUpdates: true, ...options.driver },
  });
}

export const publisherOf = (link: Link, limits: Partial<PublisherLimits> = {}): Publisher =>
  createPublisher(link, systemClock, systemRandom, { ...defaultPublisherLimits, ...limits });

/** Creates a stream; on a cluster this may need several attempts. */
export function makeStream(link: Link, config: StreamConfig): ReturnType<typeof createStream> {
  return waitUntil(
    `stream ${config.name}`,
    () => createStream(link, config, 2_000).catch(() => streamInfo(link, config.name, 2_000).catch(() => undefined)),
    30_000,
  );
}

export interface StreamSettings extends LogSettings {
  readonly replicas?: number;
  readonly storage?: 'file' | 'memory';
}

/** The stream of a fresh bucket of its own. */
export function freshBucket(settings: StreamSettings = {}): { bucket: string; config: StreamConfig } {
  streams += 1;
  const bucket = `test-${streams}`;
  const config = buildBucketStream('sluice', bucket, {
    logReplicas: settings.replicas ?? 1,
    logBytesMax: null,
    valueBytesMax: 1024 * 1024 - 16 * 1024,
    whenFull: settings.whenFull ?? 'drop-oldest',
    storage: settings.storage ?? 'file',
  });
  const perSubject = settings.messagesPerSubject ?? 1;
  return {
    bucket,
    config: {
      ...config,
      max_msgs_per_subject: perSubject === Number.POSITIVE_INFINITY ? -1 : perSubject,
      max_msgs: settings.messagesMax ?? -1,
    },
  };
}

export const consumerNames = async (link: Link, stream: string): Promise<string[]> =>
  (await callApi<{ consumers: string[] | null }>(link, `CONSUMER.NAMES.${stream}`, {}, 5_000)).consumers ?? [];

export async function startNatsSource(replicas: 1 | 3): Promise<LogSource> {
  const cluster = replicas === 1 ? undefined : await startNatsCluster(replicas);
  const server = cluster?.servers[0] ?? (await startNatsServer());
  const { port } = server;
  const direct = await connectTo(port);
  const directPublisher = publisherOf(direct);

  async function create(settings: LogSettings = {}): Promise<LogHarness> {
    const { bucket, config } = freshBucket({ ...settings, replicas });
    const info = await makeStream(direct, config);
    const proxy = await startTcpProxy(port);
    const link = await connectTo(proxy.port);
    const publisher = publisherOf(link);
    return {
      log: createNatsLog({ link, publisher, clock: systemClock, info, reader: quickReader }),
      direct: createNatsLog({
        link: direct,
        publisher: directPublisher,
        clock: systemClock,
        info,
        reader: quickReader,
      }),
      subjectOf: (name) => `$KV.${bucket}.${name}`,
      async recreate() {
        await deleteStream(direct, config.name, 5_000);
        await makeStream(direct, config);
      },
      async remove() {
        await deleteStream(direct, config.name, 5_000);
      },
      async outage() {
        await proxy.refuse();
        proxy.cut();
        await waitUntil('a lost connection', () => !link.isConnected);
        return () => proxy.accept();
      },
      async disconnect() {
        const { reconnects } = link;
        proxy.cut();
        await waitUntil('a new connection', () => link.reconnects > reconnects);
      },
      backup: () => backUp(server, direct),
      readers: async () => (await consumerNames(direct, config.name)).length,
      async dispose() {
        publisher.close();
        await link.close();
        await proxy.close();
        await deleteStream(direct, config.name, 5_000).catch(() => false);
      },
    };
  }

  return {
    create,
    async stop() {
      directPublisher.close();
      await direct.close();
      await (cluster ?? server).stop();
    },
  };
}

/** Copies the server's store while it stands still, as an administrator would. */
async function backUp(server: TestServer, link: Link): Promise<() => Promise<void>> {
  const copy = mkdtempSync(join(tmpdir(), 'sluice-backup-'));
  const whileStopped = async (work: () => void): Promise<void> => {
    await server.kill('SIGTERM');
    work();
    await server.restart();
    await waitUntil('a new connection', () => link.isConnected);
  };
  const store = join(server.storeFolder, 'jetstream');
  await whileStopped(() => cpSync(store, copy, { recursive: true }));
  return async () => {
    await whileStopped(() => {
      rmSync(store, { recursive: true });
      cpSync(copy, store, { recursive: true });
    });
    rmSync(copy, { recursive: true });
  };
}

const text = new TextEncoder();

/** Appends `body` under a name of the harness. */
export const put = async (
  { direct, subjectOf }: LogHarness,
  name: string,
  body = name,
  fields = '',
): Promise<Position> => (await direct.append({ subject: subjectOf(name), fields, data: text.encode(body) })).position;

/** A body that a server with TTLs removes after a second. */
export const putBriefly = (harness: LogHarness, name: string, body = name): Promise<Position> =>
  put(harness, name, body, formatField(headerNames.ttl, '1s'));
