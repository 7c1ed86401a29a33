/**
 * The HTTP server under the door: its limits, its answers to bytes that are no request, and how it is brought to an end.
 * It knows nothing of caches.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type Clock, every } from '../../base/clock.ts';
import type { Settings } from '../../config/schema.ts';
import { messageOf, SluiceError } from '../../errors.ts';
import { writeAnswer } from './answer.ts';
import { HttpProblem, problemAnswer, rawProblem } from './problem.ts';

type Listener = (req: IncomingMessage, res: ServerResponse) => void;

export interface LimitedServer {
  readonly server: Server;
  /** Rejects with `in-use` or `bad-config`. */
  listen(port: number, host: string): Promise<void>;
  /** Accepts nothing more, lets requests under way end, and cuts what is left after `limitMs`. */
  drain(limitMs: number): Promise<void>;
}

export interface LimitedServerOptions {
  readonly http: Settings['http'];
  readonly clock: Clock;
  /** True when it has answered; only for answers that are complete at once. */
  readonly fast: (req: IncomingMessage, res: ServerResponse) => boolean;
  readonly listener: Listener;
  /** The section of the settings that says where to listen. Default: http */
  readonly section?: string;
}

function endStalled(socket: Socket): void {
  if (socket.writableLength > 0) socket.destroy();
}

/** How often connections are looked at that have become idle while draining. */
const idleCheckMs = 100;

export function createLimitedServer({
  http,
  clock,
  fast,
  listener,
  section = 'http',
}: LimitedServerOptions): LimitedServer {
  const sockets = new Set<Socket>();
  /** The newest request of each connection that takes the long way. */
  const newest = new WeakMap<object, ServerResponse>();
  /** Requests of a connection that came before those before them were answered. */
  const pipelined = new WeakMap<Socket, number>();
  /** Connections whose last request has come: what follows it on them is not looked at (RFC 9112 section 9.6). */
  const ended = new WeakSet<Socket>();
  const headersTimeout = Math.min(http.headersTimeoutMs, http.requestTimeoutMs);
  const checkMs = Math.min(1_000, Math.max(25, headersTimeout / 4));
  const server = createServer(
    {
      maxHeaderSize: http.headerBytesMax,
      headersTimeout,
      requestTimeout: http.requestTimeoutMs,
      keepAliveTimeout: http.keepAliveTimeoutMs,
      connectionsCheckingInterval: checkMs,
      // It would answer without a problem, and go on with what follows; see `isHostRight`.
      requireHostHeader: false,
    },
    (req, res) => {
      // What stood behind the last request of a connection, or behind one for which it was closed.
      if (req.socket.destroyed || ended.has(req.socket)) return;
      // A response has no socket while others of its connection stand before it.
      if (res.socket === null && !mayWait(req.socket, res)) return void req.socket.destroy();
      if (!res.shouldKeepAlive) ended.add(req.socket);
      if (!isHostRight(req)) {
        ended.add(req.socket);
        return writeAnswer(res, problemAnswer(hostProblem, req.url ?? ''), true);
      }
      req.url = originForm(req.url ?? '/');
      if (fast(req, res)) return;
      newest.set(req.socket, res);
      // A route may work for longer than a client may take nothing; without this the server would end the connection then.
      res.on('timeout', endStalled);
      listener(req, res);
    },
  );
  // Ends a connection on which nothing moved: an answer that is not taken. Requests that do not arrive are ended sooner.
  server.timeout = Math.max(http.stallTimeoutMs, headersTimeout + 2 * checkMs);
  server.maxConnections = http.connectionsMax;
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('clientError', (error, socket) => {
    // Something stands behind the last request of the connection; the answer to that one closes it.
    if ('code' in error && error.code === 'HPE_CLOSED_CONNECTION') return;
    const res = newest.get(socket);
    const isAnswering =
      res !== undefined && (res.headersSent ? !res.writableFinished || !res.req.complete : res.req.complete);
    // Bytes of a problem in the middle of another response would be taken for a part of it.
    if (isAnswering || !socket.writable || ('code' in error && error.code === 'ECONNRESET'))
      return void socket.destroy();
    socket.write(rawProblem(describeBroken(error)));
    (socket as Socket).destroySoon();
  });
  server.on('checkExpectation', (req, res) => {
    const message = 'Expect: only 100-continue can be expected';
    writeAnswer(res, problemAnswer(new HttpProblem('bad-request', message, { status: 417 }), req.url ?? ''), true);
  });

  function mayWait(socket: Socket, res: ServerResponse): boolean {
    const count = (pipelined.get(socket) ?? 0) + 1;
    if (count > http.pipelinedMax) return false;
    pipelined.set(socket, count);
    res.once('close', () => pipelined.set(socket, (pipelined.get(socket) ?? 1) - 1));
    return true;
  }

  return {
    server,
    listen: (port, host) =>
      new Promise((resolve, reject) => {
        const refuse = (error: Error): void => reject(listenError(error, host, port, section));
        server.once('error', refuse);
        server.listen(port, host, () => {
          server.off('error', refuse);
          resolve();
        });
      }),
    async drain(limitMs) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      // A connection that never asked for anything is not idle to the server, and would be waited for.
      for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
      const idle = every(clock, idleCheckMs, () => server.closeIdleConnections());
      const limit = clock.timer(limitMs, () => {
        for (const socket of sockets) socket.destroy();
      });
      await closed;
      idle.cancel();
      limit.cancel();
    },
  };
}

const hostProblem = new SluiceError('bad-request', 'Host: must be given once (RFC 9112 section 3.2)', {
  details: { field: 'Host' },
});

/** Two names of a host could be two hosts to two servers; only HTTP/1.0 may leave it out. */
function isHostRight({ rawHeaders, httpVersionMinor }: IncomingMessage): boolean {
  let count = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    if (name.length === 4 && name.toLowerCase() === 'host') count += 1;
  }
  return count === 1 || (count === 0 && httpVersionMinor === 0);
}

/** A target may be absolute (RFC 9112 section 3.2.2): host and scheme are dropped, the door serves only itself. */
function originForm(target: string): string {
  if (target.startsWith('/')) return target;
  const rest = /^https?:\/\/[^/?#]*(.*)$/is.exec(target)?.[1];
  if (rest === undefined) return target;
  return rest.startsWith('/') ? rest : `/${rest}`;
}

function describeBroken(error: Error): SluiceError {
  const { code, reason } = error as { readonly code?: unknown; readonly reason?: unknown };
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new HttpProblem(
        'too-large',
        'the head of the request is larger than this door takes (http.headerBytesMax)',
        { status: 431 },
      );
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new HttpProblem('too-large', 'the extensions of a chunk are too long', { status: 413 });
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new HttpProblem(
        'bad-request',
        'the request did not arrive in time (http.headersTimeout, http.requestTimeout)',
        { status: 408 },
      );
    default:
      return new SluiceError(
        'bad-request',
        `this is no HTTP request: ${typeof reason === 'string' ? reason : messageOf(error)}`,
      );
  }
}

function listenError(error: Error, host: string, port: number, section: string): SluiceError {
  const code = 'code' in error ? error.code : undefined;
  if (code === 'EADDRINUSE') {
    return new SluiceError('in-use', `${section}.port: ${port}: another process listens on ${host}:${port}`, {
      cause: error,
      details: { field: `${section}.port`, value: port },
    });
  }
  return new SluiceError(
    'bad-config',
    `${section}.host: ${JSON.stringify(host)}: cannot listen there on port ${port}: ${error.message}`,
    {
      cause: error,
      details: { field: `${section}.host`, value: host },
    },
  );
}
