/**
 * A poisoned log: tens of thousands of random, truncated, foreign and future messages on every subject that the product reads.
 * What each one is counted as is known beforehand, because the same decoders say so here; nothing stops, the good entries stay
 * right, and a node that replays the poison agrees with the one that lived through it.
 */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Msg } from '@nats-io/nats-core';
import { connect as connectNats, type NatsConnection } from '@nats-io/transport-node';
import { decodeControlRecord } from '../../../src/events/control.ts';
import { decodeBucketRecord } from '../../../src/events/entry.ts';
import { recordOf } from '../../../src/events/record.ts';
import { bucketSubjects } from '../../../src/events/subjects.ts';
import { type CoherentCache, connect, type Sluice } from '../../../src/index.ts';
import { decodePulse, isRefused } from '../../../src/membership/pulse.ts';
import { createSeededRandom } from '../../../src/testing/seeded-random.ts';
import { loadCorpus } from '../../fuzz/corpus.ts';
import { mutate } from '../../fuzz/mutate.ts';
import { declareCache, getJson, getKey, putKey } from '../../support/http-cache-client.ts';
import { startNatsServer, type TestServer } from '../../support/nats-server.ts';
import { type NodeProcess, startNode } from '../../support/node-process.ts';
import { waitUntil } from '../../support/wait-until.ts';

const seed = 20_261;
const goodCount = 500;
const messages = { bucket: 55_000, tag: 5_000, control: 30_000, pulse: 8_000, request: 2_000 };
const subjects = bucketSubjects('sluice', 'demo');
const random = createSeededRandom(seed);
const expected = new Map<string, number>();
const count = (kind: string): void => void expected.set(kind, (expected.get(kind) ?? 0) + 1);

let server: TestServer;
let first: NodeProcess;
let second: NodeProcess | undefined;
let sluice: Sluice;
let cache: CoherentCache<string>;
let nats: NatsConnection;
let lastPut = 0;

before(async () => {
  server = await startNatsServer();
  first = await startNode({ id: 'node-1', nats: server.url });
  await first.ready();
  assert.equal((await declareCache(first.url, 'demo')).status, 201);
  sluice = await connect({ servers: server.url });
  cache = await sluice.open<string>('demo');
  nats = await connectNats({ servers: server.url });
});

after(async () => {
  await nats?.close();
  await sluice?.close();
  await second?.stop();
  await first?.stop();
  await server?.stop();
});

/** The driver only calls `encode`, so any bytes can stand where headers do. */
function publish(subject: string, data: Uint8Array, header?: Uint8Array): void {
  nats.publish(subject, data, header === undefined ? {} : { headers: { encode: () => header } as never });
}

const randomBytes = (max: number): Buffer =>
  Buffer.from(Array.from({ length: random.below(max) }, () => random.below(256)));
const entryCorpus = loadCorpus('entries');
const headerCorpus = loadCorpus('headers');
const controlCorpus = loadCorpus('control-events');
const words = ['Sluice-Expires: ', 'Sluice-Key: ', 'KV-Operation: ', 'Nats-TTL: ', '\r\n', ':'].map((word) =>
  Buffer.from(word),
);

/** A header block that the server takes: it looks at the first and the last line alone, and acts upon its own fields. */
function poisonedHeader(): Buffer | undefined {
  if (random.below(3) === 0) return undefined;
  const block = mutate(random, headerCorpus, words).toString('latin1').slice(0, 2_000);
  const lines = block.replace(/^NATS\/1\.0[^\n]*\n?/, '').replace(/Nats-/g, 'Nuts-');
  return Buffer.from(`NATS/1.0\r\n${lines.replace(/[\r\n]+$/, '')}\r\n\r\n`, 'latin1');
}

function publishToBucket(subject: string, data: Buffer): void {
  const header = poisonedHeader();
  const record = recordOf({ position: 1, atMs: Date.now(), subject, header, data });
  const event = decodeBucketRecord({ subjects, log: { maxAgeMs: Number.POSITIVE_INFINITY } }, record);
  if (event.type === 'cache.cleared') return;
  if (event.type === 'foreign') count('bucket-foreign');
  if (event.type === 'entry.unreadable') count('bucket-unreadable');
  publish(subject, data, header);
}

const tokenTails = ['', '=41', '=zz', '=FF', '.=2E', '=sha256-00', '/x', '=ED=A0=80', '._kv'];

/** Each subject is used once, so that the stream replaces nothing and each message is seen. */
function poisonBucket(index: number): void {
  const isHuge = index % 1_500 === 0;
  const data = isHuge ? Buffer.alloc(1_000_000, index) : mutate(random, entryCorpus, words).subarray(0, 600);
  const prefix = index % 10 === 9 ? 'sluice.bucket.demo.v9.' : subjects.keyPrefix;
  publishToBucket(`${prefix}poison-${index}-${'x'.repeat(random.below(80))}${random.pick(tokenTails)}`, data);
}

function poisonTag(index: number): void {
  publishToBucket(`${subjects.tagPrefix}poison-${index}${random.pick(tokenTails)}`, randomBytes(40));
}

const controlTails = ['.paused', '.joined', '.left', '.declared', '.dropped', '', '.1', '.x.y.z'];
const controlHeads = ['member.poison', 'cache.poison', 'lease.poison', 'command.poison', 'outcome.poison'];

/** Only what no version could take for an event: who publishes good control events is an operator. */
function poisonControl(index: number): void {
  const mutated = mutate(random, controlCorpus, words);
  const lineEnd = mutated.indexOf(0x0a);
  const data = (lineEnd < 0 ? mutated : mutated.subarray(lineEnd + 1)).subarray(0, 5_000);
  const body = random.below(4) === 0 ? data.subarray(0, random.below(data.length + 1)) : data;
  const head = random.pick(controlHeads);
  const isFlat = head.startsWith('command') || head.startsWith('outcome');
  const subject = `sluice.${head}-${index}${isFlat ? '' : `.a${index}${random.pick(controlTails)}`}`;
  const record = recordOf({ position: 1, atMs: 0, subject, header: undefined, data: body });
  const { event } = decodeControlRecord('sluice', record);
  if (event.type === 'control.unreadable') count('control-unreadable');
  else if (event.type === 'control.unknown') count('control-unknown');
  else return;
  publish(subject, body, random.below(2) === 0 ? poisonedHeader() : undefined);
}

const pulseCorpus = loadCorpus('pulses');

function poisonPulse(index: number): void {
  const body = mutate(random, pulseCorpus, words).subarray(0, 20_000);
  if (isRefused(decodePulse(body))) count('pulse');
  publish(`sluice.pulse.poison-${index}`, body);
}

/** `node` as the corpus has it never lived, so its pulses must not count for a member either. */
const strangerPulse = (index: number): Buffer =>
  Buffer.from(
    JSON.stringify({
      v: 1,
      node: `stranger-${index}`,
      incarnation: 'a',
      sequence: 1,
      epoch: 1,
      ready: {},
      appliedControl: 1,
      state: 'ready',
    }),
  );

function poisonRequest(): void {
  const verb = random.pick(['get', 'list', 'reached', 'explode', 'v9']);
  const form = random.below(3);
  publish(
    `sluice.request.node-1.${verb}`,
    form === 0 ? randomBytes(200) : Buffer.from(form === 1 ? '{"cache":"demo"' : '[]\n'),
  );
  count('request');
}

async function sendAll(total: number, send: (index: number) => void): Promise<void> {
  for (let index = 0; index < total; index += 1) {
    send(index);
    if (index % 500 === 499) await nats.flush();
  }
  await nats.flush();
}

const undecodable = async (node: NodeProcess): Promise<Record<string, number>> => {
  const text = await (await fetch(`${node.url}/metrics`)).text();
  const lines = text.matchAll(/^sluice_undecodable_total\{kind="([a-z-]+)"[^}]*\} (\d+)$/gm);
  return Object.fromEntries([...lines].map(([, kind, value]) => [kind, Number(value)]));
};

const expectedOf = (...kinds: string[]): Record<string, number> =>
  Object.fromEntries(kinds.map((kind) => [kind, expected.get(kind) ?? 0]));

/** All keys that a node holds with their revisions, as text. */
async function listing(node: NodeProcess): Promise<string> {
  const response = await fetch(`${node.url}/v1/caches/demo/keys`, { headers: { accept: 'application/x-ndjson' } });
  return response.text();
}

async function checkGood(node: NodeProcess): Promise<void> {
  const demand = { 'sluice-min-position': String(lastPut) };
  for (let index = 0; index < goodCount; index += 1)
    assert.equal(
      (await getKey(node.url, 'demo', `good ${index}`, demand)).text,
      JSON.stringify(`value ${index}`),
      `${node.id} ${index}`,
    );
}

describe('a poisoned log', () => {
  it('stops nobody: the node and the library go on, and all good entries are right', async (t) => {
    for (let index = 0; index < goodCount; index += 1) {
      const put = cache.put(`good ${index}`, `value ${index}`);
      if (index % 50 === 49) await put;
    }
    await sendAll(messages.bucket, poisonBucket);
    await sendAll(messages.tag, poisonTag);
    await sendAll(messages.control, poisonControl);
    await sendAll(messages.pulse, poisonPulse);
    await sendAll(5_000, (index) => publish('sluice.pulse.stranger', strangerPulse(index)));
    await sendAll(messages.request, poisonRequest);
    const total = Object.values(messages).reduce((sum, one) => sum + one, 5_000);
    t.diagnostic(`${total} messages, of which undecodable: ${JSON.stringify(Object.fromEntries(expected))}`);
    assert.ok(total >= 100_000);

    const { revision } = await cache.put('last', 'good');
    lastPut = revision;
    await cache.reached(revision, { waitMs: 60_000 });
    await waitUntil(
      'the node has applied everything',
      async () => (await getKey(first.url, 'demo', 'last', { 'sluice-min-position': String(revision) })).status === 200,
      60_000,
    );
    await checkGood(first);
    for (let index = 0; index < goodCount; index += 1) assert.equal(cache.get(`good ${index}`), `value ${index}`);
    assert.equal((await putKey(first.url, 'demo', 'after', 'x')).status, 204);
  });

  it('counts each message by its kind', async () => {
    const counted = await waitUntil('all requests were answered', async () => {
      const now = await undecodable(first);
      return (now['request'] ?? 0) >= messages.request && (now['pulse'] ?? 0) >= (expected.get('pulse') ?? 0) && now;
    });
    assert.deepEqual(counted, expectedOf(...Object.keys(counted)));
    for (const kind of Object.keys(counted)) assert.ok((counted[kind] ?? 0) > 100, `${kind}: ${counted[kind]}`);
  });

  it('fills no log with lines', () => {
    const lines = first.output.split('\n').filter((line) => line !== '');
    assert.ok(lines.length < 100, `${lines.length} lines: ${lines.slice(-5).join('\n')}`);
    assert.doesNotMatch(first.output, /"level":(50|60)|uncaught|unhandled/i);
  });

  it('answers a request whose answer would be larger than a message, instead of ending', async () => {
    const wanted = { cache: 'demo', partition: 0, epoch: 1, limit: 10_000 };
    const answer: Msg = await nats.request('sluice.request.node-1.list', `${JSON.stringify(wanted)}\n`, {
      timeout: 10_000,
    });
    const page = JSON.parse(answer.string()) as { keys: { key: string }[]; next?: string };
    assert.ok(page.keys.length > 100, `${page.keys.length} keys`);
    assert.equal(page.next, page.keys.at(-1)?.key);
    // Without its head and tags such a value fits into a message, and with them it does not.
    const large = Buffer.alloc(1_048_000, 1);
    const put = await putKey(first.url, 'demo', 'large', large, { 'sluice-tags': 'a'.repeat(100) });
    assert.equal(put.status, 204, put.text);
    const get = { cache: 'demo', partition: 0, epoch: 1, key: 'large' };
    const refused = await nats.request('sluice.request.node-1.get', `${JSON.stringify(get)}\n`, { timeout: 10_000 });
    assert.ok(
      refused.data.length > 1_048_000 || /"code":"too-large"/.test(refused.string()),
      refused.string().slice(0, 200),
    );
    assert.equal((await fetch(`${first.url}/readyz`)).status, 200);
  });

  it('hears a member that joins, though strangers have pulsed under thousands of names', async () => {
    second = await startNode({ id: 'node-2', nats: server.url });
    await second.ready();
    const states = await waitUntil('both are ready in the eyes of the first', async () => {
      const { members } = await getJson<{ members: { node: string; state: string }[] }>(first.url, '/v1/members');
      return members.length === 2 && members.every(({ state }) => state === 'ready') && members;
    });
    assert.deepEqual(states.map(({ node }) => node).sort(), ['node-1', 'node-2']);
  });

  it('gives a node that replays it the same entries and the same counts', async () => {
    assert.ok(second !== undefined);
    await checkGood(second);
    const kinds = ['bucket-foreign', 'bucket-unreadable', 'control-unreadable', 'control-unknown'];
    const counted = await undecodable(second);
    assert.deepEqual(Object.fromEntries(kinds.map((kind) => [kind, counted[kind]])), expectedOf(...kinds));
    const replayed = second;
    const [one, other] = await waitUntil('both have applied the same', async () => {
      const lists = await Promise.all([listing(first), listing(replayed)]);
      return lists[0] === lists[1] ? lists : undefined;
    });
    assert.equal(one, other);
    assert.match(one ?? '', /"complete":true/);
  });
});
