/** One key over HTTP: what is said of a value, what a write takes, and that any key can be named. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { type Clock, systemClock } from '../../../../src/base/clock.ts';
import { startDoor, type TestDoor } from '../../../support/http-door.ts';
import { waitUntil } from '../../../support/wait-until.ts';

const keys = '/v1/caches/demo/keys/';

describe('a key over HTTP', () => {
  let door: TestDoor;
  let offsetMs = 0;
  const clock: Clock = { ...systemClock, now: () => systemClock.now() + offsetMs };
  before(async () => {
    door = await startDoor({ clock });
  });
  after(() => door.stop());

  it('is put, read back with its type, revision and position, and deleted', async () => {
    const put = await door.ask('PUT', `${keys}greeting`, { body: 'hello', headers: { 'Content-Type': 'text/plain' } });
    assert.equal(put.status, 204);
    assert.equal(put.headers.etag, `"${put.headers['sluice-position']}"`);
    const got = await door.ask('GET', `${keys}greeting`);
    assert.equal(got.status, 200);
    assert.equal(got.text, 'hello');
    assert.equal(got.headers['content-type'], 'text/plain');
    assert.equal(got.headers['content-length'], '5');
    assert.equal(got.headers.etag, put.headers.etag);
    assert.equal(Number(got.headers['sluice-position']) >= Number(put.headers['sluice-position']), true);
    assert.equal(got.headers.age, '0');
    assert.equal(got.headers['cache-control'], 'no-cache');
    assert.equal(got.headers['sluice-expires'], undefined);
    assert.equal(got.headers['sluice-tags'], undefined);
    const deleted = await door.ask('DELETE', `${keys}greeting`);
    assert.equal(deleted.status, 204);
    assert.equal(Number(deleted.headers['sluice-position']), Number(put.headers['sluice-position']) + 1);
    assert.equal((await door.ask('GET', `${keys}greeting`)).status, 404);
  });

  it('that is absent is a problem with the position up to which that is known', async () => {
    const reply = await door.ask('GET', `${keys}nobody`);
    assert.equal(reply.status, 404);
    assert.equal(reply.headers['content-type'], 'application/problem+json');
    assert.equal(reply.json()['code'], 'not-found');
    assert.equal(reply.json()['instance'], `${keys}nobody`);
    assert.equal(Number(reply.headers['sluice-position']), door.node.cache('demo').views[0]?.follower.applied);
  });

  it('is deleted without complaint when it is absent', async () => {
    assert.equal((await door.ask('DELETE', `${keys}nobody`)).status, 204);
  });

  it('has the same head for HEAD as for GET, and no body', async () => {
    await door.ask('PUT', `${keys}head?ttl=1h`, { body: 'four', headers: { 'Sluice-Tags': 'a' } });
    const get = await door.ask('GET', `${keys}head?consistency=local`);
    const head = await door.ask('HEAD', `${keys}head`);
    assert.equal(head.status, 200);
    assert.equal(head.body.length, 0);
    assert.deepEqual({ ...head.headers, date: '' }, { ...get.headers, date: '' });
    assert.equal((await door.ask('HEAD', `${keys}nobody`)).status, 404);
  });

  it('has the same answer whether it takes the short or the long way', async () => {
    for (const [name, headers] of Object.entries({
      plain: {},
      typed: { 'Content-Type': 'text/html; charset=utf-8', 'Sluice-Tags': 'a,caf%C3%A9' },
    })) {
      await door.ask('PUT', `${keys}way-${name}?ttl=5m`, { body: name, headers });
      const short = await door.ask('GET', `${keys}way-${name}`);
      const long = await door.ask('GET', `${keys}way-${name}?consistency=local`);
      assert.deepEqual({ ...short.headers, date: '' }, { ...long.headers, date: '' });
      assert.equal(short.text, long.text);
    }
  });

  it('holds any bytes, and none', async () => {
    const all = Uint8Array.from({ length: 256 }, (_, index) => index);
    await door.ask('PUT', `${keys}bytes`, { body: all });
    const got = await door.ask('GET', `${keys}bytes`);
    assert.deepEqual(new Uint8Array(got.body), all);
    assert.equal(got.headers['content-type'], 'application/octet-stream');
    assert.equal((await door.ask('PUT', `${keys}empty`)).status, 204);
    const empty = await door.ask('GET', `${keys}empty`);
    assert.equal(empty.status, 200);
    assert.equal(empty.headers['content-length'], '0');
  });

  it('takes a body in chunks', async () => {
    const put = await door.ask('PUT', `${keys}chunked`, {
      body: 'in pieces',
      headers: { 'Transfer-Encoding': 'chunked' },
    });
    assert.equal(put.status, 204);
    assert.equal((await door.ask('GET', `${keys}chunked`)).text, 'in pieces');
  });

  it('keeps its content type as it was given', async () => {
    for (const type of [
      'application/json',
      'application/x-www-form-urlencoded',
      'Image/PNG',
      'text/plain; charset="utf-8"',
    ]) {
      await door.ask('PUT', `${keys}typed`, { body: '{}', headers: { 'Content-Type': type } });
      assert.equal((await door.ask('GET', `${keys}typed`)).headers['content-type'], type);
    }
  });

  it('says its age, and how long it lives in all, and expires', async () => {
    await door.ask('PUT', `${keys}mortal?ttl=100s`, { body: 'x' });
    const start = await door.ask('GET', `${keys}mortal`);
    const expires = Number(start.headers['sluice-expires']);
    assert.ok(Math.abs(expires - clock.now() - 100_000) < 5_000, String(expires));
    offsetMs += 40_000;
    const later = await door.ask('GET', `${keys}mortal`);
    const age = Number(later.headers.age);
    assert.ok(age >= 40 && age < 45, String(age));
    const life = /^no-cache, max-age=(\d+)$/.exec(later.headers['cache-control'] ?? '')?.[1];
    assert.ok(Number(life) >= 98 && Number(life) <= 100, String(life));
    assert.equal(Number(later.headers['sluice-expires']), expires);
    offsetMs += 61_000;
    await waitUntil('the end of its life', async () => (await door.ask('GET', `${keys}mortal`)).status === 404);
  });

  it('carries tags beyond ASCII percent-encoded, and takes them raw as well', async () => {
    const tags = ['plain', 'two words', 'café', '100%', '日本'];
    const encoded = 'plain,two words,caf%C3%A9,100%25,%E6%97%A5%E6%9C%AC';
    await door.ask('PUT', `${keys}tagged`, { body: 'x', headers: { 'Sluice-Tags': encoded } });
    assert.equal((await door.ask('GET', `${keys}tagged`)).headers['sluice-tags'], encoded);
    assert.deepEqual((await door.node.cache('demo').service.get('tagged')).found?.tags, tags);
    const raw = Buffer.from(' café , 日本,, plain ', 'utf8').toString('latin1');
    await door.ask('PUT', `${keys}tagged`, { body: 'x', headers: { 'Sluice-Tags': raw } });
    assert.deepEqual((await door.node.cache('demo').service.get('tagged')).found?.tags, ['café', '日本', 'plain']);
  });

  it('may be any text: slashes, dots, percent signs, spaces and other scripts', async () => {
    const odd = [
      'a/b',
      '/',
      '//',
      'a//b/',
      '.',
      '..',
      'a/../b',
      '%',
      '%2F',
      '%25',
      'a b',
      'a+b',
      'a?b=c&d',
      '#',
      'user:42',
      '日本語',
      'é',
      '😀',
      '\u0000',
      '"',
      '\\',
      ';',
      ',',
      '=',
      '*',
      'keys/',
      '_kv',
      '𐍈'.repeat(256),
    ];
    for (const key of odd) {
      const path = keys + encodeURIComponent(key);
      const put = await door.ask('PUT', path, { body: `value of ${key}` });
      assert.equal(put.status, 204, key);
      assert.equal((await door.ask('GET', path)).text, `value of ${key}`, key);
      assert.equal((await door.ask('GET', `${path}?consistency=latest`)).text, `value of ${key}`, key);
      assert.ok(door.node.cache('demo').views[0]?.peek(key) !== undefined, key);
      assert.equal((await door.ask('DELETE', path)).status, 204, key);
    }
  });

  it('is the same whichever of its characters are escaped', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }),
        fc.infiniteStream(fc.boolean()),
        async (key, escapes) => {
          const path = [...key].map((letter) =>
            /^[A-Za-z0-9_.~!$&'()*+,;=:@/-]$/.test(letter) && escapes.next().value
              ? letter
              : encodeURIComponent(letter).replace(
                  /^[^%]$/,
                  (plain) => `%${plain.charCodeAt(0).toString(16).toUpperCase()}`,
                ),
          );
          await door.node.cache('demo').service.put(key, Buffer.from(key));
          assert.equal((await door.ask('GET', keys + path.join(''))).text, key);
          assert.equal((await door.ask('GET', `${keys}${path.join('')}?wait=1s`)).text, key);
        },
      ),
      { numRuns: 150 },
    );
  });
});
