/** Listing keys: pages, filters, and the stream of all of them, which waits for its reader. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { openRaw, startDoor, type TestDoor } from '../../../support/http-door.ts';
import { waitUntil } from '../../../support/wait-until.ts';

const keys = '/v1/caches/demo/keys';
const ndjson = { Accept: 'application/x-ndjson' };

interface Page {
  readonly keys: { key: string; revision: number; bytes: number }[];
  readonly next?: string;
  readonly complete: boolean;
}

describe('a list of keys', () => {
  let door: TestDoor;
  before(async () => {
    door = await startDoor();
    const { service } = door.node.cache('demo');
    for (let index = 0; index < 250; index += 1) {
      await service.put(`user/${String(index).padStart(3, '0')}`, Buffer.alloc(index));
    }
    await service.put('ünïcode & more', Buffer.from('x'));
    await door.node.declareCache('many', { partitions: 4 });
    for (let index = 0; index < 120; index += 1)
      await door.node.cache('many').service.put(`k${index}`, Buffer.from('x'));
  });
  after(() => door.stop());

  const page = async (query: string, path = keys): Promise<Page> => {
    const reply = await door.ask('GET', path + query);
    assert.equal(reply.status, 200, reply.text);
    assert.equal(reply.headers['content-type'], 'application/json');
    return JSON.parse(reply.text) as Page;
  };

  it('has a hundred keys with revision and size unless more are asked for', async () => {
    const first = await page('');
    assert.equal(first.keys.length, 100);
    assert.deepEqual(first.keys[7], { key: 'user/007', revision: 8, bytes: 7 });
    assert.equal(first.next, 'user/099');
    assert.equal(first.complete, true);
    assert.equal((await page('?limit=1000')).keys.length, 251);
  });

  it('goes on after the last key until there is no next', async () => {
    const all: string[] = [];
    let next: string | undefined;
    do {
      const current: Page = await page(`?limit=60${next === undefined ? '' : `&after=${encodeURIComponent(next)}`}`);
      all.push(...current.keys.map(({ key }) => key));
      next = current.next;
    } while (next !== undefined);
    assert.equal(all.length, 251);
    assert.deepEqual(all, [...all].sort());
  });

  it('holds only what begins with the prefix', async () => {
    assert.deepEqual(
      (await page('?prefix=user%2F01')).keys.map(({ key }) => key.slice(5)),
      ['010', '011', '012', '013', '014', '015', '016', '017', '018', '019'],
    );
    assert.deepEqual(
      (await page('?prefix=%C3%BCn%C3%AFcode+%26')).keys.map(({ key }) => key),
      ['ünïcode & more'],
    );
    assert.deepEqual((await page('?prefix=none')).keys, []);
  });

  it('is merged from all partitions', async () => {
    const merged = await page('?limit=50', '/v1/caches/many/keys');
    assert.equal(merged.keys.length, 50);
    const rest = await page(`?limit=1000&after=${merged.next}`, '/v1/caches/many/keys');
    assert.equal(new Set([...merged.keys, ...rest.keys].map(({ key }) => key)).size, 120);
  });

  it('is refused for a bad limit, a bad encoding and a type that there is not', async () => {
    for (const query of ['?limit=0', '?limit=1001', '?limit=ten', '?limit=', '?limit=-1', '?prefix=%ff', '?after=%']) {
      assert.equal((await door.ask('GET', keys + query)).status, 400, query);
    }
    const reply = await door.ask('GET', keys, { headers: { Accept: 'text/html' } });
    assert.equal(reply.status, 406);
    assert.equal(reply.json()['code'], 'bad-request');
  });

  it('is JSON or lines of JSON, as the client prefers', async () => {
    const typeFor = async (accept: string): Promise<string | undefined> =>
      (await door.ask('GET', keys, { headers: { Accept: accept } })).headers['content-type'];
    assert.equal(await typeFor('*/*'), 'application/json');
    assert.equal(await typeFor('application/*'), 'application/json');
    assert.equal(await typeFor('application/json;q=0.5, application/x-ndjson'), 'application/x-ndjson');
    assert.equal(await typeFor('application/x-ndjson;q=0, */*;q=0.1'), 'application/json');
    assert.equal(await typeFor('text/html, application/x-ndjson;q=0.2'), 'application/x-ndjson');
  });

  it('is streamed whole, one key a line, and ends with how many there were', async () => {
    const reply = await door.ask('GET', `${keys}?prefix=user/`, { headers: ndjson });
    const lines = reply.text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.equal(lines.length, 251);
    assert.deepEqual(lines[1], { key: 'user/001', revision: 2, bytes: 1 });
    assert.deepEqual(lines.at(-1), { count: 250, complete: true });
    assert.equal((await door.ask('HEAD', keys, { headers: ndjson })).body.length, 0);
    assert.equal((await door.ask('GET', `${keys}?limit=5`, { headers: ndjson })).status, 400);
  });

  it('says that it is not all when memory holds less than the log', async () => {
    await door.node.declareCache('small', { entriesMax: 10 });
    for (let index = 0; index < 30; index += 1)
      await door.node.cache('small').service.put(`k${index}`, Buffer.from('x'));
    assert.equal((await page('', '/v1/caches/small/keys')).complete, false);
    const streamed = await door.ask('GET', '/v1/caches/small/keys', { headers: ndjson });
    assert.deepEqual(JSON.parse(streamed.text.trimEnd().split('\n').at(-1) ?? ''), { count: 10, complete: false });
  });

  describe('that is streamed', () => {
    let calls = 0;
    const listed = Array.from({ length: 10_000 }, (_, index) => ({
      key: String(index).padEnd(1_000, 'x'),
      revision: 1,
      bytes: 1,
    }));

    /** A service whose list never ends, in pages of 10 MB. */
    function endless(fail: () => boolean): void {
      Object.assign(door.node.cache('demo').service, {
        async list() {
          calls += 1;
          if (fail()) throw new Error('secret detail');
          return { keys: listed, next: 'more', isComplete: true };
        },
      });
    }

    it('reads no further than its reader has read', async () => {
      calls = 0;
      endless(() => false);
      const raw = await openRaw(door.port);
      raw.socket.pause();
      raw.send(`GET ${keys} HTTP/1.1\r\nHost: x\r\nAccept: application/x-ndjson\r\n\r\n`);
      await waitUntil('the first page', () => calls > 0);
      // Other requests are served meanwhile, and nothing more is read for the one that is stuck.
      for (let round = 0; round < 50; round += 1) await door.ask('GET', '/healthz');
      assert.ok(calls <= 2, `${calls} pages`);
      raw.socket.destroy();
      const before = calls;
      await waitUntil('the end of it', async () => (await door.ask('GET', '/healthz')).status === 200);
      assert.ok(calls <= before + 1);
    });

    it('is cut short when a page fails, so that no client takes it for all', async () => {
      calls = 0;
      endless(() => calls === 2);
      const raw = await openRaw(door.port);
      raw.send(`GET ${keys} HTTP/1.1\r\nHost: x\r\nAccept: application/x-ndjson\r\n\r\n`);
      const text = await raw.closed();
      assert.match(text, /^HTTP\/1\.1 200 /);
      assert.doesNotMatch(text, /\r\n0\r\n\r\n/);
      assert.doesNotMatch(text, /secret/);
      assert.equal(
        door.logged.some(({ level, message }) => level === 'error' && message.includes('list of keys')),
        true,
      );
    });
  });
});
