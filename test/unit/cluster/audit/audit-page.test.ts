/** The contract of the request `audit`: what a copy answers of itself, against a log in memory and a clock that stands still. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { answerAuditHere } from '../../../../src/cluster/audit/audit-door.ts';
import { decodePresence, encodePresence } from '../../../../src/cluster/audit/copies.ts';
import type { CacheHost } from '../../../../src/cluster/cache-host.ts';
import {
  decodePeerAnswer,
  encodePeerBody,
  type PeerAnswer,
  type PeerRequest,
} from '../../../../src/cluster/peer-protocol.ts';
import { isSluiceError } from '../../../../src/errors.ts';
import { bytesOf } from '../../../support/entries.ts';
import { createPartitionWorld, type PartitionWorld, type Process } from '../../../support/partition-world.ts';

type Page = PeerAnswer<'audit'>;

let world: PartitionWorld;
let node: Process;

beforeEach(async () => {
  world = createPartitionWorld();
  node = await world.process('node-1');
});
afterEach(() => world.stop());

/** Asks as another process does, through the bodies. */
async function ask(fields: Partial<PeerRequest<'audit'>> = {}, of: Process = node): Promise<Page> {
  const hosts = new Map([['demo', { views: new Map([[0, of.view]]) } as unknown as CacheHost]]);
  const request = { cache: 'demo', partition: 0, position: 0, waitMs: 1_000, limit: 100, ...fields };
  const body = await answerAuditHere({ hosts }, encodePeerBody(request), { name: of.name, waitMaxMs: 1_000 });
  return decodePeerAnswer('audit', body).fields;
}

async function fill(count: number): Promise<void> {
  for (let index = 0; index < count; index += 1)
    await world.stranger.put(`key:${String(index).padStart(3, '0')}`, `value ${index}`);
  await world.clock.settle();
}

describe('the answer of a copy to an audit', () => {
  it('has key, revision, checksum and expiry of what it holds, and the position at which that is true', async () => {
    const position = await world.stranger.put('a', 'hello', { tags: ['red', 'blue'], expiresAtMs: 9e12 });
    await world.stranger.put('b', 'x');
    await world.clock.settle();
    const sum = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16);
    assert.deepEqual(await ask({ position: 2 }), {
      at: 2,
      isComplete: true,
      entries: [
        ['a', position, sum('[null,["red","blue"],9000000000000,1]\nhello'), 9e12],
        ['b', 2, sum('[null,[],null,2]\nx'), null],
      ],
    });
  });

  it('waits until the copy has applied the position, and is an error when it does not come', async () => {
    const waiting = ask({ position: 1 });
    await world.stranger.put('late', 'x');
    await world.clock.settle();
    assert.deepEqual(
      (await waiting).entries.map(([key]) => key),
      ['late'],
    );
    const never = ask({ position: 99 });
    const refused = assert.rejects(never, (error) => isSluiceError(error, 'stale'));
    await world.clock.advance(1_500);
    await refused;
  });

  it('comes in pages that together have every key once', async () => {
    await fill(25);
    const seen: string[] = [];
    let after: string | undefined;
    let pages = 0;
    do {
      const page = await ask({ limit: 10, ...(after === undefined ? {} : { after }) });
      seen.push(...page.entries.map(([key]) => key));
      after = page.next;
      pages += 1;
    } while (after !== undefined);
    assert.equal(pages, 3);
    assert.deepEqual(seen, [...new Set(seen)].sort());
    assert.equal(seen.length, 25);
  });

  it('is bounded in bytes also when keys are long', async () => {
    const long = 'k'.repeat(1_000);
    for (let index = 0; index < 700; index += 1) await world.stranger.put(`${long}${index}`, 'x');
    await world.clock.settle();
    const page = await ask({ limit: 10_000 });
    assert.ok(page.entries.length < 700 && page.next === page.entries.at(-1)?.[0], `${page.entries.length}`);
    assert.ok(JSON.stringify(page).length <= 512 * 1024, 'fits into a message of 1 MiB with room to spare');
    const rest = await ask({ limit: 10_000, after: page.next ?? '' });
    assert.equal(page.entries.length + rest.entries.length, 700);
  });

  it('has in the shares of the keys all of them, each in one', async () => {
    await fill(60);
    const shares = await Promise.all([0, 1, 2].map((at) => ask({ share: { of: 3, at } })));
    const keys = shares.flatMap(({ entries }) => entries.map(([key]) => key));
    assert.equal(keys.length, 60);
    assert.equal(new Set(keys).size, 60);
    for (const { entries } of shares) assert.ok(entries.length > 5, `${entries.length}`);
  });

  it('tells of named keys what it has, and leaves out what it has not', async () => {
    await fill(3);
    const { entries } = await ask({ keys: ['key:001', 'nothing', 'key:002'] });
    assert.deepEqual(
      entries.map(([key]) => key),
      ['key:001', 'key:002'],
    );
  });

  it('says when memory limits have removed something', async () => {
    const small = await world.process('small', { store: { entriesMax: 2, bytesMax: 10_000_000 } });
    await fill(3);
    const page = await ask({}, small);
    assert.deepEqual([page.isComplete, page.entries.length], [false, 2]);
    assert.equal((await ask()).isComplete, true);
  });

  it('leaves out values that are in this process alone', async () => {
    await fill(1);
    const fence = node.view.fence('mine');
    const none = { expiresAtMs: Number.POSITIVE_INFINITY, tags: undefined, contentType: undefined };
    node.view.keepLocally('mine', bytesOf('x'), { ...none, basis: undefined } as never, fence);
    fence.end();
    assert.equal(node.get('mine'), 'x');
    assert.deepEqual(
      (await ask()).entries.map(([key]) => key),
      ['key:000'],
    );
    assert.deepEqual((await ask({ keys: ['mine'] })).entries, []);
  });

  it('drops before what sank below the floor, when it is asked to look', async () => {
    await fill(3);
    await world.log.purge({ below: 2 });
    const page = await ask({ keys: ['key:000', 'key:001'], isFloorAsked: true });
    assert.deepEqual(
      page.entries.map(([key]) => key),
      ['key:001'],
    );
  });

  it('is an error for what is not held, and for a request that breaks the form', async () => {
    await assert.rejects(ask({ partition: 1 }), (error) => isSluiceError(error, 'not-owner'));
    await assert.rejects(ask({ cache: 'other' }), (error) => isSluiceError(error, 'not-owner'));
    await assert.rejects(ask({ limit: 0 }), (error) => isSluiceError(error, 'bad-request'));
    await assert.rejects(ask({ keys: Array.from({ length: 501 }, String) }), (error) =>
      isSluiceError(error, 'bad-request'),
    );
  });
});

describe('the presence of a library process', () => {
  it('is read back, and anything else is nothing', () => {
    const presence = { id: 'a1b2', name: 'shop', ready: { demo: '0-3' } };
    assert.deepEqual(decodePresence(encodePresence(presence)), presence);
    for (const text of ['', '[]', '{"id":"a b","name":"x","ready":{}}', '{"id":"a","name":"x","ready":{"demo":3}}'])
      assert.equal(decodePresence(Buffer.from(text)), undefined, text);
  });
});
