/** What HTTP clients send: fields and ids that the door reads, and whole connections of raw bytes to a door on a socket. */
import { connect } from 'node:net';
import { isMatch, parseCondition } from '../../../src/api/http/conditions.ts';
import { chooseType, formatTagList, parseTagList } from '../../../src/api/http/header-text.ts';
import {
  decodePart,
  keyOf,
  parseCount,
  parseJson,
  parsePosition,
  parseQuery,
  parseTime,
} from '../../../src/api/http/input.ts';
import { formatWatchId, parseWatchId } from '../../../src/api/http/routes/watch-event.ts';
import { startDoor, type TestDoor } from '../../support/http-door.ts';
import { type FuzzTarget, promise, promiseCount, promiseSame, splitLines, unlessRefused } from '../target.ts';

const watchIds: FuzzTarget = {
  name: 'watch-ids',
  promise: 'the id of an event is one exact position per partition that can be written again, or refused',
  dictionary: ['.', '0', 'zzzzzzzzzzz', '9007199254740991', '2gosa7pa2gv', '2gosa7pa2gw', '-', 'Z'],
  cases: 8_000,
  run(bytes) {
    const text = bytes.toString('latin1');
    for (const count of [1, 2, text.split('.').length]) {
      const positions = unlessRefused(() => parseWatchId('Last-Event-ID', text, count));
      if (positions === undefined) continue;
      promiseSame(positions.length, count, 'the number of positions');
      for (const position of positions) promiseCount(position, 'position');
      promiseSame(parseWatchId('from', formatWatchId(positions), count), positions, 'the id read again');
    }
  },
};

/** Lines: target, condition, tags, accept, duration; the rest is a body. */
const fields: FuzzTarget = {
  name: 'http-fields',
  promise: 'fields of a request have their meaning, or are refused with the field, the value and the rule',
  dictionary: [
    '%',
    '%00',
    '%F0%9F%98%80',
    '%ED%A0%80',
    '+',
    '&',
    '?',
    '#',
    '"',
    'W/',
    '*',
    ',',
    ';q=',
    'application/json',
    '30s',
    '1e3',
    '//',
    '/v1/caches/demo/keys/',
  ],
  cases: 6_000,
  run(bytes) {
    const [target = '', condition = '', tags = '', accept = '', time = '', body = ''] = splitLines(bytes, 6);
    const key = unlessRefused(() => keyOf(target));
    promise(key === undefined || !/\p{Surrogate}/u.test(key), () => 'a key that is no text');
    const part = decodePart(target);
    promise(part === undefined || part.length <= target.length, () => 'a part that grew');
    const query = unlessRefused(() => parseQuery(target, ['prefix', 'after']));
    for (const name of query?.keys() ?? []) promise(['prefix', 'after'].includes(name), () => `parameter ${name}`);
    const parsed = unlessRefused(() => parseCondition('If-Match', condition));
    if (parsed !== undefined && parsed !== '*') {
      for (const { revision } of parsed) if (revision !== undefined) promiseCount(revision, 'revision', 1);
      promise(isMatch(parsed, 5, 'weak') || !isMatch(parsed, 5, 'strong'), () => 'strong without weak');
    }
    const list = unlessRefused(() => parseTagList(tags));
    if (list !== undefined && !list.some((tag) => /,|^\s|\s$|[^\x20-\uffff]/.test(tag) || tag.trim() === ''))
      promiseSame(parseTagList(formatTagList(list)), list, 'the tags read again');
    chooseType(accept, ['application/json', 'text/event-stream']);
    const timeMs = unlessRefused(() => parseTime('ttl', time));
    if (timeMs !== undefined) promiseCount(timeMs, 'ttl');
    const position = unlessRefused(() => parsePosition('position', time));
    if (position !== undefined) promiseCount(position, 'position');
    const count = unlessRefused(() => parseCount('limit', time, 1, 1_000));
    if (count !== undefined) promiseCount(count, 'limit', 1, 1_000);
    unlessRefused(() => parseJson(accept, Buffer.from(body)));
  },
};

const answerLimitMs = 10_000;
const doorLimits = { headersTimeoutMs: 1_000, requestTimeoutMs: 2_000, headerBytesMax: 4_096, bodyBytesMax: 65_536 };

let door: Promise<TestDoor> | undefined;
let asked = 0;

async function openDoor(): Promise<TestDoor> {
  const started = await startDoor({ http: doorLimits, readWaitMaxMs: 50 });
  await started.ask('PUT', '/v1/caches/demo/keys/kept', { body: 'the value' });
  return started;
}

/** Sends the bytes, ends, and gives all that came back once the door has closed the connection. */
function exchange(port: number, bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' });
    const received: Buffer[] = [];
    const limit = setTimeout(() => {
      socket.destroy();
      reject(new Error(`the connection was not closed within ${answerLimitMs} ms`));
    }, answerLimitMs);
    socket.on('data', (chunk) => received.push(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(limit);
      resolve(Buffer.concat(received));
    });
    socket.end(bytes);
  });
}

/** Each answer of the connection is a whole HTTP response with a status of ours. Only the last one may be cut. */
export function checkResponses(received: Buffer): number[] {
  const statuses: number[] = [];
  for (let at = 0; at < received.length; ) {
    const headEnd = received.indexOf('\r\n\r\n', at);
    if (headEnd < 0) break;
    const head = received.toString('latin1', at, headEnd);
    const status = Number(
      /^HTTP\/1\.1 (\d{3}) [\x20-\x7e]*(?:\r\n[!#$%&'*+.^_`|~0-9A-Za-z-]+: [\x20-\xff]*)*$/.exec(head)?.[1],
    );
    promise(status >= 100 && status < 600, () => `no head of a response: ${JSON.stringify(head.slice(0, 200))}`);
    statuses.push(status);
    const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
    // A response to HEAD has a length and no body; an event stream and a chunked body go on to the end.
    if (length === undefined && status !== 204 && status !== 304 && status !== 100) break;
    at = headEnd + 4;
    const bodyEnd = at + Number(length ?? 0);
    if (!received.toString('latin1', at, at + 9).startsWith('HTTP/1.1 ')) at = bodyEnd;
  }
  return statuses;
}

const connections: FuzzTarget = {
  name: 'connections',
  promise:
    'whatever arrives on a connection is answered by whole responses, never 500, and others are served as before',
  dictionary: [
    'GET /v1/caches/demo/keys/kept HTTP/1.1\r\nHost: a\r\n\r\n',
    'PUT /v1/caches/demo/keys/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx',
    'Content-Length: 3\r\n',
    'Transfer-Encoding: chunked\r\n',
    'Transfer-Encoding: xchunked\r\n',
    'Expect: 100-continue\r\n',
    'Upgrade: h2c\r\nConnection: upgrade\r\n',
    'If-Match: "1"\r\n',
    'Sluice-Min-Position: 5\r\n',
    'Last-Event-ID: 7\r\n',
    'Host: a\r\n',
    '0\r\n\r\n',
    '\r\n\r\n',
    'ffffffff\r\n',
    '/v1/caches/demo/watch',
    '/v1/caches/demo/keys?limit=',
    'http://a/v1',
    'HTTP/1.0',
    'HTTP/2.0',
    '\n',
    '\u0000',
    'HEAD',
    'DELETE',
    'CONNECT',
    'TRACE',
    ' :',
  ],
  cases: 600,
  async run(bytes) {
    const { port, logged, ask, node } = await (door ??= openDoor());
    const statuses = checkResponses(await exchange(port, bytes));
    promise(!statuses.includes(500), () => `answered ${statuses.join(' ')}`);
    promise(
      !logged.some(({ level }) => level === 'error'),
      () => `logged ${JSON.stringify(logged.at(-1)).slice(0, 500)}`,
    );
    asked += 1;
    if (asked % 64 !== 0) return;
    // A case may have written or removed the key itself; what must hold is that the door answers what the cache holds.
    const held = await node.cache('demo').service.get('kept', {});
    const reply = await ask('GET', '/v1/caches/demo/keys/kept');
    promiseSame(reply.status, held.found === undefined ? 404 : 200, 'the status of the next client');
    if (held.found !== undefined)
      promiseSame(reply.body, Buffer.from(held.found.value), 'the value of the next client');
  },
  async close() {
    await (await door)?.stop();
    door = undefined;
  },
};

export const doorTargets: readonly FuzzTarget[] = [watchIds, fields, connections];
