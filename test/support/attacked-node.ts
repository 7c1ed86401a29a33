/**
 * A real node under attack by raw sockets, and an ordinary client beside them. To import it starts the node before the tests of a
 * file, and stops it after them.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, before, type TestContext } from 'node:test';
import { declareCache, putKey } from './http-cache-client.ts';
import { startNatsServer, type TestServer } from './nats-server.ts';
import { type NodeProcess, startNode } from './node-process.ts';
import { startOrdinaryClient } from './ordinary-client.ts';
import { processSize, watchSize } from './process-size.ts';
import { waitUntil } from './wait-until.ts';

const value = 'the value that everybody reads';
const largeBytes = 1_000_000;
const limits = {
  SLUICE_HTTP_HEADERS_TIMEOUT: '4s',
  SLUICE_HTTP_REQUEST_TIMEOUT: '6s',
  SLUICE_HTTP_STALL_TIMEOUT: '8s',
  SLUICE_HTTP_CONNECTIONS_MAX: '12000',
  SLUICE_WATCH_BYTES_MAX: '32MiB',
};
const MiB = 1024 * 1024;
/** Far above what a timer needs, far below for ever. */
export const endMs = 60_000;

export interface Attacker {
  readonly socket: Socket;
  text: string;
  isClosed: boolean;
}

let server: TestServer;
export let node: NodeProcess;
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
export async function attack(reads = true, first?: string | Buffer): Promise<Attacker | undefined> {
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

export async function attackMany(count: number, reads: boolean, first?: string | Buffer): Promise<Attacker[]> {
  const made: Attacker[] = [];
  while (made.length < count) {
    const some = await Promise.all(
      Array.from({ length: Math.min(200, count - made.length) }, () => attack(reads, first)),
    );
    made.push(...some.filter((one) => one !== undefined));
  }
  return made;
}

export const allClosed = (some: readonly Attacker[], what: string): Promise<true> =>
  waitUntil(what, () => some.every(({ isClosed }) => isClosed), endMs);

/** True once the node has closed that many connections: one that reads nothing does not learn of it by itself. */
const descriptorsBack = (most: number): Promise<true> =>
  waitUntil(`at most ${most} descriptors`, () => processSize(node.pid).descriptors <= most, endMs);

export interface Bounds {
  /** Above what it had before. */
  readonly residentMiB: number;
  readonly descriptors: number;
}

/** Runs an attack beside the ordinary client, and holds the node to its bounds. */
export async function under(t: TestContext, bounds: Bounds, work: () => Promise<void>): Promise<void> {
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
      await fetch(`${node.url}${keyOf('large')}`).then((response) => response.arrayBuffer());
      return processSize(node.pid).residentBytes <= before.residentBytes + 300 * MiB;
    },
    endMs,
  );
  assert.equal((await fetch(`${node.url}/readyz`)).status, 200);
}

export const keyOf = (name: string): string => `/v1/caches/demo/keys/${name}`;
export const head = (method: string, path: string, ...fields: string[]): string =>
  [`${method} ${path} HTTP/1.1`, 'Host: x', ...fields, '', ''].join('\r\n');
export const statusOf = (attacker: Attacker): number => Number(/^HTTP\/1\.1 (\d{3})/.exec(attacker.text)?.[1] ?? 0);

/** Who goes on sending when it is told may lose the answer to the reset of the connection; but most are told. */
export function checkEnded(some: readonly Attacker[], status: number): void {
  const told = some.filter((one) => statusOf(one) === status).length;
  for (const one of some) assert.ok([status, 408, 0].includes(statusOf(one)), one.text.slice(0, 200));
  assert.ok(told > some.length / 4, `${told} of ${some.length} were told ${status}`);
}
