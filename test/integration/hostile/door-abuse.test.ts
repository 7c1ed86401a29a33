/**
 * Abuse of a real node's HTTP door by raw sockets. Under each attack an ordinary client goes on asking and is always answered
 * rightly (its latency is reported, not judged), memory and descriptors stay below a bound, a limit of docs/configuration.md
 * ends the attackers, and afterwards the node is as small as before.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, before, describe, it, type TestContext } from 'node:test';
import { declareCache, putKey } from '../../support/http-cache-client.ts';
import { startNatsServer, type TestServer } from '../../support/nats-server.ts';
import { type NodeProcess, startNode } from '../../support/node-process.ts';
import { startOrdinaryClient } from '../../support/ordinary-client.ts';
import { openFilesMax, processSize, watchSize } from '../../support/process-size.ts';
import { waitUntil } from '../../support/wait-until.ts';

const value = 'the value that everybody reads';
const largeBytes = 1_000_000;
const limits = {
  SLUICE_HTTP_HEADERS_TIMEOUT: '12s',
  SLUICE_HTTP_REQUEST_TIMEOUT: '14s',
  SLUICE_HTTP_STALL_TIMEOUT: '8s',
  SLUICE_HTTP_CONNECTIONS_MAX: '12000',
  SLUICE_WATCH_BYTES_MAX: '32MiB',
};
const MiB = 1024 * 1024;
/** Far above what a timer needs, far below for ever. */
const endMs = 60_000;

interface Attacker {
  readonly socket: Socket;
  text: string;
  isClosed: boolean;
}

let server: TestServer;
let node: NodeProcess;
let port = 0;
const attackers = new Set<Attacker>();

before(async () => {
  server = await startNatsServer();
  node = await startNode({ id: 'node-1', nats: server.url, env: limits });
  await node.ready();
  port = Number(new URL(node.url).port);
  assert.equal((await declareCache(node.url, 'demo')).status, 201);
  assert.equal((await putKey(node.url, 'demo', 'kept', value)).status, 204);
  assert.equal((await putKey(node.url, 'demo', 'large', 'x'.repeat(largeBytes))).status, 204);
});

after(async () => {
  for (const { socket } of attackers) socket.destroy();
  await node?.stop();
  await server?.stop();
});

/** A connection that says nothing by itself; it reads nothing either, unless told. Undefined when it was refused. */
async function attack(reads = true, first?: string | Buffer): Promise<Attacker | undefined> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const attacker: Attacker = { socket, text: '', isClosed: false };
  socket.on('error', () => undefined);
  socket.on('close', () => {
    attacker.isClosed = true;
    attackers.delete(attacker);
  });
  socket.on('end', () => socket.end());
  try {
    await once(socket, 'connect');
  } catch {
    return undefined;
  }
  attackers.add(attacker);
  if (reads) socket.on('data', (chunk: Buffer) => (attacker.text += chunk.toString('latin1').slice(0, 4_096)));
  else socket.pause();
  if (first !== undefined) socket.write(first);
  return attacker;
}

async function attackMany(count: number, reads: boolean, first?: string | Buffer): Promise<Attacker[]> {
  const made: Attacker[] = [];
  while (made.length < count) {
    const some = await Promise.all(
      Array.from({ length: Math.min(200, count - made.length) }, () => attack(reads, first)),
    );
    made.push(...some.filter((one) => one !== undefined));
  }
  return made;
}

const allClosed = (some: readonly Attacker[], what: string): Promise<true> =>
  waitUntil(what, () => some.every(({ isClosed }) => isClosed), endMs);

/** True once the node has closed that many connections: one that reads nothing does not learn of it by itself. */
const descriptorsBack = (most: number): Promise<true> =>
  waitUntil(`at most ${most} descriptors`, () => processSize(node.pid).descriptors <= most, endMs);

interface Bounds {
  /** Above what it had before. */
  readonly residentMiB: number;
  readonly descriptors: number;
}

/** Runs an attack beside the ordinary client, and holds the node to its bounds. */
async function under(t: TestContext, bounds: Bounds, work: () => Promise<void>): Promise<void> {
  const before = processSize(node.pid);
  const stopWatching = watchSize(node.pid);
  const others = startOrdinaryClient(`${node.url}/v1/caches/demo/keys/kept`, value);
  try {
    await work();
    await descriptorsBack(before.descriptors + 20);
    await waitUntil('others are answered', () => others.asked >= 50, endMs);
  } finally {
    for (const { socket } of attackers) socket.destroy();
    const report = await others.stop();
    const most = stopWatching();
    const now = processSize(node.pid);
    const grown = (bytes: number): string => `${Math.round((bytes - before.residentBytes) / MiB)} MiB`;
    t.diagnostic(
      `others: ${report.answered} answered, p50 ${report.p50Ms.toFixed(1)} ms, p99 ${report.p99Ms.toFixed(1)} ms, worst ${report.maxMs.toFixed(0)} ms; ` +
        `memory +${grown(most.residentBytes)} at most, +${grown(now.residentBytes)} afterwards; ${most.descriptors} descriptors at most`,
    );
    assert.deepEqual(report.wrong, []);
    assert.ok(most.descriptors <= before.descriptors + bounds.descriptors, `${most.descriptors} descriptors`);
    assert.ok(
      most.residentBytes <= before.residentBytes + bounds.residentMiB * MiB,
      `memory grew by ${grown(most.residentBytes)}`,
    );
  }
  await waitUntil(
    'the memory comes back',
    async () => {
      // Asking makes the node work, and so collect what it no longer uses.
      await fetch(`${node.url}/metrics`).then((response) => response.text());
      return processSize(node.pid).residentBytes <= before.residentBytes + 200 * MiB;
    },
    endMs,
  );
  assert.equal((await fetch(`${node.url}/readyz`)).status, 200);
}

const keyOf = (name: string): string => `/v1/caches/demo/keys/${name}`;
const head = (method: string, path: string, ...fields: string[]): string =>
  [`${method} ${path} HTTP/1.1`, 'Host: x', ...fields, '', ''].join('\r\n');
const statusOf = (attacker: Attacker): number => Number(/^HTTP\/1\.1 (\d{3})/.exec(attacker.text)?.[1] ?? 0);

/** Who goes on sending when it is told may lose the answer to the reset of the connection; but most are told. */
function checkEnded(some: readonly Attacker[], status: number): void {
  const told = some.filter((one) => statusOf(one) === status).length;
  for (const one of some) assert.ok([status, 408, 0].includes(statusOf(one)), one.text.slice(0, 200));
  assert.ok(told > some.length / 4, `${told} of ${some.length} were told ${status}`);
}

describe('a node whose door is abused', () => {
  it('ends heads that come a byte at a time by http.headersTimeout', async (t) => {
    await under(t, { residentMiB: 200, descriptors: 520 }, async () => {
      const slow = await attackMany(500, true, 'GET / HTTP/1.1\r\nHost: x\r\n');
      const drip = setInterval(() => {
        for (const { socket, isClosed } of slow) if (!isClosed) socket.write('X');
      }, 200);
      await allClosed(slow, 'slow heads are ended');
      clearInterval(drip);
      checkEnded(slow, 408);
    });
  });

  it('ends bodies that never end by http.requestTimeout, and large ones by http.bodyBytesMax', async (t) => {
    await under(t, { residentMiB: 400, descriptors: 320 }, async () => {
      const slow = await attackMany(200, true, head('PUT', keyOf('endless'), 'Content-Length: 1000000'));
      const chunked = await attackMany(100, true, head('PUT', keyOf('endless'), 'Transfer-Encoding: chunked'));
      const piece = 'x'.repeat(16_384);
      const drip = setInterval(() => {
        for (const { socket, isClosed } of slow) if (!isClosed) socket.write('x');
        for (const { socket, isClosed } of chunked)
          if (!isClosed && socket.writableLength < MiB) socket.write(`4000\r\n${piece}\r\n`);
      }, 20);
      await allClosed([...slow, ...chunked], 'endless bodies are ended');
      clearInterval(drip);
      checkEnded(slow, 408);
      checkEnded(chunked, 413);
    });
    assert.equal((await fetch(`${node.url}${keyOf('endless')}`)).status, 404);
  });

  it('refuses every shape that two servers could read in two ways, and runs nothing that hides in it', async (t) => {
    const hidden = head('PUT', keyOf('smuggled'), 'Content-Length: 1');
    const cl = (length: number): string => `Content-Length: ${length}`;
    const chunkedEnd = '0\r\n\r\n';
    const shapes: Record<string, string> = {
      'length and chunks': `${head('PUT', keyOf('a'), cl(5), 'Transfer-Encoding: chunked')}${chunkedEnd}${hidden}x`,
      'chunks and length': `${head('PUT', keyOf('a'), 'Transfer-Encoding: chunked', cl(5))}${chunkedEnd}${hidden}x`,
      'two lengths': `${head('PUT', keyOf('a'), cl(0), cl(44))}${hidden}x`,
      'a list of lengths': `${head('PUT', keyOf('a'), 'Content-Length: 0, 44')}${hidden}x`,
      'a signed length': `${head('PUT', keyOf('a'), 'Content-Length: +0')}${hidden}x`,
      'a length in hex': `${head('PUT', keyOf('a'), 'Content-Length: 0x0')}${hidden}x`,
      'a folded field': `${head('PUT', keyOf('a'), 'Transfer-Encoding:\r\n chunked')}${hidden}x`,
      'a space before the colon': `${head('PUT', keyOf('a'), 'Content-Length : 0')}${hidden}x`,
      'a tab before the colon': `${head('PUT', keyOf('a'), 'Transfer-Encoding\t: chunked')}${hidden}x`,
      'NUL in a name': `${head('PUT', keyOf('a'), 'Content-\u0000Length: 0')}${hidden}x`,
      'NUL in a value': `${head('PUT', keyOf('a'), 'X: \u0000')}${hidden}x`,
      'a bare CR in a value': `${head('PUT', keyOf('a'), 'X: a\rContent-Length: 0')}${hidden}x`,
      'a line end of LF alone': `PUT ${keyOf('a')} HTTP/1.1\nHost: x\nContent-Length: 0\n\n${hidden}x`,
      'chunked, misspelt': `${head('PUT', keyOf('a'), 'Transfer-Encoding: xchunked')}${chunkedEnd}${hidden}x`,
      'chunked before another': `${head('PUT', keyOf('a'), 'Transfer-Encoding: chunked, identity')}${chunkedEnd}${hidden}x`,
      'chunked twice': `${head('PUT', keyOf('a'), 'Transfer-Encoding: chunked', 'Transfer-Encoding: cow')}${chunkedEnd}${hidden}x`,
      'a chunk size with a sign': `${head('PUT', keyOf('a'), 'Transfer-Encoding: chunked')}+1\r\nx\r\n${chunkedEnd}${hidden}x`,
      'a chunk size of 16 digits': `${head('PUT', keyOf('a'), 'Transfer-Encoding: chunked')}ffffffffffffffff\r\nx\r\n${chunkedEnd}${hidden}x`,
      'a chunk longer than it says': `${head('PUT', keyOf('a'), 'Transfer-Encoding: chunked')}1\r\nxyz\r\n${chunkedEnd}${hidden}x`,
      'a space in the target': `GET ${keyOf('a')} b HTTP/1.1\r\nHost: x\r\n\r\n${hidden}x`,
      'no host': `GET ${keyOf('a')} HTTP/1.1\r\n\r\n${hidden}x`,
      'two hosts': `${head('GET', keyOf('a'), 'Host: y')}${hidden}x`,
      'a method of its own': `${head('SMUGGLE', keyOf('a'))}${hidden}x`,
      CONNECT: `CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n${hidden}x`,
    };
    await under(t, { residentMiB: 200, descriptors: 60 }, async () => {
      for (const [name, bytes] of Object.entries(shapes)) {
        const attacker = await attack(true, bytes);
        assert.ok(attacker !== undefined);
        attacker.socket.end();
        await allClosed([attacker], name);
        assert.ok(statusOf(attacker) >= 400 || statusOf(attacker) === 0, `${name}: ${attacker.text.slice(0, 300)}`);
        const smuggled = await fetch(`${node.url}${keyOf('smuggled')}`);
        assert.equal(smuggled.status, 404, `${name} was taken for two requests: ${attacker.text.slice(0, 300)}`);
      }
    });
  });

  it('takes absolute targets, ignored upgrades and chunked in any case for what they are', async () => {
    const ask = async (bytes: string): Promise<string> => {
      const attacker = await attack(true, bytes);
      assert.ok(attacker !== undefined);
      attacker.socket.end();
      await allClosed([attacker], bytes);
      return attacker.text;
    };
    assert.match(await ask(`GET http://evil.example${keyOf('kept')} HTTP/1.1\r\nHost: x\r\n\r\n`), /^HTTP\/1\.1 200 /);
    const upgrade = await ask(
      head('GET', keyOf('kept'), 'Connection: upgrade', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk'),
    );
    assert.doesNotMatch(upgrade, /^HTTP\/1\.1 101/);
    const chunked = `${head('PUT', keyOf('cased'), 'transfer-encoding: CHUNKED')}1\r\nx\r\n0\r\n\r\n`;
    const attacker = await attack(true, chunked);
    await waitUntil('the put is answered', () => attacker?.text.startsWith('HTTP/1.1 204'));
    attacker?.socket.destroy();
    assert.equal(await (await fetch(`${node.url}${keyOf('cased')}`)).text(), 'x');
  });

  it('bears ten thousand idle connections, and ends them by http.headersTimeout', async (t) => {
    const count = Math.min(10_000, Math.floor(openFilesMax() - 1_000));
    t.diagnostic(`${count} idle connections; this machine allows ${openFilesMax()} open files`);
    assert.ok(count >= 1_000, 'too few open files are allowed to show anything');
    await under(t, { residentMiB: 600, descriptors: count + 100 }, async () => {
      const idle = await attackMany(count, true);
      t.diagnostic(`${processSize(node.pid).descriptors} descriptors when the last of them was made`);
      await allClosed(idle, 'idle connections are ended');
    });
  });

  it('ends pipelines by http.pipelinedMax, and those that do not read their answers by http.stallTimeout', async (t) => {
    await under(t, { residentMiB: 700, descriptors: 260 }, async () => {
      const before = processSize(node.pid).descriptors;
      // Each is 100 KB, which is several reads of the node; it is cut at the first of them.
      const flood = head('GET', keyOf('kept')).repeat(2_000);
      for (let round = 0; round < 10; round += 1)
        await allClosed(await attackMany(30, true, flood), 'pipelines are closed');
      await attackMany(60, false, head('GET', keyOf('large')).repeat(20));
      await waitUntil('all are connected', () => processSize(node.pid).descriptors >= before + 30, endMs);
      await waitUntil(
        'those that do not read are closed',
        () => processSize(node.pid).descriptors <= before + 20,
        endMs,
      );
    });
  });

  it('ends connections that are half closed', async (t) => {
    await under(t, { residentMiB: 300, descriptors: 620 }, async () => {
      const half = await attackMany(300, true, head('GET', keyOf('kept')));
      for (const { socket } of half) socket.end();
      const partial = await attackMany(
        300,
        true,
        'PUT /v1/caches/demo/keys/half HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx',
      );
      for (const { socket } of partial) socket.end();
      await allClosed([...half, ...partial], 'half-closed connections are ended');
    });
    assert.equal((await fetch(`${node.url}${keyOf('half')}`)).status, 404);
  });

  it('drops a thousand readers of changes that never read, by watch.bytesMax', async (t) => {
    await under(t, { residentMiB: 900, descriptors: 1_050 }, async () => {
      const before = processSize(node.pid).descriptors;
      await attackMany(1_000, false, head('GET', '/v1/caches/demo/watch?values=base64', 'Accept: text/event-stream'));
      await waitUntil('all are connected', () => processSize(node.pid).descriptors >= before + 1_000, endMs);
      const body = 'y'.repeat(30_000);
      for (let index = 0; index < 60; index += 1)
        assert.equal((await putKey(node.url, 'demo', `seen ${index % 4}`, body)).status, 204);
      await waitUntil(
        'the readers are dropped',
        async () => {
          assert.equal((await putKey(node.url, 'demo', 'seen', body)).status, 204);
          return processSize(node.pid).descriptors <= before + 20;
        },
        endMs,
      );
    });
  });
});
