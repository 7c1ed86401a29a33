/**
 * What a route answers, as data, and the one place that writes it to a connection. Both the routes and the path for plain
 * hits use it, so that an answer cannot depend on the way that it took.
 */
import type { ServerResponse } from 'node:http';

export interface Answer {
  readonly status: number;
  /** Names and values in turn, as `writeHead` takes them; without Content-Length. */
  readonly headers: readonly string[];
  readonly body: Uint8Array | string | undefined;
}

export function jsonAnswer(status: number, value: unknown, headers: readonly string[] = []): Answer {
  return { status, headers: ['Content-Type', 'application/json', ...headers], body: `${JSON.stringify(value)}\n` };
}

export function textAnswer(status: number, contentType: string, body: string): Answer {
  return { status, headers: ['Content-Type', contentType], body };
}

export function emptyAnswer(status: number, headers: readonly string[]): Answer {
  return { status, headers, body: undefined };
}

/** Ends the response. `isLast`: the connection closes after it. A response to HEAD has the same head and no body. */
export function writeAnswer(res: ServerResponse, answer: Answer, isLast: boolean): void {
  writeHead(res, answer, isLast);
  if (answer.body === undefined || res.req.method === 'HEAD') res.end();
  else res.end(answer.body);
}

/**
 * The same for an answer that may come before the whole request has: the client gets it at once, while the rest of its request
 * is read and thrown away. Closing on a client that still sends would destroy the answer on its way.
 */
export function writeEarlyAnswer(res: ServerResponse, answer: Answer, isLast: boolean): void {
  const { req } = res;
  if (req.complete || req.destroyed) {
    writeAnswer(res, answer, isLast);
    return;
  }
  writeHead(res, answer, isLast);
  if (answer.body === undefined || req.method === 'HEAD') res.flushHeaders();
  else res.write(answer.body);
  req.once('close', () => res.end());
  req.resume();
}

function writeHead(res: ServerResponse, { status, headers, body }: Answer, isLast: boolean): void {
  const all = [...headers];
  if (body !== undefined) {
    all.push('Content-Length', String(typeof body === 'string' ? Buffer.byteLength(body) : body.length));
  } else if (status !== 204 && status !== 304) {
    all.push('Content-Length', '0');
  }
  if (isLast) all.push('Connection', 'close');
  res.writeHead(status, all);
}
