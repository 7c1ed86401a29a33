/**
 * An HTTP door on a port of its own over a fake node, and clients that send exactly what they are told: paths are not
 * normalised, headers are not completed, event streams can be left unread.
 */
import { once } from 'node:events';
import { type ClientRequest, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { createHttpDoor, type HttpDoor, type HttpDoorOptions } from '../../src/api/http/server.ts';
import type { Clock } from '../../src/base/clock.ts';
import { systemClock } from '../../src/base/clock.ts';
import { loadSettings } from '../../src/config/load.ts';
import type { Settings } from '../../src/config/schema.ts';
import { createFakeNode, type FakeNode, type FakeNodeOptions } from './fake-node-service.ts';
import { waitUntil } from './wait-until.ts';

export interface TestDoor {
  readonly door: HttpDoor;
  readonly node: FakeNode;
  readonly port: number;
  /** What the door has logged. */
  readonly logged: { readonly level: string; readonly facts: object; readonly message: string }[];
  ask(method: string, path: string, options?: AskOptions): Promise<Reply>;
  stop(): Promise<void>;
}

export interface AskOptions {
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string | Uint8Array;
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
  /** Throws when the body is no JSON object. */
  json(): Record<string, unknown>;
}

export interface TestDoorOptions extends FakeNodeOptions {
  readonly http?: Partial<Settings['http']>;
  readonly readWaitMaxMs?: number;
  readonly buffered?: number;
  readonly watchBytesMax?: number;
  /** The clock of the door alone; the node has `clock`. */
  readonly doorClock?: Clock;
  /** Changes the service that the door sees. */
  readonly service?: (node: FakeNode) => HttpDoorOptions['service'];
}

/** A door with the cache `demo` (one partition) behind it. */
export async function startDoor(options: TestDoorOptions = {}): Promise<TestDoor> {
  const defaults = loadSettings({ env: {} });
  const node = createFakeNode(options);
  await node.declareCache('demo', {});
  const logged: { level: string; facts: object; message: string }[] = [];
  const door = createHttpDoor({
    service: options.service?.(node) ?? node,
    settings: {
      http: { ...defaults.http, port: 0, ...options.http },
      read: { waitMaxMs: options.readWaitMaxMs ?? defaults.read.waitMaxMs },
      watch: {
        buffered: options.buffered ?? defaults.watch.buffered,
        bytesMax: options.watchBytesMax ?? defaults.watch.bytesMax,
      },
    },
    clock: options.doorClock ?? options.clock ?? systemClock,
    log: {
      info: (facts, message) => void logged.push({ level: 'info', facts, message }),
      error: (facts, message) => void logged.push({ level: 'error', facts, message }),
    },
  });
  await door.start();
  const { port } = door;
  return {
    door,
    node,
    port,
    logged,
    ask: (method, path, ask) => askPort(port, method, path, ask),
    async stop() {
      await door.stop();
      await node.stop();
    },
  };
}

function sendRequest(port: number, method: string, path: string, { headers = {}, body }: AskOptions): ClientRequest {
  const plain = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value].flat()]));
  const req = request({ host: '127.0.0.1', port, method, path, agent: false, headers: plain });
  // As text, Node would write the head in the encoding of the body.
  req.end(typeof body === 'string' ? Buffer.from(body) : body);
  return req;
}

export async function askPort(port: number, method: string, path: string, options: AskOptions = {}): Promise<Reply> {
  const req = sendRequest(port, method, path, options);
  const [response] = (await once(req, 'response')) as [IncomingMessage];
  const body = Buffer.concat(await response.toArray());
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    body,
    text: body.toString('utf8'),
    json() {
      const value: unknown = JSON.parse(body.toString('utf8'));
      if (typeof value !== 'object' || value === null) throw new TypeError(`no object: ${body.toString('utf8')}`);
      return value as Record<string, unknown>;
    },
  };
}

export interface SentEvent {
  readonly id: string | undefined;
  readonly event: string | undefined;
  readonly data: Record<string, unknown> | undefined;
}

export interface EventReader {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** All blocks so far, also those that have only an id. */
  readonly events: SentEvent[];
  /** Everything so far, comments included. */
  readonly text: string;
  readonly isClosed: boolean;
  /** Stops or goes on reading the socket. */
  pause(): void;
  resume(): void;
  /** Resolves with all events of that name once there are `count`. */
  named(name: string, count?: number): Promise<Record<string, unknown>[]>;
  close(): void;
}

export async function openEvents(
  port: number,
  path: string,
  headers: Record<string, string> = {},
): Promise<EventReader> {
  const req = sendRequest(port, 'GET', path, { headers });
  const [response] = (await once(req, 'response')) as [IncomingMessage];
  const events: SentEvent[] = [];
  let text = '';
  let parsed = 0;
  let isClosed = false;
  response.setEncoding('utf8');
  response.on('data', (chunk: string) => {
    text += chunk;
    for (let end = text.indexOf('\n\n', parsed); end >= 0; end = text.indexOf('\n\n', parsed)) {
      const fields = new Map(
        text
          .slice(parsed, end)
          .split('\n')
          .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
      );
      const data = fields.get('data');
      events.push({
        id: fields.get('id'),
        event: fields.get('event'),
        data: data === undefined ? undefined : JSON.parse(data),
      });
      parsed = end + 2;
    }
  });
  response.on('error', () => undefined);
  response.on('close', () => {
    isClosed = true;
  });
  const named = (name: string): Record<string, unknown>[] =>
    events.filter(({ event }) => event === name).map(({ data }) => data ?? {});
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    events,
    get text() {
      return text;
    },
    get isClosed() {
      return isClosed;
    },
    pause: () => void response.pause(),
    resume: () => void response.resume(),
    named: (name, count = 1) =>
      waitUntil(`${count} events ${name}`, () => (named(name).length >= count ? named(name) : undefined)),
    close: () => void req.destroy(),
  };
}

export interface RawConnection {
  readonly socket: Socket;
  readonly text: string;
  readonly isClosed: boolean;
  send(text: string | Uint8Array): void;
  /** Resolves with everything received once it matches. */
  received(pattern: RegExp): Promise<string>;
  closed(): Promise<string>;
}

/** A connection that says nothing by itself. */
export async function openRaw(port: number): Promise<RawConnection> {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  let isClosed = false;
  socket.setEncoding('latin1');
  socket.on('data', (chunk: string) => {
    text += chunk;
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    isClosed = true;
  });
  await once(socket, 'connect');
  return {
    socket,
    get text() {
      return text;
    },
    get isClosed() {
      return isClosed;
    },
    send: (data) => void socket.write(data),
    received: (pattern) => waitUntil(`answer ${pattern}`, () => (pattern.test(text) ? text : undefined)),
    closed: () => waitUntil('the connection closed', () => (isClosed ? `${text} ` : undefined)),
  };
}
