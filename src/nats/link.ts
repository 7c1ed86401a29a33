/**
 * One connection to NATS, as the rest of this folder uses it: it reconnects for ever, tells when it was lost and found,
 * and turns the driver's errors into ours. It must not know streams.
 */
import {
  createInbox,
  type Msg,
  type NatsConnection,
  PermissionViolationError,
  RequestError,
  type Status,
  TimeoutError,
} from '@nats-io/nats-core';
import { connect, type NodeConnectionOptions } from '@nats-io/transport-node';
import type { Clock } from '../base/clock.ts';
import { systemRandom } from '../base/random.ts';
import { abortedBy, createWaiters } from '../base/waiters.ts';
import { withGetters } from '../base/with-getters.ts';
import { messageOf, SluiceError } from '../errors.ts';
import { createReconnectPace } from './reconnect-pace.ts';
import { connectRefusal, permissionRefusal } from './refusals.ts';
import { severStaleSocket } from './wire/stale-socket.ts';
import { probeTls } from './wire/tls-probe.ts';

export interface LinkOptions {
  readonly servers: readonly string[];
  readonly name: string;
  readonly clock: Clock;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  readonly token?: string | undefined;
  /** What the subjects of the JetStream API begin with. Default: $JS.API */
  readonly apiPrefix?: string | undefined;
  /** What the subjects begin with under which answers are received. Default: _INBOX */
  readonly inboxPrefix?: string | undefined;
  /** Anything the driver knows: authenticator, tls … */
  readonly driver?: Partial<NodeConnectionOptions> | undefined;
  readonly pingIntervalMs?: number | undefined;
  readonly connectTimeoutMs?: number | undefined;
}

export interface LinkEvents {
  lost?(reason: string): void;
  found?(server: string): void;
  /** The server does not permit us to publish to a subject. */
  refused?(subject: string): void;
  /** Asynchronous complaints of the server, for instance a permission violation. */
  problem?(message: string): void;
  /** The connection is closed for good. */
  closed?(reason: string): void;
}

export interface Link {
  readonly connection: NatsConnection;
  readonly isConnected: boolean;
  /** Of the server that is or was connected. */
  readonly serverVersion: string;
  /** Its name in the cluster, and the id of its present life: a server that was started anew has another one. */
  readonly serverName: string;
  readonly serverId: string;
  readonly payloadBytesMax: number;
  readonly reconnects: number;
  listen(events: LinkEvents): () => void;
  /** A subject of its own for answers, under the prefix that was given: permissions may allow no other. */
  newInbox(): string;
  /** The subject of a call of the JetStream API: `STREAM.INFO.KV_demo` → `$JS.API.STREAM.INFO.KV_demo`. */
  apiSubject(verb: string): string;
  /** Resolves when connected; rejects with `log-unavailable` after `waitMs`. */
  connected(waitMs: number, signal?: AbortSignal): Promise<void>;
  /** One request, one answer. Rejects with `log-unavailable` when nobody answers in time, with `unsupported` when the server does
   *  not permit it. */
  request(subject: string, data: Uint8Array | string, timeoutMs: number): Promise<Msg>;
  close(): Promise<void>;
}

/** How long the driver may take to part with a connection that it found dead. */
const staleGraceMs = 250;
/** A refusal by TLS arrives at once when it comes. */
const tlsProbeMs = 1_000;

export async function createLink(options: LinkOptions): Promise<Link> {
  const { clock } = options;
  const connection = await dial(options);
  const listeners = new Set<LinkEvents>();
  const waiters = createWaiters(clock);
  /** Requests that wait for an answer. The driver would let them wait on after the connection is gone. */
  const requests = new Set<(why: string) => void>();
  let isConnected = true;
  let reconnects = 0;
  // The driver forgets it while it is disconnected.
  let lastInfo = connection.info;

  const tell = (call: (listener: LinkEvents) => void): void => {
    for (const listener of [...listeners]) call(listener);
  };

  function onStatus(status: Status): void {
    switch (status.type) {
      case 'disconnect':
        if (!isConnected) return;
        isConnected = false;
        for (const fail of [...requests]) fail('the connection was lost');
        tell((listener) => listener.lost?.(`connection to ${status.server} lost`));
        return;
      case 'reconnect':
        // The driver may say it twice, when a first attempt to reconnect broke off half-way.
        if (isConnected) return;
        isConnected = true;
        reconnects += 1;
        waiters.advance(1);
        tell((listener) => listener.found?.(status.server));
        return;
      case 'staleConnection':
        clock.timer(staleGraceMs, () => {
          if (isConnected && !connection.isClosed()) severStaleSocket(connection);
        });
        return;
      case 'error':
        if (status.error instanceof PermissionViolationError && status.error.operation === 'publish') {
          const { subject } = status.error;
          tell((listener) => listener.refused?.(subject));
        }
        tell((listener) => listener.problem?.(status.error.message));
        return;
      default:
    }
  }

  void (async () => {
    for await (const status of connection.status()) onStatus(status);
  })();
  void connection.closed().then((error) => {
    isConnected = false;
    const reason = error === undefined || error === null ? 'closed' : messageOf(error);
    waiters.fail(new SluiceError('log-unavailable', `the connection to NATS is closed: ${reason}`));
    tell((listener) => listener.closed?.(reason));
  });

  function serverInfo(): typeof lastInfo {
    lastInfo = connection.info ?? lastInfo;
    return lastInfo;
  }

  const getters = {
    isConnected: () => isConnected,
    serverVersion: () => serverInfo()?.version ?? '0.0.0',
    serverName: () => serverInfo()?.server_name ?? '',
    serverId: () => serverInfo()?.server_id ?? '',
    payloadBytesMax: () => serverInfo()?.max_payload ?? 1024 * 1024,
    reconnects: () => reconnects,
  };
  return withGetters<Link, keyof typeof getters>(getters, {
    connection,
    newInbox: () => createInbox(options.inboxPrefix),
    apiSubject: (verb) => `${options.apiPrefix ?? '$JS.API'}.${verb}`,
    listen(events) {
      listeners.add(events);
      return () => listeners.delete(events);
    },
    async connected(waitMs, signal) {
      if (isConnected) return;
      if (signal?.aborted) throw abortedBy(signal);
      const lost = (): Error =>
        new SluiceError('log-unavailable', `not connected to NATS (${options.servers.join(', ')})`);
      if (connection.isClosed()) throw lost();
      await waiters.wait(1, { waitMs, signal }, lost);
    },
    request(subject, data, timeoutMs) {
      return new Promise((resolve, reject) => {
        const fail = (why: string, cause?: unknown): void => {
          if (!requests.delete(fail)) return;
          const refusal = permissionRefusal(cause);
          const code = refusal === undefined ? 'log-unavailable' : 'unsupported';
          reject(new SluiceError(code, `${subject}: ${refusal ?? why}`, { cause }));
        };
        requests.add(fail);
        connection.request(subject, data, { timeout: timeoutMs }).then(
          (answer) => {
            if (requests.delete(fail)) resolve(answer);
          },
          (error: unknown) => fail(explain(error, timeoutMs), error),
        );
      });
    },
    async close() {
      if (!connection.isClosed()) await connection.close();
    },
  });
}

function explain(error: unknown, timeoutMs: number): string {
  if (error instanceof TimeoutError) return `no answer within ${timeoutMs} ms`;
  if (error instanceof RequestError && error.isNoResponders()) return 'nobody answers there (no responders)';
  return messageOf(error);
}

async function dial(options: LinkOptions): Promise<NatsConnection> {
  try {
    return await connect({
      servers: [...options.servers],
      name: options.name,
      ...(options.user === undefined ? {} : { user: options.user }),
      ...(options.password === undefined ? {} : { pass: options.password }),
      ...(options.token === undefined ? {} : { token: options.token }),
      ...(options.inboxPrefix === undefined ? {} : { inboxPrefix: options.inboxPrefix }),
      // An Error with a stack for each request halves the throughput.
      noAsyncTraces: true,
      maxReconnectAttempts: -1,
      ...createReconnectPace({ clock: options.clock, random: systemRandom, waitMs: 100, jitterMs: 150 }),
      pingInterval: options.pingIntervalMs ?? 2_000,
      maxPingOut: 2,
      timeout: options.connectTimeoutMs ?? 5_000,
      ...options.driver,
    });
  } catch (error) {
    const cause = (await hiddenCause(options, error)) ?? error;
    throw new SluiceError(
      'log-unavailable',
      `cannot connect to NATS at ${options.servers.join(', ')}: ${connectRefusal(cause)}`,
      { cause },
    );
  }
}

/** What the driver did not tell: why a server did not go on after TLS. */
async function hiddenCause({ driver, servers, clock }: LinkOptions, error: unknown): Promise<Error | undefined> {
  const [server] = servers;
  if (!(error instanceof TimeoutError) || !driver?.tls || server === undefined) return undefined;
  return probeTls(server, driver.tls, clock, tlsProbeMs);
}

/** Compares dotted versions by their numbers; a suffix such as `-beta` is ignored. */
export function isAtLeast(version: string, wanted: string): boolean {
  const numbers = (text: string): number[] => text.split('-')[0]?.split('.').map(Number) ?? [];
  const have = numbers(version);
  for (const [index, need] of numbers(wanted).entries()) {
    const part = have[index] ?? 0;
    if (part !== need) return part > need;
  }
  return true;
}
