/**
 * The controller as a process runs it: a session without copies, the audits, and a door for their metrics. Several may run, each
 * audits by itself; none is needed for the cluster to work.
 */
import type { Logger } from 'pino';
import type { Clock } from '../base/clock.ts';
import { createPartList, type Lifecycle } from '../base/lifecycle.ts';
import type { Random } from '../base/random.ts';
import { openLogRegistry } from '../cluster/log-registry.ts';
import { createSession } from '../cluster/session.ts';
import { sessionOptions } from '../cluster/session-options.ts';
import type { Settings } from '../config/schema.ts';
import { SluiceError } from '../errors.ts';
import { loadCredentials } from '../nats/credentials.ts';
import { createMessenger } from '../nats/messenger.ts';
import { createAuditRounds } from './audit-rounds.ts';
import { createControllerDoor } from './door.ts';
import { createControllerMetrics } from './metrics.ts';

export interface ControllerOptions {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Something happened after which this process must stop; called once. */
  readonly onFatal: (error: SluiceError) => void;
}

export interface Controller extends Lifecycle {
  /** Origin of its writes in the log. */
  readonly name: string;
  /** Base address of its door, once started. */
  readonly address: string;
}

/** How long a copy may take to reach the position of an audit. */
const auditWaitMs = 5_000;

/** Rejects with `log-unavailable` when no server answers in time. */
export async function createController(options: ControllerOptions): Promise<Controller> {
  const { settings, clock, random, logger } = options;
  const name = `controller-${random.hex(4)}`;
  const credentials = loadCredentials(settings.nats, clock.now());
  const session = await createSession(sessionOptions(settings, credentials, name, { clock, random, logger }));
  const { link } = session;
  const registry = openLogRegistry(session, settings);
  const messenger = createMessenger(link, settings.cluster, (what) => logger.warn(what));
  const metrics = createControllerMetrics({ cluster: settings.cluster, isConnected: () => link.isConnected });
  const rounds = createAuditRounds({
    session,
    registry,
    messenger,
    clock,
    random,
    logger,
    settings: settings.audit,
    waitMs: auditWaitMs,
    events: metrics,
  });
  const door = createControllerDoor({
    settings,
    clock,
    name,
    unready() {
      if (!link.isConnected) return 'not connected to NATS';
      return session.control.follower.isReady ? undefined : 'replaying the control log';
    },
    metrics: () => metrics.text(),
  });

  let isEnding = false;
  const list = createPartList(
    [
      {
        name: 'session',
        start: async () => undefined,
        stop() {
          isEnding = true;
          return session.stop();
        },
      },
      { name: 'caches', start: async () => undefined, stop: () => registry.stop() },
      { name: 'http', start: () => door.start(), stop: () => door.stop() },
      { name: 'audits', start: () => rounds.start(), stop: () => rounds.stop() },
    ],
    (part, error) => logger.error({ err: error, part }, `stopping ${part} failed`),
  );
  link.listen({
    closed(reason) {
      if (!isEnding)
        options.onFatal(new SluiceError('log-unavailable', `the connection to NATS was closed: ${reason}`));
    },
  });

  return {
    name,
    get address() {
      return `http://${door.address}`;
    },
    start: () => list.start(),
    stop: () => list.stop(),
  };
}
