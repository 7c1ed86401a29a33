/**
 * One pull consumer: delivers from a position in order, numbers what it delivers, says that it lives, and ends its pulls. It
 * may fall silent for ever, and on a replicated stream it sits on one replica, which may be behind the others.
 */
import type { SeededRandom } from '../../../src/testing/seeded-random.ts';
import { statusMessage, type WireMessage } from '../world/message.ts';
import type { VirtualTime } from '../world/virtual-time.ts';
import type { StreamState } from './stream.ts';

export interface ConsumerRequest {
  readonly opt_start_seq: number;
  readonly inactive_threshold: number;
}

export interface PullRequest {
  readonly batch: number;
  readonly expires: number;
  readonly idle_heartbeat: number;
}

interface Pull {
  readonly reply: string;
  readonly expiresAtMs: number;
  rest: number;
}

export interface Consumer {
  readonly name: string;
  readonly pending: number;
  /** Where it stands: all below was looked at. */
  readonly next: number;
  isSilent: boolean;
  /** The replica on which it sits shows nothing above this position. */
  visibleThrough: number;
  pull(reply: string, request: PullRequest): void;
  /** There may be something to deliver. */
  wake(): void;
  /** It is gone; its pulls are told why, if there is a why. */
  end(status: string | undefined): void;
}

export interface ConsumerOptions {
  readonly name: string;
  readonly request: ConsumerRequest;
  readonly stream: StreamState;
  readonly time: VirtualTime;
  readonly random: SeededRandom;
  readonly wallMs: (atMs: number) => number;
  readonly send: (to: string, message: WireMessage) => void;
  /** Nobody has pulled for too long. */
  readonly onInactive: () => void;
}

const beatMs = 250;
/** Between storing a message and looking for it here; a heartbeat may come in between. */
const wakeMaxMs = 0.4;

export function createConsumer(options: ConsumerOptions): Consumer {
  const { name, request, stream, time, random, send } = options;
  let next = request.opt_start_seq;
  let ordinal = 0;
  let pulls: Pull[] = [];
  let isOver = false;
  let isWaking = false;
  let lastSentMs = time.nowMs;
  let lastPulledMs = time.nowMs;
  let heartbeatMs = Number.POSITIVE_INFINITY;

  function deliver(): void {
    while (!isOver && !consumer.isSilent) {
      const [pull] = pulls;
      if (pull === undefined) return;
      const message = stream.next(next, consumer.visibleThrough);
      if (message === undefined) {
        next = Math.max(next, Math.min(stream.last, consumer.visibleThrough) + 1);
        return;
      }
      next = message.position + 1;
      ordinal += 1;
      pull.rest -= 1;
      if (pull.rest === 0) pulls = pulls.slice(1);
      lastSentMs = time.nowMs;
      const { subject, header, data, position, atMs } = message;
      const reply = `$JS.ACK.${stream.config.name}.${name}.1.${position}.${ordinal}.${Math.floor(atMs)}000000.${consumer.pending}`;
      send(pull.reply, { subject, reply, header, data });
    }
  }

  function beat(): void {
    if (isOver) return;
    const now = time.nowMs;
    if (!consumer.isSilent) {
      for (const pull of pulls.filter(({ expiresAtMs }) => now >= expiresAtMs)) {
        pulls = pulls.filter((other) => other !== pull);
        send(pull.reply, statusMessage(pull.reply, '408 Request Timeout', `Nats-Pending-Messages: ${pull.rest}\r\n`));
      }
      if (now - lastSentMs >= heartbeatMs) {
        lastSentMs = now;
        const fields = `Nats-Last-Consumer: ${ordinal}\r\nNats-Last-Stream: ${next - 1}\r\n`;
        for (const pull of pulls) send(pull.reply, statusMessage(pull.reply, '100 Idle Heartbeat', fields));
      }
    }
    if (pulls.length === 0 && now - lastPulledMs >= request.inactive_threshold / 1e6) options.onInactive();
    else time.after(beatMs, beat);
  }
  time.after(beatMs * random.fraction(), beat);

  const consumer: Consumer = {
    name,
    isSilent: false,
    visibleThrough: Number.POSITIVE_INFINITY,
    get pending() {
      return stream.countFrom(next, consumer.visibleThrough);
    },
    get next() {
      return next;
    },
    pull(reply, { batch, expires, idle_heartbeat }) {
      lastPulledMs = time.nowMs;
      heartbeatMs = idle_heartbeat / 1e6;
      pulls.push({ reply, rest: batch, expiresAtMs: time.nowMs + expires / 1e6 });
      consumer.wake();
    },
    wake() {
      if (isWaking || isOver) return;
      isWaking = true;
      time.after(random.fraction() * wakeMaxMs, () => {
        isWaking = false;
        deliver();
      });
    },
    end(status) {
      if (isOver) return;
      isOver = true;
      if (status !== undefined && !consumer.isSilent)
        for (const { reply } of pulls) send(reply, statusMessage(reply, status));
    },
  };
  return consumer;
}
