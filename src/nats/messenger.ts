/**
 * Plain NATS between nodes: pulses, and requests with one answer. Nothing here is stored, and nothing may depend on
 * delivery.
 */
import type { Msg } from '@nats-io/nats-core';
import { messageOf, SluiceError } from '../errors.ts';
import { type ControlSubjects, controlSubjects } from '../events/subjects.ts';
import type { Link } from './link.ts';

export interface Messenger {
  /** The largest body that the server takes. */
  readonly bodyBytesMax: number;
  /** Sent when connected, dropped otherwise. */
  pulse(node: string, body: Uint8Array): void;
  onPulse(receive: (body: Uint8Array) => void): () => void;
  /** Rejects with `log-unavailable` when the node does not answer in time. */
  request(node: string, verb: string, body: Uint8Array, timeoutMs: number): Promise<Uint8Array>;
  /** Answers requests to this node. A failure of `answer` reaches the caller as no answer; it must not reject. */
  serve(node: string, answer: (verb: string, body: Uint8Array) => Promise<Uint8Array>): () => void;
}

export function createMessenger(link: Link, cluster: string, onProblem: (what: string) => void): Messenger {
  const subjects: ControlSubjects = controlSubjects(cluster);

  function subscribe(subject: string, receive: (message: Msg) => void): () => void {
    const subscription = link.connection.subscribe(subject, {
      callback: (error, message) => {
        if (error === null) receive(message);
        else onProblem(`${subject}: ${error.message}`);
      },
    });
    return () => {
      if (!link.connection.isClosed()) subscription.unsubscribe();
    };
  }

  return {
    get bodyBytesMax() {
      return link.payloadBytesMax;
    },
    pulse(node, body) {
      // The driver would keep it until it is connected again, and an old pulse is a lie.
      if (link.isConnected) link.connection.publish(subjects.pulse(node), body);
    },
    onPulse: (receive) => subscribe(subjects.pulse('*'), (message) => receive(message.data)),
    async request(node, verb, body, timeoutMs) {
      if (!link.isConnected) throw new SluiceError('log-unavailable', 'not connected to NATS');
      return (await link.request(subjects.request(node, verb), body, timeoutMs)).data;
    },
    serve(node, answer) {
      return subscribe(subjects.request(node, '*'), (message) => {
        const verb = message.subject.slice(message.subject.lastIndexOf('.') + 1);
        // Answering may fail as well: the driver throws for a body that the server does not take, and when it is closed.
        answer(verb, message.data)
          .then((body) => message.respond(body))
          .catch((error: unknown) => onProblem(`${message.subject}: ${messageOf(error)}`));
      });
    },
  };
}
