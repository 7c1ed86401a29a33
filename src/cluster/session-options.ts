/** From the settings to what a session needs. */
import type { Logger } from 'pino';
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import type { Settings } from '../config/schema.ts';
import type { Credentials } from '../nats/credentials.ts';
import type { SessionOptions } from './session.ts';

export interface SessionTools {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Pick<Logger, 'debug' | 'info' | 'warn'>;
}

export type SessionSettings = Pick<Settings, 'cluster' | 'nats' | 'log'>;

export function sessionOptions(
  settings: SessionSettings,
  credentials: Credentials,
  origin: string,
  tools: SessionTools,
): SessionOptions {
  const { nats, log } = settings;
  return {
    cluster: settings.cluster,
    origin,
    nats: {
      servers: nats.servers,
      user: nats.user ?? undefined,
      password: nats.password ?? undefined,
      token: nats.token ?? undefined,
      apiPrefix: nats.apiPrefix,
      inboxPrefix: nats.inboxPrefix,
      driver: credentials,
      pingIntervalMs: nats.pingIntervalMs,
    },
    connectWaitMs: nats.connectWaitMs,
    controlReplicas: log.replicas,
    storage: log.storage,
    publisher: {
      deadlineMs: log.writeDeadlineMs,
      writesInFlightMax: log.writesInFlightMax,
      bytesInFlightMax: log.bytesInFlightMax,
    },
    follower: { silenceMs: log.silenceMs, floorCheckMs: log.floorCheckMs, horizonMs: log.tombstoneHorizonMs },
    reader: { heartbeatMs: log.heartbeatMs, batch: log.batch },
    clock: tools.clock,
    random: tools.random,
    onNotice: (level, message, facts = {}) => tools.logger[level](facts, message),
  };
}
