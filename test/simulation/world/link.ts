/**
 * A connection of one process to the simulated server, in the shape of `nats/link.ts`. It behaves as the driver does: it
 * reconnects for ever, sends subscriptions again, keeps what is published while it is disconnected, and fails requests and
 * pings that were under way when it was lost.
 */
import type { Msg, NatsConnection } from '@nats-io/nats-core';
import type { Random } from '../../../src/base/random.ts';
import { createWaiters } from '../../../src/base/waiters.ts';
import { SluiceError } from '../../../src/errors.ts';
import type { Link, LinkEvents } from '../../../src/nats/link.ts';
import type { Broker, Peer } from './broker.ts';
import { toDriverMessage, type WireMessage } from './message.ts';
import type { Path, Wire } from './network.ts';
import type { ProcessClock } from './process-clock.ts';

export interface SimulatedLinkOptions {
  readonly name: string;
  readonly serverVersion: string;
  readonly path: Path;
  readonly broker: Broker;
  readonly clock: ProcessClock;
  readonly random: Random;
  readonly trace: (line: string) => void;
}

interface Subscription {
  readonly pattern: string;
  readonly receive: (error: null, message: Msg) => void;
}

/** Waits between attempts to connect, as `nats/link.ts` sets them. */
const reconnectMs = 100;
const reconnectJitterMs = 150;
const payloadBytesMax = 1024 * 1024;

export async function createSimulatedLink(options: SimulatedLinkOptions): Promise<Link> {
  const { name, path, broker, clock, random, trace } = options;
  if (path.isBlocked) {
    await new Promise<void>((resolve) => clock.timer(1_000, resolve));
    throw new SluiceError('log-unavailable', `${name}: cannot connect`);
  }
  const listeners = new Set<LinkEvents>();
  const waiters = createWaiters(clock);
  /** By reply subject. */
  const requests = new Map<string, (answer: Msg | string) => void>();
  const pings = new Set<(error: Error | undefined) => void>();
  const subscriptions = new Map<number, Subscription>();
  const unsent: (() => void)[] = [];
  const inboxPrefix = `_INBOX.${random.hex(6)}`;
  let isConnected = false;
  /** Of the server that is or was connected. */
  let { serverLife } = path;
  let isClosed = false;
  let reconnects = 0;
  let nextSid = 1;
  let nextRequest = 0;
  let nextInbox = 1;
  let wire: Wire;
  let peer: Peer;

  const tell = (call: (listener: LinkEvents) => void): void => {
    for (const listener of [...listeners]) call(listener);
  };

  function establish(): void {
    const own: Wire = { isOpen: true, deliversRest: false, lastOutMs: 0, lastInMs: 0 };
    wire = own;
    peer = {
      name,
      send(sid, message) {
        path.carry(own, 'in', () => clock.enter(() => own === wire && own.isOpen && dispatch(sid, message)));
      },
    };
    isConnected = true;
    serverLife = path.serverLife;
    for (const [sid, { pattern }] of subscriptions) sendSubscription(sid, pattern);
    for (const work of unsent.splice(0)) work();
  }

  /** Towards the server, in order. */
  function transmit(work: (peer: Peer) => void): void {
    const from = peer;
    path.carry(wire, 'out', () => work(from));
  }

  function whenConnected(work: () => void): void {
    if (isConnected) work();
    else if (!isClosed) unsent.push(work);
  }

  const sendSubscription = (sid: number, pattern: string): void =>
    transmit((from) => broker.subscribe(from, sid, pattern));

  function dispatch(sid: number, message: WireMessage): void {
    const subscription = subscriptions.get(sid);
    if (subscription === undefined) return;
    const { received, spoil } = toDriverMessage(message, (reply, data) => publish({ subject: reply, data }));
    subscription.receive(null, received);
    // A record is only lent; answers are read a little later.
    if (message.subject !== message.reply && message.reply?.startsWith('$JS.ACK.')) spoil();
  }

  function publish(message: WireMessage): void {
    whenConnected(() => transmit(() => broker.receive(message)));
  }

  path.onBreak = (reason, isServerGone) => {
    if (!wire.isOpen) return;
    wire.isOpen = false;
    wire.deliversRest = random.fraction() < 0.5 && !isServerGone;
    broker.drop(peer);
    clock.enter(() => onLost(reason));
  };

  function onLost(reason: string): void {
    if (isClosed || !isConnected) return;
    isConnected = false;
    trace(`${name} lost: ${reason}`);
    for (const settle of [...requests.values()]) settle('the connection was lost');
    for (const end of [...pings]) end(new Error('disconnected'));
    tell((listener) => listener.lost?.(reason));
    clock.timer(reconnectMs + random.fraction() * reconnectJitterMs, reconnect);
  }

  function reconnect(): void {
    if (isClosed) return;
    if (path.isBlocked) {
      clock.timer(reconnectMs + random.fraction() * reconnectJitterMs, reconnect);
      return;
    }
    establish();
    reconnects += 1;
    trace(`${name} found`);
    waiters.advance(1);
    tell((listener) => listener.found?.('simulated'));
  }

  function onAnswer(_: null, message: Msg): void {
    const isNobody = message.data.length === 0 && statusOf(message) === '503';
    requests.get(message.subject)?.(isNobody ? 'nobody answers there (no responders)' : message);
  }
  subscriptions.set(0, { pattern: `${inboxPrefix}.r.*`, receive: onAnswer });

  const connection = {
    subscribe(pattern: string, { callback }: { callback: Subscription['receive'] }) {
      const sid = nextSid;
      nextSid += 1;
      subscriptions.set(sid, { pattern, receive: callback });
      // Lost ones are sent again with all the others.
      if (isConnected) sendSubscription(sid, pattern);
      return {
        unsubscribe() {
          subscriptions.delete(sid);
          if (isConnected) transmit((from) => broker.unsubscribe(from, sid));
        },
      };
    },
    publish(
      subject: string,
      data: Uint8Array | string = '',
      { reply, headers }: { reply?: string; headers?: { encode(): Uint8Array } } = {},
    ) {
      if (isClosed) throw new Error('closed connection');
      const header = headers === undefined ? undefined : Buffer.from(headers.encode());
      publish({ subject, reply, header, data: typeof data === 'string' ? Buffer.from(data) : Buffer.from(data) });
    },
    flush() {
      return new Promise<void>((resolve, reject) => {
        const own = wire;
        const end = (error: Error | undefined): void => {
          if (!pings.delete(end)) return;
          if (error === undefined) resolve();
          else reject(error);
        };
        pings.add(end);
        whenConnected(() =>
          transmit(() => path.carry(own, 'in', () => clock.enter(() => own.isOpen && end(undefined)))),
        );
      });
    },
    isClosed: () => isClosed,
  };

  await new Promise<void>((resolve) => clock.timer(path.latencyMs(), resolve));
  establish();

  return {
    connection: connection as unknown as NatsConnection,
    get isConnected() {
      return isConnected;
    },
    serverVersion: options.serverVersion,
    serverName: 'simulated',
    get serverId() {
      return `simulated-${serverLife}`;
    },
    payloadBytesMax,
    apiSubject: (call) => `$JS.API.${call}`,
    get reconnects() {
      return reconnects;
    },
    listen(events) {
      listeners.add(events);
      return () => listeners.delete(events);
    },
    newInbox() {
      nextInbox += 1;
      return `${inboxPrefix}.${nextInbox}`;
    },
    async connected(waitMs, signal) {
      if (isConnected) return;
      const lost = (): Error => new SluiceError('log-unavailable', `${name}: not connected`);
      if (isClosed) throw lost();
      await waiters.wait(1, { waitMs, signal }, lost);
    },
    request(subject, data, timeoutMs) {
      return new Promise((resolve, reject) => {
        nextRequest += 1;
        const reply = `${inboxPrefix}.r.${nextRequest}`;
        const settle = (answer: Msg | string): void => {
          if (!requests.delete(reply)) return;
          timer.cancel();
          if (typeof answer !== 'string') resolve(answer);
          else reject(new SluiceError('log-unavailable', `${subject}: ${answer}`));
        };
        const timer = clock.timer(timeoutMs, () => settle(`no answer within ${timeoutMs} ms`));
        requests.set(reply, settle);
        if (isClosed) settle('the connection is closed');
        else connection.publish(subject, data, { reply });
      });
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      isConnected = false;
      wire.isOpen = false;
      // What was written before the end is sent.
      wire.deliversRest = true;
      broker.drop(peer);
      for (const settle of [...requests.values()]) settle('the connection is closed');
      waiters.fail(new SluiceError('log-unavailable', `${name}: the connection is closed`));
      tell((listener) => listener.closed?.('closed'));
    },
  };
}

function statusOf(message: Msg): string {
  const { _msg, _rdata } = message as unknown as { _msg: { hdr: number }; _rdata: Buffer };
  return _msg.hdr > 0 ? _rdata.toString('latin1', 9, 12) : '';
}
