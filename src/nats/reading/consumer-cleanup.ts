/**
 * Consumers of ours that must go: those of readers that ended, and those whose creation was not answered and may have
 * happened all the same.
 *
 * A consumer costs its server memory and work, and reconnect storms have left hundreds behind elsewhere. So each is known by
 * a name of our choosing and deleted until the server confirms it; the server's own limit of inactivity is the backstop
 * for a process that dies.
 */
import { type Clock, every, pause, type Timer } from '../../base/clock.ts';
import type { Link } from '../link.ts';
import { callApi, JetStreamError } from '../stream-api.ts';

export interface ConsumerCleanup {
  /** Deletes a consumer now or as soon as possible; resolves when it is gone, or after `waitMs`. Never rejects. */
  remove(consumer: string, waitMs: number): Promise<void>;
  /** Deletes a consumer whose creation was not answered: it may come into being after it was not found. */
  removeUncertain(consumer: string): void;
  /** Tries once more what is left; resolves when all are gone, or after `waitMs`. Never rejects. */
  flush(waitMs: number): Promise<void>;
  /**
   * Hands over the name of a consumer that was not found but may still come into being, because its creation was never answered.
   * Who creates a consumer of that very name now can be sure that there will not be two.
   */
  reclaim(): string | undefined;
  /** Consumers whose deletion the server has not answered. */
  readonly unanswered: number;
}

export interface ConsumerCleanupOptions {
  readonly link: Link;
  readonly clock: Clock;
  readonly stream: string;
  readonly requestMs: number;
  /** After this time the server has removed it by itself. */
  readonly forgetMs: number;
}

interface Doomed {
  readonly uncertainUntilMs: number;
  readonly forgetAtMs: number;
  /** The server has said that there is none at present. */
  isAbsent: boolean;
}

export function createConsumerCleanup(options: ConsumerCleanupOptions): ConsumerCleanup {
  const { link, clock, stream, requestMs } = options;
  const doomed = new Map<string, Doomed>();
  const underWay = new Map<string, Promise<void>>();
  let retries: Timer | undefined;

  function tryOnce(consumer: string): Promise<void> {
    let attempt = underWay.get(consumer);
    if (attempt === undefined) {
      attempt = deleteConsumer(link, stream, consumer, requestMs)
        .then(
          (wasThere) => {
            const one = doomed.get(consumer);
            if (one === undefined) return;
            one.isAbsent = true;
            if (wasThere || clock.monotonic() >= one.uncertainUntilMs) doomed.delete(consumer);
          },
          () => undefined,
        )
        .finally(() => underWay.delete(consumer));
      underWay.set(consumer, attempt);
    }
    return attempt;
  }

  function doom(consumer: string, uncertainMs: number): void {
    const now = clock.monotonic();
    doomed.set(consumer, { uncertainUntilMs: now + uncertainMs, forgetAtMs: now + options.forgetMs, isAbsent: false });
    retries ??= every(clock, requestMs, sweep);
  }

  function sweep(): void {
    const now = clock.monotonic();
    for (const [consumer, { forgetAtMs }] of doomed) {
      if (now >= forgetAtMs || link.connection.isClosed()) doomed.delete(consumer);
      else if (link.isConnected) void tryOnce(consumer);
    }
    if (doomed.size > 0) return;
    retries?.cancel();
    retries = undefined;
  }

  return {
    get unanswered() {
      return [...doomed.values()].filter((one) => !one.isAbsent).length;
    },
    reclaim() {
      for (const [consumer, { isAbsent }] of doomed) {
        // A deletion that is under way would hit the new one.
        if (!isAbsent || underWay.has(consumer)) continue;
        doomed.delete(consumer);
        return consumer;
      }
      return undefined;
    },
    async remove(consumer, waitMs) {
      doom(consumer, 0);
      if (link.isConnected) await Promise.race([tryOnce(consumer), pause(clock, waitMs)]);
    },
    removeUncertain(consumer) {
      doom(consumer, 2 * requestMs);
      if (link.isConnected) void tryOnce(consumer);
    },
    async flush(waitMs) {
      if (doomed.size === 0) return;
      await Promise.race([Promise.all([...doomed.keys()].map(tryOnce)), pause(clock, waitMs)]);
    },
  };
}

/** True when it was there; rejects when the server did not answer. */
async function deleteConsumer(link: Link, stream: string, consumer: string, timeoutMs: number): Promise<boolean> {
  try {
    await callApi(link, `CONSUMER.DELETE.${stream}.${consumer}`, undefined, timeoutMs);
    return true;
  } catch (error) {
    // Gone already, with or without its stream, is what was wanted.
    if (!(error instanceof JetStreamError && error.code === 404)) throw error;
    return false;
  }
}
