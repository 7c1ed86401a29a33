/**
 * Sluice in a process of your own: connect, open a cache, read it synchronously.
 */
import { type Clock, systemClock } from '../base/clock.ts';
import { type Random, systemRandom } from '../base/random.ts';
import { openAuditDoor } from '../cluster/audit/audit-door.ts';
import type { CacheHost, MemoryLimits } from '../cluster/cache-host.ts';
import { type CacheRegistry, createCacheRegistry } from '../cluster/cache-registry.ts';
import { createSession, type Session, type SessionOptions } from '../cluster/session.ts';
import { builtInCacheSettings, parseCacheSettings, validateCacheName } from '../config/cache-settings.ts';
import { isSluiceError, SluiceError } from '../errors.ts';
import type { CacheDeclaration } from '../events/control.ts';
import { clusterPattern, idPattern, prefixPattern } from '../events/subjects.ts';
import { loadCredentials } from '../nats/credentials.ts';
import { createMessenger } from '../nats/messenger.ts';
import type { Codec } from './codec.ts';
import { json } from './codec.ts';
import type { CoherentCache } from './coherent-cache.ts';
import { openCache } from './open-cache.ts';
import { requireFixed, requireLimits } from './open-demands.ts';

export interface ConnectOptions {
  /** Default: nats://127.0.0.1:4222 */
  readonly servers?: string | readonly string[];
  /** Name of the deployment. Default: sluice */
  readonly cluster?: string;
  /** Names this process in the log, as the origin of its writes. Default: client-<random> */
  readonly name?: string;
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
  readonly credentialsFile?: string;
  /** PEM files. An address `tls://…` demands TLS also without them. */
  readonly tls?: { readonly caFile?: string; readonly certFile?: string; readonly keyFile?: string };
  /** What the subjects of the JetStream API begin with, where it is in an account of its own. Default: $JS.API */
  readonly apiPrefix?: string;
  /** What the subjects of answers begin with, where the server permits only one. Default: _INBOX */
  readonly inboxPrefix?: string;
  /**
   * Lets `sluice audit` and controllers find this process and compare its copies with the log. It needs the right to subscribe to
   * `<cluster>.client` and `<cluster>.client.*.*`, which the shipped accounts give to no client. Default: false
   */
  readonly auditable?: boolean;
  /** How long to try to connect. Default: 10 s */
  readonly connectWaitMs?: number;
  /** Deadline of a write with all its retries. Default: 10 s */
  readonly writeDeadlineMs?: number;
  /** Told of trouble and progress, for your log. Default: nobody. */
  readonly onNotice?: SessionOptions['onNotice'];
  readonly clock?: Clock;
  readonly random?: Random;
}

export interface OpenOptions<Value> {
  /** Default: JSON. */
  readonly codec?: Codec<Value>;
  /** Life of what this process writes without saying. Default: the cache's own. */
  readonly ttlMs?: number;
  /**
   * Memory limits of this process. Default: those of the cache's declaration. A process has one copy: who opens it again with
   * other limits gets `settings-conflict`.
   */
  readonly entriesMax?: number;
  readonly bytesMax?: number;
  /**
   * Settings for a cache that does not exist yet, or false to fail with `cache-unknown`. Default: {}. A cache that exists
   * stays as it is; where it differs in what cannot change (partitions, logReplicas, logBytesMax, whenFull), it is refused
   * with `settings-conflict`.
   */
  readonly create?: false | Readonly<Record<string, unknown>>;
  /** How long to wait for the replay. Default: 60 s */
  readonly readyWaitMs?: number;
}

export interface Sluice {
  /** This process's name in the log. */
  readonly name: string;
  /** False while the connection to NATS is lost; caches go on serving with a growing lag, and heal by themselves. */
  readonly isConnected: boolean;
  /** Opens a cache and resolves when this process has a complete copy. Opening it again gives another view of the same copy. */
  open<Value>(cache: string, options?: OpenOptions<Value>): Promise<CoherentCache<Value>>;
  close(): Promise<void>;
}

/** Longest wait of an audit for this process's copies. */
const auditWaitMaxMs = 5_000;

/** Connects to a cluster. Rejects with `log-unavailable` when no server answers in time. */
export async function connect(options: ConnectOptions = {}): Promise<Sluice> {
  const clock = options.clock ?? systemClock;
  const random = options.random ?? systemRandom;
  const name = options.name ?? `client-${random.hex(4)}`;
  const cluster = options.cluster ?? 'sluice';
  requirePattern('name', name, idPattern);
  requirePattern('cluster', cluster, clusterPattern);
  for (const field of ['connectWaitMs', 'writeDeadlineMs'] as const) requirePositive(field, options[field]);
  const { caFile = null, certFile = null, keyFile = null } = options.tls ?? {};
  const servers = [options.servers ?? 'nats://127.0.0.1:4222'].flat();
  for (const server of servers) refuseUserInfo(server);
  for (const field of ['apiPrefix', 'inboxPrefix'] as const)
    if (options[field] !== undefined) requirePattern(field, options[field], prefixPattern);
  const credentials = loadCredentials(
    { servers, credentialsFile: options.credentialsFile ?? null, tls: { caFile, certFile, keyFile } },
    clock.now(),
  );
  const session = await createSession({
    cluster,
    origin: name,
    nats: {
      servers,
      user: options.user,
      password: options.password,
      token: options.token,
      apiPrefix: options.apiPrefix,
      inboxPrefix: options.inboxPrefix,
      driver: credentials,
    },
    connectWaitMs: options.connectWaitMs ?? 10_000,
    controlReplicas: 1,
    storage: 'file',
    ...(options.writeDeadlineMs === undefined ? {} : { publisher: { deadlineMs: options.writeDeadlineMs } }),
    clock,
    random,
    onNotice: options.onNotice ?? (() => undefined),
  });
  const { sluice, registry } = createSluice(session);
  if (options.auditable !== true) return sluice;
  const messenger = createMessenger(session.link, cluster, (what) => session.options.onNotice('warn', what));
  // It ends with the connection.
  openAuditDoor({ messenger, registry, random, name, waitMaxMs: auditWaitMaxMs });
  return sluice;
}

/** The library over a session that somebody else made; `registry` is what it holds. */
export function createSluice(
  session: Session,
  tombstoneHorizonMs = 24 * 3_600_000,
): { readonly sluice: Sluice; readonly registry: CacheRegistry } {
  const limits = new Map<string, MemoryLimits>();
  /** How many calls are opening a cache just now. */
  const opening = new Map<string, number>();
  const firstCodecs = new WeakMap<CacheHost, unknown>();
  const closing = new AbortController();
  const registry = createCacheRegistry({
    session,
    hold: 'all',
    defaults: builtInCacheSettings,
    read: { onMiss: 'log', waitMs: 5_000, expiryToleranceMs: 0, tombstoneHorizonMs },
    cachesMax: 1_024,
    limits: (cache) => limits.get(cache),
  });
  async function findOrCreate(cache: string, create: CacheDeclaration | undefined): Promise<CacheHost> {
    try {
      return await registry.open(cache);
    } catch (error) {
      if (create === undefined || !isSluiceError(error, 'cache-unknown')) throw error;
      await registry.declare(cache, create, { onlyNew: true }).catch((failure: unknown) => {
        // Another process has made it meanwhile, as it wanted it.
        if (!isSluiceError(failure, 'settings-conflict')) throw failure;
      });
      return registry.open(cache);
    }
  }

  /** The copy of a cache, with the limits of the first who opens it. */
  async function openHost(cache: string, open: OpenOptions<unknown>): Promise<CacheHost> {
    const create = open.create === false ? undefined : parseCacheSettings(open.create ?? {}, builtInCacheSettings);
    const demands = open.create === false ? {} : (open.create ?? {});
    const known = session.control.state.caches.caches.get(cache);
    if (known !== undefined) requireFixed(cache, known.settings, create, demands);
    const { entriesMax, bytesMax } = open;
    if (!registry.hosts.has(cache) && !opening.has(cache)) limits.set(cache, { entriesMax, bytesMax });
    opening.set(cache, (opening.get(cache) ?? 0) + 1);
    let host: CacheHost;
    try {
      host = await findOrCreate(cache, create);
    } finally {
      const left = (opening.get(cache) ?? 1) - 1;
      if (left === 0) opening.delete(cache);
      else opening.set(cache, left);
    }
    requireFixed(cache, host.settings, create, demands);
    requireLimits(host, limits.get(cache) ?? {}, open);
    return host;
  }

  const sluice: Sluice = {
    name: session.options.origin,
    get isConnected() {
      return session.link.isConnected;
    },
    async open<Value>(cache: string, open: OpenOptions<Value> = {}) {
      if (closing.signal.aborted) throw new SluiceError('closed', 'the connection was closed');
      validateCacheName(cache);
      for (const field of ['ttlMs', 'entriesMax', 'bytesMax', 'readyWaitMs'] as const)
        requirePositive(field, open[field]);
      const host = await openHost(cache, open);
      const codec = open.codec ?? json<Value>();
      if (!firstCodecs.has(host)) firstCodecs.set(host, codec);
      const opened = openCache<Value>({
        host,
        session,
        codec,
        isFirstCodec: firstCodecs.get(host) === codec,
        ttlMs: open.ttlMs,
        closing: closing.signal,
      });
      await opened.ready({ waitMs: open.readyWaitMs ?? 60_000 });
      return opened;
    },
    async close() {
      closing.abort();
      await registry.stop();
      await session.stop();
    },
  };
  return { sluice, registry };
}

/** The address stands in errors and logs, so it must not hold a secret. */
function refuseUserInfo(server: string): void {
  if (typeof server !== 'string' || server.includes('@')) {
    throw new SluiceError(
      'bad-request',
      'servers: (hidden) must be host:port, nats://host:port or tls://host:port, without user and password; the options user, password and token are for those',
      { details: { field: 'servers' } },
    );
  }
}

function requirePattern(field: string, value: string, pattern: RegExp): void {
  if (!pattern.test(value))
    throw new SluiceError('bad-request', `${field}: ${JSON.stringify(value)} does not match ${pattern.source}`);
}

function requirePositive(field: string, value: number | undefined): void {
  if (value !== undefined && !(typeof value === 'number' && Number.isFinite(value) && value > 0)) {
    throw new SluiceError('bad-request', `${field}: ${value} must be a positive number`, { details: { field, value } });
  }
}
