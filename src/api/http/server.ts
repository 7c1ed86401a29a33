/**
 * The HTTP door of a node: everything a NodeService can do, for any HTTP client. It translates and limits; every rule is
 * behind the service.
 *
 * Each request first meets the short way of plain hits (`fast-path.ts`); what that leaves goes through Fastify
 * (`router.ts`) to the routes (`routes/`). Draining stops accepting, ends event streams with a reason, lets requests under
 * way end, and is bounded.
 */
import type { AddressInfo } from 'node:net';
import type { Clock } from '../../base/clock.ts';
import type { Lifecycle } from '../../base/lifecycle.ts';
import type { Settings } from '../../config/schema.ts';
import { SluiceError } from '../../errors.ts';
import type { NodeService } from '../../service/node-service.ts';
import { createFastPath } from './fast-path.ts';
import { createLimitedServer } from './limited-server.ts';
import { createRouter } from './router.ts';
import { cacheRoutes } from './routes/caches.ts';
import type { EventStream } from './routes/event-stream.ts';
import { keyRoutes } from './routes/keys.ts';
import { listRoutes } from './routes/list.ts';
import { nodeRoutes } from './routes/node.ts';
import type { DoorLog, RouteContext } from './routes/route.ts';
import { watchRoutes } from './routes/watch.ts';

export interface HttpDoorOptions {
  readonly service: NodeService;
  readonly settings: HttpDoorSettings;
  readonly clock: Clock;
  readonly log?: DoorLog;
}

/** The sections of the settings that the door obeys. */
export interface HttpDoorSettings {
  readonly http: Settings['http'];
  readonly read: Pick<Settings['read'], 'waitMaxMs'>;
  readonly watch: Settings['watch'];
}

export interface HttpDoor extends Lifecycle {
  /** The port in use; 0 unless it listens. */
  readonly port: number;
  /** `host:port` as clients write it; an IPv6 address stands in brackets. */
  readonly address: string;
  /** Accepts nothing more and resolves when the last request has ended, after `http.drainTimeout` at the latest. */
  drain(): Promise<void>;
}

/** Bytes of events that may wait for one reader of a change stream. */
const watchBytesMax = 8 * 1024 * 1024;

const ignore = (): void => undefined;
const silent: DoorLog = { info: ignore, error: ignore };

/** `start` rejects with `in-use` when the port is taken, with `bad-config` when the address is not there. */
export function createHttpDoor({ service, settings, clock, log = silent }: HttpDoorOptions): HttpDoor {
  const { http } = settings;
  const streams = new Set<EventStream>();
  let isDraining = false;
  let starting: Promise<void> | undefined;
  let draining: Promise<void> | undefined;
  let stopping: Promise<void> | undefined;

  const isLast = (): boolean => isDraining || http.keepAliveTimeoutMs === 0;
  const context: RouteContext = {
    service,
    clock,
    log,
    streams,
    bodyBytesMax: http.bodyBytesMax,
    readWaitMaxMs: settings.read.waitMaxMs,
    watchLimits: {
      eventsMax: settings.watch.buffered,
      bytesMax: watchBytesMax,
      budget: { bytes: 0, bytesMax: settings.watch.bytesMax },
    },
  };
  const router = createRouter({
    routes: [cacheRoutes, keyRoutes, listRoutes, watchRoutes, nodeRoutes].flatMap((build) => build(context)),
    isLast,
    log,
  });
  const limited = createLimitedServer({
    http,
    clock,
    fast: createFastPath(service, clock, isLast),
    listener: (req, res) => router.routing(req, res),
  });

  async function start(): Promise<void> {
    if (isDraining) throw new SluiceError('closed', 'the HTTP door was stopped');
    await router.ready();
    await limited.listen(http.port, http.host);
  }

  async function drain(): Promise<void> {
    isDraining = true;
    await starting?.catch(() => undefined);
    const closed = limited.drain(http.drainTimeoutMs);
    for (const stream of [...streams])
      stream.end('not-ready', 'the node is shutting down; resume on another one from the last event id');
    await closed;
  }

  const portInUse = (): number => (limited.server.address() as AddressInfo | null)?.port ?? 0;
  const door: HttpDoor = {
    get port() {
      return portInUse();
    },
    get address() {
      return `${http.host.includes(':') ? `[${http.host}]` : http.host}:${portInUse()}`;
    },
    start: () => (starting ??= start()),
    drain: () => (draining ??= drain()),
    stop: () => (stopping ??= door.drain().then(() => router.close())),
  };
  return door;
}
