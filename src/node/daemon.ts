/**
 * The node as a process runs it: a list of parts, started in order and stopped in reverse.
 *
 *   folder → session → registry, members, peers → HTTP door → join → ready
 *
 * On the way out the door closes first, `left` is published, and this node goes on answering other nodes until the new owners
 * of its partitions are ready or the drain time is over.
 */
import { resolve } from 'node:path';
import type { Logger } from 'pino';
import { createHttpDoor, type HttpDoor } from '../api/http/server.ts';
import type { Clock } from '../base/clock.ts';
import { createPartList, type Lifecycle, type Part } from '../base/lifecycle.ts';
import type { Random } from '../base/random.ts';
import { type FolderLock, lockFolder } from '../broker/server/folder-lock.ts';
import type { CacheRegistry } from '../cluster/cache-registry.ts';
import { createSession, type Session } from '../cluster/session.ts';
import { sessionOptions } from '../cluster/session-options.ts';
import type { Settings } from '../config/schema.ts';
import { SluiceError } from '../errors.ts';
import { loadCredentials } from '../nats/credentials.ts';
import type { NodeService } from '../service/node-service.ts';
import { createClusterNode } from './cluster-node.ts';
import { createMetrics } from './metrics.ts';
import { loadNodeId } from './node-id.ts';

export interface DaemonOptions {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly version: string;
  /** Something happened after which this process must stop; called once. */
  readonly onFatal: (error: SluiceError) => void;
  /** Handed the copies, for tests that damage them. `cache-node` gives none, so no shipped program has such a door. */
  readonly onCopies?: (registry: Pick<CacheRegistry, 'hosts'>) => void;
}

export interface Daemon extends Lifecycle {
  readonly node: string;
  /** Base address of the HTTP door, once started. */
  readonly address: string;
  readonly service: NodeService;
}

const baseAddress = (hostAndPort: string): string => `http://${hostAndPort}`;

export async function createDaemon(options: DaemonOptions): Promise<Daemon> {
  const { settings, clock, random, logger, version } = options;
  const folder = resolve(settings.node.dataFolder);
  const lock: FolderLock = await lockFolder(folder, { clock, random, childMark: 'nats-server', stopLimitMs: 5_000 });
  let node: string;
  let session: Session;
  try {
    node = loadNodeId(folder, settings.node.id, random);
    session = await createSession(
      sessionOptions(settings, loadCredentials(settings.nats, clock.now()), node, { clock, random, logger }),
    );
  } catch (error) {
    lock.release();
    throw error;
  }

  const {
    service,
    registry,
    membership,
    parts: inner,
  } = createClusterNode({
    session,
    node,
    version,
    region: settings.node.region ?? undefined,
    pid: process.pid,
    defaults: settings.cacheDefaults,
    read: {
      onMiss: settings.read.onMiss,
      waitMs: settings.read.waitMaxMs,
      expiryToleranceMs: settings.read.expiryToleranceMs,
      tombstoneHorizonMs: settings.log.tombstoneHorizonMs,
    },
    cachesMax: settings.limits.caches,
    watchBacklogMax: settings.watch.buffered,
    membership: {
      pulseMs: settings.membership.pulseMs,
      suspectAfterMs: settings.membership.suspectAfterMs,
      evictAfterMs: settings.membership.evictAfterMs,
    },
    drainMs: settings.http.drainTimeoutMs,
    createMetrics,
    onReplaced: (reason) => options.onFatal(new SluiceError('in-use', reason)),
  });
  options.onCopies?.(registry);
  const door: HttpDoor = createHttpDoor({ service, settings, clock, log: logger });

  let isEnding = false;
  const parts: readonly Part[] = [
    { name: 'folder', start: async () => undefined, stop: async () => lock.release() },
    {
      name: 'session',
      start: async () => undefined,
      stop() {
        isEnding = true;
        return session.stop();
      },
    },
    inner.caches,
    inner.peers,
    {
      name: 'http',
      start: () => door.start(),
      stop: () => door.stop(),
    },
    {
      name: inner.membership.name,
      async start() {
        membership.http = baseAddress(settings.node.advertise ?? door.address);
        await inner.membership.start();
      },
      async stop() {
        await Promise.all([door.drain(), inner.membership.stop()]);
      },
    },
  ];
  const list = createPartList(parts, (part, error) => logger.error({ err: error, part }, `stopping ${part} failed`));

  session.link.listen({
    closed: (reason) => {
      if (!isEnding)
        options.onFatal(new SluiceError('log-unavailable', `the connection to NATS was closed: ${reason}`));
    },
  });

  return {
    node,
    service,
    get address() {
      return baseAddress(door.address);
    },
    start: () => list.start(),
    stop: () => list.stop(),
  };
}
