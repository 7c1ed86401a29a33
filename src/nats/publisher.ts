/**
 * The publisher: one per connection. It pipelines writes over its own reply inbox and matches acknowledgements to
 * promises, within a bounded window; what has no place in the window waits in its stream's lane, within bounds too.
 *
 * Invariants: a write settles exactly once. A retry carries the same `Nats-Msg-Id` and is never sent later than the stream
 * remembers ids. What may have been stored without our knowing is reported as `outcome-unknown`, never as failure. Writes
 * of one subject that are under way together may be stored in either order: await the first to be sure.
 */
import type { Msg } from '@nats-io/nats-core';
import { type Clock, every, pause, type Timer } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { abortedBy } from '../base/waiters.ts';
import { withGetters } from '../base/with-getters.ts';
import { messageOf, SluiceError } from '../errors.ts';
import type { LogWrite } from '../events/record.ts';
import type { Appended, AppendOptions } from '../log/log.ts';
import type { Link } from './link.ts';
import { createOutbox } from './wire/outbox.ts';
import { rawNumber } from './wire/raw-message.ts';
import { commandBytesMax, createCommandFrame } from './wire/ready-command.ts';
import { type PublishAnswer, readPublishAnswer } from './writing/answer.ts';
import {
  clearRisk,
  conflictOf,
  endOf,
  findOutcome,
  gaveUp,
  markRisk,
  mayBeStored,
  outcomeBySurvey,
  PendingWrite,
  type PublishTarget,
  partsOf,
  unknownOutcome,
} from './writing/pending-write.ts';
import type { Survey } from './writing/survey.ts';
import { createWriteWindow, type WindowLimits } from './writing/window.ts';

/** `waitingMax`, `bytesWaitingMax`: of writes that wait for a place in the window; above it a write is refused at once. */
export interface PublisherLimits extends WindowLimits {
  readonly deadlineMs: number;
  /** An attempt without an answer is repeated after this time, once the connection has shown that it is alive. */
  readonly attemptMs: number;
  /** Wait before a stream that takes no writes is tried again; half of it at least. */
  readonly retryMs: number;
}

export const defaultPublisherLimits: PublisherLimits = {
  writesInFlightMax: 4_096,
  bytesInFlightMax: 64 * 1024 * 1024,
  waitingMax: 1_000_000,
  bytesWaitingMax: 256 * 1024 * 1024,
  deadlineMs: 10_000,
  attemptMs: 2_000,
  retryMs: 200,
};

export interface Publisher {
  publish(write: LogWrite, options: AppendOptions, target: PublishTarget): Promise<Appended>;
  /** Writes on the wire: sent and not answered yet. */
  readonly inFlight: number;
  readonly bytesInFlight: number;
  /** Writes that wait for a place in the window, or for a stream that takes none at present. */
  readonly waiting: number;
  readonly counters: {
    readonly acknowledged: number;
    readonly retried: number;
    readonly unknown: number;
    readonly failed: number;
  };
  /** Called with the latency of each acknowledged write, in ms. */
  onAcknowledged: ((latencyMs: number) => void) | undefined;
  /** Fails what is under way; further writes are refused. */
  close(): void;
}

type Settle = Pick<PendingWrite, 'resolve' | 'reject'>;

const sweepMs = 100;

export function createPublisher(
  link: Link,
  clock: Clock,
  random: Random,
  limits: PublisherLimits = defaultPublisherLimits,
): Publisher {
  const replyPrefix = `${link.newInbox()}.`;
  const idPrefix = `${random.hex(8)}.`;
  const counters = { acknowledged: 0, retried: 0, unknown: 0, failed: 0 };
  const frame = createCommandFrame(replyPrefix);
  const outbox = createOutbox(link.connection);
  const window = createWriteWindow({ limits, clock, isConnected: () => link.isConnected, transmit });
  let nextSerial = 1;
  /** Answers have come for attempts up to this token, so the server has seen all that were sent before. */
  let heardToken = 0;
  /** The server has answered a ping of this moment, so it has seen all that was sent before. */
  let heardAtMs = Number.NEGATIVE_INFINITY;
  let isPinging = false;
  let isClosed = false;
  /** The servers that were connected, by name: a server that was started anew has another id. */
  const serverIds = new Map([[link.serverName, link.serverId]]);
  let { serverId } = link;

  const subscription = link.connection.subscribe(`${replyPrefix}*`, {
    callback(error, message) {
      try {
        if (error === null) onMessage(message);
      } catch (failure) {
        // The driver would stop reading the connection for good. This is a defect, and ends where defects end.
        queueMicrotask(() => {
          throw failure;
        });
      }
    },
  });
  const stopListening = link.listen({
    lost() {
      // What was on the wire may or may not have arrived; it is sent again, with its id, on the next connection.
      for (const pending of window.sent()) {
        markRisk(pending);
        window.putBack(pending, 'the connection was lost');
      }
    },
    found() {
      window.unblockAll();
      lookForForgotten();
      window.drain();
    },
    refused(subject) {
      for (const pending of window.sent()) if (pending.subject === subject) settle(pending, forbidden(subject));
      window.drain();
    },
    closed: () => close(),
  });
  const sweeper: Timer = every(clock, Math.min(sweepMs, limits.attemptMs / 4), sweep);

  function transmit(pending: PendingWrite): void {
    if (pending.attempts > 1) counters.retried += 1;
    try {
      // Once only: while the socket takes nothing, the bytes of the first attempt may still lie in front of it.
      if (pending.attempts === 1 && outbox.send(pending, pending.token)) return;
      link.connection.publish(pending.subject, pending.data, {
        reply: replyPrefix + pending.token,
        // The driver only ever calls `encode` on it.
        headers: pending as never,
      });
    } catch (error) {
      pending.reason = messageOf(error);
      settle(pending, gaveUp(pending, clock.monotonic(), ''));
    }
  }

  function settle(pending: PendingWrite, outcome: Appended | SluiceError): void {
    if (!window.remove(pending)) return;
    pending.stopListening?.();
    if (outcome instanceof SluiceError) {
      if (outcome.code === 'outcome-unknown') counters.unknown += 1;
      else counters.failed += 1;
      pending.reject(outcome);
    } else {
      counters.acknowledged += 1;
      pending.resolve(outcome);
      publisher.onAcknowledged?.(clock.monotonic() - pending.startedAtMs);
    }
  }

  function onMessage(message: Msg): void {
    const token = rawNumber(message, replyPrefix.length);
    const pending = window.find(token);
    if (pending === undefined) return;
    heardToken = Math.max(heardToken, token);
    onAnswer(pending, readPublishAnswer(message));
    window.drain();
  }

  function onAnswer(pending: PendingWrite, answer: PublishAnswer): void {
    // A conflict with a write in flight, after an attempt without answer: that attempt may be the very one.
    const isOwnEcho = answer.kind === 'conflict' && answer.isPassing && mayBeStored(pending);
    if (answer.kind === 'again' || isOwnEcho) {
      if (answer.kind === 'again' && answer.mayBeStored) markRisk(pending);
      window.block(pending.lane, limits.retryMs * (0.5 + random.fraction() / 2));
      window.putBack(pending, answer.reason);
      return;
    }
    window.unblock(pending.lane);
    if (answer.kind === 'stored') {
      if (!answer.isDuplicate) pending.lane.head = answer.position;
      settle(pending, { position: answer.position, isDuplicate: answer.isDuplicate });
    } else if (mayBeStored(pending) || (answer.kind === 'conflict' && pending.isNamed)) {
      // An earlier attempt, or an earlier call with this id, may have been stored, and then it is this very write that
      // stands in the way: servers look at positions and limits before they look for the id.
      window.check(pending);
      void findOutcome(pending, answer.reason).then((outcome) => {
        settle(pending, outcome);
        window.drain();
      });
    } else if (answer.kind === 'conflict') {
      settle(pending, conflictOf(pending, answer.reason));
    } else {
      settle(pending, new SluiceError(answer.code, `${pending.subject}: ${answer.reason}`));
    }
  }

  /**
   * What was sent to a server that has been started anew may be stored under an id that nobody knows any more. A stream on one server
   * may have been on the one that is gone; of others the servers that were not restarted remember.
   */
  function lookForForgotten(): void {
    const before = serverIds.get(link.serverName);
    const isOther = link.serverId !== serverId;
    const isRestarted = before !== undefined && before !== link.serverId;
    serverIds.set(link.serverName, link.serverId);
    serverId = link.serverId;
    const doubtful = window.checkAll(
      (pending) =>
        mayBeStored(pending) && pending.target.forgetsIds && (pending.target.isReplicated ? isRestarted : isOther),
    );
    const byLane = new Map<string, PendingWrite[]>();
    for (const pending of doubtful) {
      const ofLane = byLane.get(pending.lane.name) ?? [];
      byLane.set(pending.lane.name, ofLane);
      ofLane.push(pending);
    }
    for (const ofLane of byLane.values()) void settleDoubtful(ofLane);
  }

  /** Looks for writes of one stream until it is known of each whether it was stored, must be sent again, or cannot be told. */
  async function settleDoubtful(doubtful: readonly PendingWrite[]): Promise<void> {
    for (;;) {
      const open = doubtful.filter(({ place }) => place === 'checking');
      const [first] = open;
      if (first === undefined) return;
      const above = open.reduce((least, pending) => Math.min(least, pending.above), Number.POSITIVE_INFINITY);
      const survey = await first.target.survey(above).catch((error: unknown) => messageOf(error));
      if (typeof survey !== 'string') {
        for (const pending of open) if (pending.place === 'checking') settleBySurvey(pending, survey);
        window.drain();
        return;
      }
      for (const pending of open) pending.reason = survey;
      await pause(clock, limits.retryMs);
      const now = clock.monotonic();
      for (const pending of open) if (now >= endOf(pending)) settle(pending, gaveUp(pending, now, ''));
      window.drain();
    }
  }

  function settleBySurvey(pending: PendingWrite, survey: Survey): void {
    const outcome = outcomeBySurvey(pending, survey);
    if (outcome !== undefined) {
      settle(pending, outcome);
    } else {
      clearRisk(pending);
      window.putBack(pending, 'the server was started anew');
    }
  }

  function sweep(): void {
    const now = clock.monotonic();
    for (const pending of window.sent()) {
      if (now - pending.sentAtMs < limits.attemptMs && now < pending.endsAtMs) continue;
      markRisk(pending);
      if (now >= endOf(pending)) settle(pending, gaveUp(pending, now, 'no acknowledgement arrived'));
      // On a connection that stands still a second copy would only lie behind the first.
      else if (pending.token < heardToken || pending.sentAtMs < heardAtMs)
        window.putBack(pending, 'no acknowledgement arrived');
      else ping();
    }
    const otherwise = link.isConnected ? 'no room in the window' : 'not connected to NATS';
    for (const pending of window.sweep(now)) settle(pending, gaveUp(pending, now, otherwise));
    window.drain();
  }

  function ping(): void {
    if (isPinging || !link.isConnected) return;
    isPinging = true;
    const askedAtMs = clock.monotonic();
    link.connection.flush().then(
      () => {
        heardAtMs = askedAtMs;
        isPinging = false;
      },
      () => {
        isPinging = false;
      },
    );
  }

  function close(): void {
    if (isClosed) return;
    isClosed = true;
    sweeper.cancel();
    stopListening();
    if (!link.connection.isClosed()) subscription.unsubscribe();
    for (const pending of window.sent()) markRisk(pending);
    for (const pending of window.all())
      settle(pending, gaveUp(pending, clock.monotonic(), 'the connection was closed'));
  }

  function admit(write: LogWrite, options: AppendOptions, target: PublishTarget, settle: Settle): void {
    const serial = nextSerial;
    nextSerial += 1;
    const { id = idPrefix + serial.toString(36), expected } = options;
    const parts = partsOf(write, id, expected);
    const bytes = frame.headerBytes + parts.textBytes + parts.body.length;
    if (bytes > link.payloadBytesMax) {
      throw new SluiceError(
        'too-large',
        `${write.subject}: ${bytes} bytes with headers; the server takes at most ${link.payloadBytesMax}`,
      );
    }
    const ticket = {
      frame,
      serial,
      expected,
      isNamed: options.id !== undefined,
      target,
      lane: window.laneOf(target.stream, target.head),
      startedAtMs: clock.monotonic(),
      deadlineMs: options.deadlineMs ?? limits.deadlineMs,
      resolve: settle.resolve,
      reject: settle.reject,
    };
    const pending = new PendingWrite(ticket, parts, outbox.chunkFor(commandBytesMax(frame, parts)));
    window.accept(pending);
    if (options.signal !== undefined) abandonOnAbort(pending, options.signal);
  }

  function abandonOnAbort(pending: PendingWrite, signal: AbortSignal): void {
    const onAbort = (): void => {
      if (pending.place === 'sent') markRisk(pending);
      settle(pending, mayBeStored(pending) ? unknownOutcome(pending, 'the caller gave up') : abortedBy(signal));
      window.drain();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    pending.stopListening = () => signal.removeEventListener('abort', onAbort);
  }

  const getters = {
    inFlight: () => window.inFlight.writes,
    bytesInFlight: () => window.inFlight.bytes,
    waiting: () => window.waiting.writes,
  };
  const publisher: Publisher = withGetters<Publisher, keyof typeof getters>(getters, {
    onAcknowledged: undefined,
    counters,
    close,
    publish(write, options, target) {
      // Invariant: nothing is awaited before this, so writes are sent in the order of the calls.
      return new Promise<Appended>((resolve, reject) => {
        if (isClosed) throw new SluiceError('closed', 'the publisher is closed');
        if (options.signal?.aborted) throw abortedBy(options.signal);
        admit(write, options, target, { resolve, reject });
      });
    },
  });
  return publisher;
}

const forbidden = (subject: string): SluiceError =>
  new SluiceError('unsupported', `${subject}: the server does not permit this connection to write it`);
