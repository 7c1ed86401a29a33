/**
 * The core of the simulated server: who is connected, who listens to what. Subjects of JetStream go to it; everything else to
 * its subscribers, or back as "no responders".
 */
import { noResponders, type WireMessage } from './message.ts';

/** The server's end of a connection. */
export interface Peer {
  readonly name: string;
  /** Towards the client; `sid` names the client's subscription. */
  send(sid: number, message: WireMessage): void;
}

export interface Broker {
  subscribe(peer: Peer, sid: number, pattern: string): void;
  unsubscribe(peer: Peer, sid: number): void;
  /** The connection is gone, and its subscriptions with it. */
  drop(peer: Peer): void;
  /** A client's message arrived. */
  receive(message: WireMessage): void;
  /** Sends to the subscribers of `to`; false when there is none. */
  send(to: string, message: WireMessage): boolean;
  /** Takes the messages of subjects that are its own; returns false for others. */
  onMessage: (message: WireMessage) => boolean;
}

interface Subscription {
  readonly peer: Peer;
  readonly sid: number;
  readonly pattern: string;
}

export function createBroker(): Broker {
  /** By pattern; a `*` stands only at the end of one. */
  const byPattern = new Map<string, Set<Subscription>>();

  function* matching(subject: string): Iterable<Subscription> {
    const exact = byPattern.get(subject);
    if (exact !== undefined) yield* exact;
    const wild = byPattern.get(`${subject.slice(0, subject.lastIndexOf('.') + 1)}*`);
    if (wild !== undefined) yield* wild;
  }

  function remove(isDoomed: (subscription: Subscription) => boolean): void {
    for (const [pattern, subscriptions] of byPattern) {
      for (const subscription of subscriptions) if (isDoomed(subscription)) subscriptions.delete(subscription);
      if (subscriptions.size === 0) byPattern.delete(pattern);
    }
  }

  const broker: Broker = {
    onMessage: () => false,
    subscribe(peer, sid, pattern) {
      const subscriptions = byPattern.get(pattern) ?? new Set();
      byPattern.set(pattern, subscriptions.add({ peer, sid, pattern }));
    },
    unsubscribe: (peer, sid) => remove((subscription) => subscription.peer === peer && subscription.sid === sid),
    drop: (peer) => remove((subscription) => subscription.peer === peer),
    receive(message) {
      if (broker.onMessage(message) || broker.send(message.subject, message)) return;
      if (message.reply !== undefined) broker.send(message.reply, noResponders(message.reply));
    },
    send(to, message) {
      let isSent = false;
      for (const { peer, sid } of [...matching(to)]) {
        peer.send(sid, message);
        isSent = true;
      }
      return isSent;
    },
  };
  return broker;
}
