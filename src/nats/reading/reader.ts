/**
 * One reader: an ephemeral pull consumer without filter, by start sequence, that keeps large pulls outstanding.
 *
 * It does not repair anything. Whatever is odd (a gap in the consumer's own count, a deleted consumer, a lost
 * connection) ends it, and the follower makes another.
 *
 * What a heartbeat proves: the server sends it with the last sequence that the consumer has looked at, so all up to there
 * was delivered or is gone. Between two heartbeats of a pull the server looks for messages at least once, so the n-th also
 * proves that all that was stored before the (n - 1)-th was delivered; that one was sent no earlier than n - 1 intervals
 * after the pull. (The n-th itself can overtake a message that was stored just before it.) Times are counted from our own
 * sending, so what a stalled network delivers late proves nothing new.
 */
import type { Msg } from '@nats-io/nats-core';
import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import { messageOf, SluiceError } from '../../errors.ts';
import { headerText, readField } from '../../events/header.ts';
import type { LogRecord, Position } from '../../events/record.ts';
import type { LogReader, ReaderEvents } from '../../log/log.ts';
import { isAtLeast, type Link } from '../link.ts';
import { callApi, firstMessageFrom } from '../stream-api.ts';
import { type Delivery, parseAckSubject } from '../wire/ack-subject.ts';
import { rawHeader, rawRecord, rawReply, rawStatus } from '../wire/raw-message.ts';
import type { ConsumerCleanup } from './consumer-cleanup.ts';
import { createSkipGuard } from './skip-guard.ts';

export interface ReaderLimits {
  /** Messages per pull. */
  readonly batch: number;
  /** Bytes per pull: what the server may queue for us must stay far below its limit for slow consumers (64 MiB). */
  readonly batchBytes: number;
  readonly heartbeatMs: number;
  readonly pullMs: number;
  /** Time-out of creating and deleting a consumer. */
  readonly requestMs: number;
  /** The server removes a consumer that nobody pulls from after this time: the backstop for a process that died. */
  readonly inactiveMs: number;
}

export const defaultReaderLimits: ReaderLimits = {
  batch: 10_000,
  batchBytes: 16 * 1024 * 1024,
  heartbeatMs: 500,
  pullMs: 10_000,
  requestMs: 1_000,
  inactiveMs: 30_000,
};

interface Pull {
  readonly sentAtMs: number;
  heartbeats: number;
}

const heartbeatCode = 100;
/** Wait before a pull that came too early for its consumer is repeated. */
const earlyPullMs = 25;
/** How long the deletion of earlier consumers may delay a new one, where it may fail because their server is dead. */
const flushMs = 250;

const nanoseconds = (ms: number): number => Math.round(ms * 1e6);

interface ConsumerCreated {
  readonly name: string;
  readonly num_pending: number;
  readonly delivered?: { readonly stream_seq: number };
}

export interface ReaderOptions {
  readonly link: Link;
  readonly clock: Clock;
  readonly random: Random;
  readonly stream: string;
  readonly limits: ReaderLimits;
  readonly cleanup: ConsumerCleanup;
  /** The consumer may sit on any replica, and how far that one is behind the leader is not to be seen from it. */
  readonly isReplicated: boolean;
  /** The server is to send headers alone. */
  readonly withoutData: boolean;
}

export async function openReader(options: ReaderOptions, from: Position, events: ReaderEvents): Promise<LogReader> {
  const { link, clock, stream, limits, cleanup, isReplicated } = options;
  // Invariant: the consumers of earlier readers are gone, or on their way, before there is another.
  await cleanup.flush(isReplicated ? flushMs : limits.requestMs);
  if (!isReplicated && cleanup.unanswered > 0) {
    throw new SluiceError('log-unavailable', `${stream}: the server has not confirmed that the last consumer is gone`);
  }
  const createdAtMs = clock.monotonic();
  const consumer = await createConsumer(options, from);

  const inbox = link.newInbox();
  const delivery: Delivery = { position: 0, ordinal: 0, atMs: 0, pending: 0 };
  const pulls = new Map<string, Pull>();
  let pullCount = 0;
  let wanted = 0;
  let lastOrdinal = 0;
  let lastPosition = consumer.delivered?.stream_seq ?? 0;
  let pending = consumer.num_pending;
  let hasAnswered = false;
  let isOver = false;
  let closing: Promise<void> | undefined;

  const subscription = link.connection.subscribe(`${inbox}.*`, {
    callback(error, message) {
      try {
        if (error === null) onMessage(message);
        else end(error.message);
      } catch (failure) {
        // The driver stops reading the connection for good when a callback throws.
        end(`a message could not be handled: ${messageOf(failure)}`);
      }
    },
  });
  const stopListening = link.listen({ lost: end, closed: end });
  const guard = isAtLeast(link.serverVersion, '2.9.12')
    ? undefined
    : createSkipGuard({
        from,
        firstFrom: async (position) => (await firstMessageFrom(link, stream, position, limits.requestMs))?.position,
        end,
      });

  function end(reason: string): void {
    if (isOver) return;
    isOver = true;
    events.ended(reason);
  }

  function pull(): void {
    // The server serves waiting pulls in turn, so only their sum is known; a pull is remembered for its heartbeats alone.
    const expiredMs = clock.monotonic() - limits.pullMs - limits.requestMs;
    for (const [name, old] of pulls) if (old.sentAtMs < expiredMs) pulls.delete(name);
    pullCount += 1;
    const reply = `${inbox}.${pullCount}`;
    pulls.set(reply, { sentAtMs: clock.monotonic(), heartbeats: 0 });
    wanted += limits.batch;
    const body = JSON.stringify({
      batch: limits.batch,
      // Never so little that a single message could not pass.
      max_bytes: Math.max(limits.batchBytes, 2 * link.payloadBytesMax),
      expires: nanoseconds(limits.pullMs),
      idle_heartbeat: nanoseconds(limits.heartbeatMs),
    });
    link.connection.publish(link.apiSubject(`CONSUMER.MSG.NEXT.${stream}.${consumer.name}`), body, { reply });
  }

  /** Two pulls are outstanding while messages wait, so the server never waits for us; one is enough to be told of new ones. */
  function refill(): void {
    while (!isOver && (wanted <= limits.batch / 2 || (pending > 0 && wanted <= limits.batch))) pull();
  }

  function onMessage(message: Msg): void {
    if (isOver) return;
    const reply = rawReply(message);
    if (reply !== undefined && parseAckSubject(reply, delivery)) {
      onRecord(message);
      return;
    }
    const header = rawHeader(message);
    const status = header === undefined ? undefined : rawStatus(header);
    if (header === undefined || status === undefined) end('a message that is neither a record nor a status');
    else if (status.code === heartbeatCode) onHeartbeat(pulls.get(message.subject), header);
    else onPullEnd(message, status);
  }

  function onRecord(message: Msg): void {
    const { position, atMs } = delivery;
    if (delivery.ordinal !== lastOrdinal + 1) {
      end(`message ${lastOrdinal + 1} of the consumer was lost`);
      return;
    }
    hasAnswered = true;
    lastOrdinal = delivery.ordinal;
    lastPosition = position;
    pending = delivery.pending;
    const record = rawRecord(message, position, atMs);
    if (guard === undefined) {
      tell(record, pending);
      return;
    }
    const behind = pending;
    // What may have to wait must not stay in the receive buffer.
    const kept = record.copy();
    guard.inOrder(position, () => tell(kept, behind));
  }

  function tell(record: LogRecord, behind: number): void {
    if (isOver) return;
    wanted -= 1;
    // An old server starts at the head when `from` is above it.
    if (record.position < from) events.alive();
    else events.record(record, behind);
    if (wanted <= limits.batch) refill();
  }

  function provenBy({ sentAtMs, heartbeats }: Pull): number {
    return isReplicated ? Number.NEGATIVE_INFINITY : sentAtMs + (heartbeats - 1) * limits.heartbeatMs;
  }

  function onHeartbeat(request: Pull | undefined, header: Uint8Array): void {
    hasAnswered = true;
    if (request !== undefined) request.heartbeats += 1;
    const through = Number(readField(headerText(header), 'Nats-Last-Stream') ?? 0);
    // What was waiting behind the last message was removed before it could be delivered.
    if (through > lastPosition) pending = 0;
    if (pending > 0) {
      events.alive();
      return;
    }
    const provenAtMs = request === undefined ? Number.NEGATIVE_INFINITY : provenBy(request);
    // A consumer that starts above the head looks back at nothing.
    const idle = (): void => void (isOver || events.idle(provenAtMs, through >= from ? through : 0));
    if (guard === undefined) idle();
    else guard.through(through, idle);
  }

  /** A pull ends with a status when it expired, was served whole (2.14) or used up its bytes; what it did not deliver is its rest. */
  function onPullEnd(message: Msg, status: { readonly code: number; readonly text: string }): void {
    events.alive();
    const isServed = /batch completed/i.test(status.text);
    const isOrdinary = isServed || status.code === 404 || status.code === 408 || /exceeds? maxbytes/i.test(status.text);
    // Between servers, the news of the consumer can arrive after the news that it was made.
    const isEarly = status.code === 503 && !hasAnswered && clock.monotonic() - createdAtMs < limits.requestMs;
    if (!isOrdinary && !isEarly) {
      end(`${status.code} ${status.text}`);
      return;
    }
    if (pulls.delete(message.subject)) {
      const rest = isServed ? 0 : Number(message.headers?.get('Nats-Pending-Messages') || limits.batch);
      wanted = pulls.size === 0 ? 0 : Math.max(0, wanted - rest);
    }
    if (isEarly) clock.timer(earlyPullMs, refill);
    else refill();
  }

  refill();
  if (pending === 0 && !isReplicated) queueMicrotask(() => isOver || events.idle(createdAtMs, 0));

  return {
    close() {
      closing ??= (async () => {
        isOver = true;
        stopListening();
        if (!link.connection.isClosed()) subscription.unsubscribe();
        await cleanup.remove(consumer.name, limits.requestMs);
      })();
      return closing;
    },
  };
}

async function createConsumer(
  { link, random, stream, limits, cleanup, withoutData }: ReaderOptions,
  from: Position,
): Promise<ConsumerCreated> {
  // The server repeats the name in the reply subject of each message, so it is as short as chance allows.
  const name = cleanup.reclaim() ?? Number.parseInt(random.hex(6), 16).toString(36);
  const request = {
    stream_name: stream,
    config: {
      name,
      description: 'sluice: follows the log',
      deliver_policy: 'by_start_sequence',
      opt_start_seq: Math.max(1, from),
      ack_policy: 'none',
      mem_storage: true,
      num_replicas: 1,
      inactive_threshold: nanoseconds(limits.inactiveMs),
      max_waiting: 512,
      replay_policy: 'instant',
      ...(withoutData ? { headers_only: true } : {}),
    },
  };
  try {
    return await callApi<ConsumerCreated>(link, `CONSUMER.CREATE.${stream}.${name}`, request, limits.requestMs);
  } catch (error) {
    // No answer is not "no consumer"; a refusal may mean that there is one of this name, made by a request that came late.
    cleanup.removeUncertain(name);
    throw error;
  }
}
