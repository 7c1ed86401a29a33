/** Bad input at the HTTP door: each kind is refused with a problem that names it, and nothing is written. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { errorTable } from '../../../../src/errors.ts';
import { openRaw, type Reply, startDoor, type TestDoor } from '../../../support/http-door.ts';

const keys = '/v1/caches/demo/keys/';

function assertProblem(
  reply: Reply,
  status: number,
  code: keyof typeof errorTable,
  what: string,
): Record<string, unknown> {
  assert.equal(reply.status, status, `${what}: ${reply.text}`);
  assert.equal(reply.headers['content-type'], 'application/problem+json', what);
  assert.equal(reply.headers['cache-control'], 'no-store', what);
  const problem = reply.json();
  assert.equal(problem['code'], code, what);
  assert.equal(problem['type'], `urn:sluice:error:${code}`, what);
  assert.equal(problem['title'], errorTable[code].meaning, what);
  assert.equal(problem['status'], status, what);
  assert.ok(String(problem['detail']).length > 10, what);
  return problem;
}

describe('bad input at the HTTP door', () => {
  let door: TestDoor;
  before(async () => {
    door = await startDoor({ http: { bodyBytesMax: 4 * 1024 * 1024 } });
  });
  after(async () => {
    assert.equal((await door.ask('GET', '/healthz')).status, 200);
    assert.deepEqual((await door.ask('GET', '/v1/caches/demo/keys')).json(), { keys: [], complete: true });
    assert.equal(door.node.cache('demo').logs[0] === undefined, false);
    assert.equal((await door.node.cache('demo').logs[0]?.bounds())?.last, 0);
    await door.stop();
  });

  it('such as a key that is empty, too long or not UTF-8 is bad-key', async () => {
    const bad = ['', '%', '%4', '%zz', '%ff', '%c3', '%ED%A0%80', 'a%c3%28', 'x'.repeat(1025), '%E2%82%AC'.repeat(342)];
    for (const key of bad) {
      for (const method of ['GET', 'HEAD', 'PUT', 'DELETE']) {
        const reply = await door.ask(method, keys + key, { body: method === 'PUT' ? 'x' : '' });
        assert.equal(reply.status, 400, `${method} ${key.slice(0, 20)}`);
        if (method !== 'HEAD') assertProblem(reply, 400, 'bad-key', `${method} ${key.slice(0, 20)}`);
      }
    }
  });

  it('such as a path with raw bytes beyond ASCII is refused, not guessed', async () => {
    for (const bytes of [Buffer.from('é'), Buffer.from([0xff])]) {
      const raw = await openRaw(door.port);
      raw.send(
        Buffer.concat([
          Buffer.from(`GET ${keys}`),
          bytes,
          Buffer.from(' HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'),
        ]),
      );
      assert.match(await raw.closed(), /^HTTP\/1\.1 400 [\s\S]*"code":"bad-(key|request)"/);
    }
  });

  it('such as a fragment in the target is refused', async () => {
    const raw = await openRaw(door.port);
    raw.send(`GET ${keys}a#b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    assert.match(await raw.closed(), /^HTTP\/1\.1 400 /);
  });

  it('such as an unknown query parameter names it and the known ones', async () => {
    for (const [method, path, known] of [
      ['GET', `${keys}k?ttl=5s`, ['consistency', 'wait']],
      ['PUT', `${keys}k?TTL=5s`, ['ttl']],
      ['DELETE', `${keys}k?force`, []],
      ['GET', '/v1/caches/demo/keys?offset=5', ['prefix', 'after', 'limit']],
      ['POST', '/v1/caches/demo/clear?all=1', ['wait']],
      ['GET', '/healthz?x', []],
      ['GET', '/v1/caches?limit=1', []],
    ] as const) {
      const problem = assertProblem(await door.ask(method, path, { body: '' }), 400, 'bad-request', path);
      assert.deepEqual(problem['known'], known, path);
      assert.match(String(problem['detail']), /unknown parameter/);
    }
  });

  it('such as a query that is badly encoded or says a thing twice is refused', async () => {
    for (const query of ['wait=%', 'wait=%ff', '%ff=1', 'wait=1s&wait=2s', 'wait=1s&%77ait=1s', '=']) {
      assertProblem(await door.ask('GET', `${keys}k?${query}`), 400, 'bad-request', query);
    }
    assert.equal((await door.ask('GET', `${keys}k?&wait=1s&`)).status, 404);
  });

  it('such as a bad life, tag, type or range of a value is refused', async () => {
    const bad: [string, Record<string, string>][] = [
      ['?ttl=', {}],
      ['?ttl=5', {}],
      ['?ttl=-5s', {}],
      ['?ttl=0s', {}],
      ['?ttl=soon', {}],
      ['?ttl=99999999999d', {}],
      ['', { 'Sluice-Tags': 'x'.repeat(129) }],
      ['', { 'Sluice-Tags': Array.from({ length: 65 }, (_, index) => `t${index}`).join() }],
      ['', { 'Sluice-Tags': 'a%2Cb' }],
      ['', { 'Sluice-Tags': 'a%00' }],
      ['', { 'Sluice-Tags': '100%' }],
      ['', { 'Sluice-Tags': '\u00ff' }],
      ['', { 'Content-Type': `text/plain; x=${'y'.repeat(256)}` }],
      ['', { 'Content-Type': 'text/plain; name=\u00e9' }],
      ['', { 'Content-Range': 'bytes 0-4/10' }],
    ];
    for (const [query, headers] of bad) {
      const what = `${query} ${JSON.stringify(headers).slice(0, 60)}`;
      assertProblem(await door.ask('PUT', `${keys}k${query}`, { body: 'hello', headers }), 400, 'bad-request', what);
    }
    for (const headers of [{ 'Content-Encoding': 'gzip' }, { 'Content-Type': 'nonsense' }, { 'Content-Type': '/' }]) {
      assertProblem(
        await door.ask('PUT', `${keys}k`, { body: 'hello', headers }),
        415,
        'bad-request',
        JSON.stringify(headers),
      );
    }
  });

  it('such as a value above the limit of the cache or of the door is too-large', async () => {
    const cache = assertProblem(
      await door.ask('PUT', `${keys}k`, { body: Buffer.alloc(1_048_577) }),
      413,
      'too-large',
      'cache',
    );
    assert.equal(cache['bytesMax'], 1_048_576);
    const body = Buffer.alloc(4 * 1024 * 1024 + 1);
    assertProblem(await door.ask('PUT', `${keys}k`, { body }), 413, 'too-large', 'door');
    assertProblem(
      await door.ask('PUT', `${keys}k`, { body, headers: { 'Transfer-Encoding': 'chunked' } }),
      413,
      'too-large',
      'chunked',
    );
  });

  it('such as a path that is none is not-found', async () => {
    for (const path of [
      '/',
      '/v2',
      '/v1/',
      '/v1/caches/demo/',
      '/v1/caches/demo/key/k',
      '/V1/caches',
      '/v1/members/a',
      '/readyz/',
      '/v1//caches',
      '*',
    ]) {
      assertProblem(await door.ask('GET', path), 404, 'not-found', path);
    }
  });

  it('such as a method that does not fit is answered 405 with those that do', async () => {
    for (const [method, path, allow] of [
      ['POST', `${keys}k`, 'GET, HEAD, PUT, DELETE, OPTIONS'],
      ['PATCH', `${keys}k/with/slashes`, 'GET, HEAD, PUT, DELETE, OPTIONS'],
      ['DELETE', '/v1/caches', 'GET, HEAD, OPTIONS'],
      ['GET', '/v1/caches/demo/clear', 'POST, OPTIONS'],
      ['POST', '/v1/caches/demo', 'GET, HEAD, PUT, DELETE, OPTIONS'],
      ['PUT', '/v1/caches/demo/watch', 'GET, OPTIONS'],
      ['PROPFIND', '/metrics', 'GET, HEAD, OPTIONS'],
      ['TRACE', '/healthz', 'GET, HEAD, OPTIONS'],
    ] as const) {
      const reply = await door.ask(method, path);
      assertProblem(reply, 405, 'bad-request', `${method} ${path}`);
      assert.equal(reply.headers.allow, allow, `${method} ${path}`);
    }
    const options = await door.ask('OPTIONS', `${keys}k`);
    assert.equal(options.status, 204);
    assert.equal(options.headers.allow, 'GET, HEAD, PUT, DELETE, OPTIONS');
  });

  it('such as a cache name that no cache can have is refused', async () => {
    for (const name of ['a.b', '-x', 'x'.repeat(65), 'a%2Fb', '%20', 'caf%C3%A9']) {
      assertProblem(await door.ask('PUT', `/v1/caches/${name}`), 400, 'bad-request', name);
      assertProblem(await door.ask('GET', `/v1/caches/${name}/keys/k`), 404, 'cache-unknown', name);
    }
  });
});

describe('an error of the service at the HTTP door', () => {
  it('is a problem with its own status, and says when to try again', async () => {
    const door = await startDoor({ log: { messagesMax: 2, whenFull: 'refuse' } });
    await door.ask('PUT', `${keys}a`, { body: 'x' });
    await door.ask('PUT', `${keys}b`, { body: 'x' });
    const full = await door.ask('PUT', `${keys}c`, { body: 'x' });
    assertProblem(full, 507, 'log-full', 'full');
    assert.equal(full.headers['retry-after'], '1');
    const log = door.node.cache('demo').logs[0];
    assert.ok(log !== undefined);
    log.isAvailable = false;
    const away = await door.ask('PUT', `${keys}a`, { body: 'x' });
    assertProblem(away, 503, 'log-unavailable', 'away');
    assert.equal(away.headers['retry-after'], '1');
    assert.equal((await door.ask('GET', `${keys}a`)).status, 200);
    await door.stop();
  });

  it('that nobody foresaw is a 500 that tells nothing but is logged', async () => {
    const door = await startDoor();
    for (const failure of [
      new Error('secret: password'),
      'a string',
      Object.assign(new Error('secret'), { status: 200 }),
      new TypeError('secret'),
    ]) {
      door.node.failure = failure;
      const reply = await door.ask('GET', `${keys}a`);
      assertProblem(reply, 500, 'internal', String(failure));
      assert.doesNotMatch(reply.text, /secret|string/);
      const { level, facts } = door.logged.at(-1) ?? { level: '', facts: {} };
      assert.equal(level, 'error');
      assert.deepEqual(facts, { err: failure, method: 'GET', path: `${keys}a` });
    }
    door.node.failure = undefined;
    assert.equal((await door.ask('GET', `${keys}a`)).status, 404);
    await door.stop();
  });
});
