/**
 * When the driver may dial again. It notes the wall clock at each attempt and waits until that has moved on; a clock that is set
 * back by an hour would keep it from dialling for an hour. So what the clock went back since a server was dialled is taken off.
 */
import type { NodeConnectionOptions } from '@nats-io/transport-node';
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';

export interface ReconnectPaceOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Least time between two attempts at one server, and up to so much more by chance. */
  readonly waitMs: number;
  readonly jitterMs: number;
}

export function createReconnectPace({
  clock,
  random,
  waitMs,
  jitterMs,
}: ReconnectPaceOptions): Required<Pick<NodeConnectionOptions, 'reconnectDelayHandler' | 'reconnectToServer'>> {
  /** By server: how far the wall clock was ahead of the monotonic one when it was last dialled. */
  let dialled = new Map<string, number>();
  const wallAheadMs = (): number => clock.now() - clock.monotonic();

  return {
    reconnectDelayHandler() {
      const wentBackMs = Math.max(0, ...[...dialled.values()].map((ahead) => ahead - wallAheadMs()));
      return waitMs + random.fraction() * jitterMs - wentBackMs;
    },
    reconnectToServer(servers) {
      const [next] = servers;
      const known = new Set(servers.map(({ listen }) => listen));
      dialled = new Map([...dialled].filter(([listen]) => known.has(listen)));
      if (next !== undefined) dialled.set(next.listen, wallAheadMs());
      // The driver's own choice.
      return null;
    },
  };
}
