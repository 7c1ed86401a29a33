/**
 * The simulated JetStream: streams, consumers and their API as Sluice uses it, with the vices of the real one. Faults are
 * switched on from outside; without them it is what the documentation promises.
 */
import type { SeededRandom } from '../../../src/testing/seeded-random.ts';
import type { Broker } from '../world/broker.ts';
import { noResponders, textMessage, type WireMessage } from '../world/message.ts';
import { epochMs } from '../world/process-clock.ts';
import type { VirtualTime } from '../world/virtual-time.ts';
import { answerApi } from './api.ts';
import { type Consumer, type ConsumerRequest, createConsumer } from './consumer.ts';
import { createIngest, type WriteFaults } from './ingest.ts';
import { createStreamState, type Stored, type StreamConfig, type StreamState, type StreamWitness } from './stream.ts';

/** What kind of server it is. */
export interface Personality {
  readonly version: string;
  readonly looksForIdFirst: boolean;
  readonly comparesWeakly: boolean;
  /** Removes messages by `Nats-TTL`, and says so in the configuration that it returns. */
  readonly honoursTtl: boolean;
  /** A consumer that is to start above the head starts at the head, and repeats. */
  readonly startsAtHead: boolean;
}

export interface StreamHost {
  readonly state: StreamState;
  readonly faults: WriteFaults;
  readonly consumers: ReadonlyMap<string, Consumer>;
  ingest(message: WireMessage): void;
  addConsumer(name: string, request: ConsumerRequest): Consumer;
  removeConsumer(name: string, status: string | undefined): boolean;
  /** The state that a leader who does not know that it was deposed would tell of; undefined: all is well. */
  deposed: { readonly untilMs: number; readonly view: StreamView } | undefined;
  /** When the history was last given up while a silent consumer could not tell of it. */
  untoldResetMs: number;
  /** All consumers that exist now fall silent. */
  silence(): void;
  /** Consumers on this replica see nothing new until then. */
  freezeReplica(replica: number, untilMs: number): void;
  recreate(): void;
  rollBack(last: number): void;
}

/** What can be asked of a stream. */
export interface StreamView {
  readonly created: string;
  readonly first: number;
  readonly last: number;
  readonly size: number;
  /** Of the message at `last`, while it is there. */
  readonly lastAtMs: number | undefined;
  newest(subject: string): Stored | undefined;
  next(from: number, through: number): Stored | undefined;
}

export interface JetStreamOptions {
  readonly time: VirtualTime;
  readonly random: SeededRandom;
  readonly broker: Broker;
  readonly personality: Personality;
  readonly witness: StreamWitness;
}

export interface JetStream {
  readonly options: JetStreamOptions;
  readonly streams: ReadonlyMap<string, StreamHost>;
  create(config: StreamConfig): StreamHost;
  delete(name: string): boolean;
  wallMs(atMs: number): number;
}

const replicas = 3;

export function createJetStream(options: JetStreamOptions): JetStream {
  const { time, random, broker, personality } = options;
  const streams = new Map<string, StreamHost>();
  const wallMs = (atMs: number): number => epochMs + atMs;
  const send = (to: string, message: WireMessage): void => void broker.send(to, message);
  let lives = 0;

  function newLife(): string {
    lives += 1;
    return `${new Date(wallMs(time.nowMs)).toISOString()}#${lives}`;
  }

  function create(wanted: StreamConfig): StreamHost {
    const { allow_msg_ttl: wantsTtl, ...rest } = wanted;
    const config = wantsTtl === true && personality.honoursTtl ? wanted : (rest as StreamConfig);
    const state = createStreamState(config, newLife(), options.witness);
    const consumers = new Map<string, Consumer>();
    const replicaOf = new Map<Consumer, number>();
    const frozen = new Map<number, { readonly untilMs: number; readonly through: number }>();
    const faults: WriteFaults = { leaderlessUntilMs: 0, lostAcks: 0, lostWrites: 0, faultyUntilMs: 0 };

    function place(consumer: Consumer, replica: number): void {
      replicaOf.set(consumer, replica);
      showTo(consumer);
    }

    function showTo(consumer: Consumer): void {
      const ice = frozen.get(replicaOf.get(consumer) ?? 0);
      consumer.visibleThrough = ice !== undefined && time.nowMs < ice.untilMs ? ice.through : Number.POSITIVE_INFINITY;
      consumer.wake();
    }

    /** Who listens to a silent consumer is not told that its stream has gone. */
    function noteSilence(): void {
      if ([...consumers.values()].some(({ isSilent }) => isSilent)) host.untoldResetMs = time.nowMs;
    }

    function endConsumers(status: string): void {
      for (const name of [...consumers.keys()]) host.removeConsumer(name, status);
    }

    function onStored(stored: Stored): void {
      for (const consumer of consumers.values()) consumer.wake();
      expireLater(stored);
    }

    function expireLater({ header, position }: Stored): void {
      if (config.allow_msg_ttl !== true || header === undefined) return;
      const ttl = /\r\nNats-TTL: (\d+)\r\n/.exec(Buffer.from(header).toString('latin1'))?.[1];
      if (ttl === undefined) return;
      const life = state.created;
      time.after(Number(ttl) * 1_000, () => {
        if (state.created === life)
          state.remove((message) => message.position === position && message.header === header, 'expired');
      });
    }

    const host: StreamHost = {
      state,
      faults,
      consumers,
      deposed: undefined,
      untoldResetMs: Number.NEGATIVE_INFINITY,
      ingest: createIngest({
        stream: state,
        time,
        random,
        wallMs,
        faults,
        looksForIdFirst: personality.looksForIdFirst,
        comparesWeakly: personality.comparesWeakly,
        send,
        onStored,
      }),
      addConsumer(name, request) {
        const isAbove = request.opt_start_seq > state.last + 1;
        const from = isAbove && personality.startsAtHead ? Math.max(1, state.last) : request.opt_start_seq;
        const consumer = createConsumer({
          name,
          request: { ...request, opt_start_seq: from },
          stream: state,
          time,
          random,
          wallMs,
          send,
          onInactive: () => host.removeConsumer(name, undefined),
        });
        consumers.set(name, consumer);
        place(consumer, config.num_replicas > 1 ? random.below(replicas) : 0);
        return consumer;
      },
      removeConsumer(name, status) {
        const consumer = consumers.get(name);
        consumer?.end(status);
        if (consumer !== undefined) replicaOf.delete(consumer);
        return consumers.delete(name);
      },
      silence() {
        for (const consumer of consumers.values()) consumer.isSilent = true;
      },
      freezeReplica(replica, untilMs) {
        frozen.set(replica, { untilMs, through: state.last });
        for (const consumer of consumers.values()) showTo(consumer);
        time.at(untilMs, () => {
          for (const consumer of consumers.values()) showTo(consumer);
        });
      },
      recreate() {
        noteSilence();
        endConsumers('409 Consumer Deleted');
        frozen.clear();
        state.recreate(newLife());
      },
      rollBack(last) {
        noteSilence();
        endConsumers('409 Consumer Deleted');
        frozen.clear();
        state.rollBack(last);
      },
    };
    streams.set(config.name, host);
    return host;
  }

  const jetStream: JetStream = {
    options,
    streams,
    create,
    delete: (name) => streams.delete(name),
    wallMs,
  };

  broker.onMessage = (message) => {
    if (message.subject.startsWith('$JS.API.')) {
      const answer = answerApi(jetStream, message);
      if (answer === 'nobody' && message.reply !== undefined) send(message.reply, noResponders(message.reply));
      else if (typeof answer === 'object' && message.reply !== undefined)
        send(message.reply, textMessage(message.reply, JSON.stringify(answer)));
      return true;
    }
    for (const host of streams.values()) {
      if (!host.state.config.subjects.some((subject) => covers(subject, message.subject))) continue;
      host.ingest(message);
      return true;
    }
    return false;
  };
  return jetStream;
}

/** `a.>` covers all that begins with `a.`; `a.*` one token more. */
export function covers(pattern: string, subject: string): boolean {
  if (pattern.endsWith('.>')) return subject.startsWith(pattern.slice(0, -1));
  if (!pattern.endsWith('.*')) return subject === pattern;
  const prefix = pattern.slice(0, -1);
  return subject.startsWith(prefix) && !subject.slice(prefix.length).includes('.');
}
