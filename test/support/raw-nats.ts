/**
 * The smallest NATS client that can ask one question: enough to see whether a server or a cluster is ready, without
 * the libraries whose behaviour the tests are about.
 */
import { connect } from 'node:net';

/** Sends one request on a connection of its own; undefined when no answer came in time or the server is not there. */
export function requestNats(port: number, subject: string, body = '', limitMs = 1_000): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const inbox = `_INBOX.raw.${process.pid}.${Math.random().toString(36).slice(2)}`;
    let received = Buffer.alloc(0);
    const end = (answer: string | undefined): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => end(undefined), limitMs);
    socket.on('error', () => end(undefined));
    socket.on('close', () => end(undefined));
    socket.write(
      `CONNECT {"verbose":false,"pedantic":false}\r\nSUB ${inbox} 1\r\nPUB ${subject} ${inbox} ${Buffer.byteLength(body)}\r\n${body}\r\n`,
    );
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      const text = received.toString('latin1');
      const head = /^MSG \S+ 1 (?:\S+ )?(\d+)\r\n/m.exec(text);
      if (head === null) return;
      const from = head.index + head[0].length;
      const to = from + Number(head[1]);
      if (received.length >= to) end(received.toString('utf8', from, to));
    });
  });
}

/** Asks a JetStream API; undefined when there was no answer or it was an error. */
export async function requestJetStream(
  port: number,
  api: string,
  body: object | undefined = undefined,
  limitMs = 1_000,
): Promise<Record<string, unknown> | undefined> {
  const text = await requestNats(port, `$JS.API.${api}`, body === undefined ? '' : JSON.stringify(body), limitMs);
  if (text === undefined) return undefined;
  const answer: Record<string, unknown> = JSON.parse(text);
  return answer['error'] === undefined ? answer : undefined;
}
