/**
 * Plain NATS between processes: pulses of nodes, requests with one answer, and the question which clients listen. Nothing here is stored, and nothing may depend on
 * delivery.
 */
import type { Msg } from '@nats-io/nats-core';
import { type Clock, pause } from '../base/clock.ts';
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
  /** The same for a client, which is no member. */
  requestClient(client: string, verb: string, body: Uint8Array, timeoutMs: number): Promise<Uint8Array>;
  /** Answers requests to this client, and says `present` to who asks which clients there are. */
  serveClient(
    client: string,
    answer: (verb: string, body: Uint8Array) => Promise<Uint8Array>,
    present: () => Uint8Array,
  ): () => void;
  /** What the clients that listen say within `waitMs`; nothing when nobody does, or when it is not permitted to ask. */
  findClients(clock: Clock, waitMs: number): Promise<Uint8Array[]>;
}

/** More answers are not waited for. */
const clientsMax = 4_096;

export function createMessenger(link: Link, cluster: string, onProblem: (what: string) => void): Messenger {
  const subjects: ControlSubjects = controlSubjects(cluster);
  let mayFindClients = true;
  link.listen({
    refused(subject) {
      if (subject === subjects.clients) mayFindClients = false;
    },
  });

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

  async function request(subject: string, body: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    if (!link.isConnected) throw new SluiceError('log-unavailable', 'not connected to NATS');
    return (await link.request(subject, body, timeoutMs)).data;
  }

  function serve(subject: string, answer: (verb: string, body: Uint8Array) => Promise<Uint8Array>): () => void {
    return subscribe(subject, (message) => {
      const verb = message.subject.slice(message.subject.lastIndexOf('.') + 1);
      answer(verb, message.data)
        // The driver throws what the connection does not take; that must end no process.
        .then((body) => message.respond(body))
        .catch((error: unknown) => onProblem(`${message.subject}: ${messageOf(error)}`));
    });
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
    request: (node, verb, body, timeoutMs) => request(subjects.request(node, verb), body, timeoutMs),
    serve: (node, answer) => serve(subjects.request(node, '*'), answer),
    requestClient: (client, verb, body, timeoutMs) => request(subjects.client(client, verb), body, timeoutMs),
    serveClient(client, answer, present) {
      const stops = [
        serve(subjects.client(client, '*'), answer),
        subscribe(subjects.clients, (message) => void message.respond(present())),
      ];
      return () => {
        for (const stop of stops) stop();
      };
    },
    async findClients(clock, waitMs) {
      if (!link.isConnected || !mayFindClients) return [];
      const answers: Uint8Array[] = [];
      const inbox = link.newInbox();
      const stop = subscribe(inbox, ({ data, headers }) => {
        // Status 503: nobody listens.
        if (headers?.code !== 503 && answers.length < clientsMax) answers.push(data);
      });
      link.connection.publish(subjects.clients, new Uint8Array(0), { reply: inbox });
      await pause(clock, waitMs);
      stop();
      return answers;
    },
  };
}
