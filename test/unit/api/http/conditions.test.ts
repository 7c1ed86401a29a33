/** Conditional requests: revisions as entity tags, compare-and-set as preconditions. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { startDoor, type TestDoor } from '../../../support/http-door.ts';

const keys = '/v1/caches/demo/keys/';

describe('a conditional request', () => {
  let door: TestDoor;
  before(async () => {
    door = await startDoor();
  });
  after(() => door.stop());

  const put = async (key: string, headers: Record<string, string> = {}) =>
    door.ask('PUT', keys + key, { body: 'x', headers });
  const revisionOf = async (key: string): Promise<string> => (await put(key)).headers.etag ?? '';

  describe('that reads', () => {
    it('is answered 304 when the client has the current revision, in a list, weak or by a star', async () => {
      const etag = await revisionOf('held');
      for (const tag of [etag, `W/${etag}`, `"9", ${etag}`, '*', ` "abc" , W/${etag} `]) {
        const reply = await door.ask('GET', `${keys}held`, { headers: { 'If-None-Match': tag } });
        assert.equal(reply.status, 304, tag);
        assert.equal(reply.headers.etag, etag);
        assert.ok(Number(reply.headers['sluice-position']) > 0);
        assert.equal(reply.headers['cache-control'], 'no-cache');
        assert.equal(reply.body.length, 0);
      }
      const head = await door.ask('HEAD', `${keys}held`, { headers: { 'If-None-Match': etag } });
      assert.equal(head.status, 304);
    });

    it('is answered with the value when the client has another revision', async () => {
      await put('moved');
      for (const tag of ['"999999"', '"abc"', '""', 'W/"0"', '"007"']) {
        const reply = await door.ask('GET', `${keys}moved`, { headers: { 'If-None-Match': tag } });
        assert.equal(reply.status, 200, tag);
      }
    });

    it('is answered 404, not 304, when the key is absent', async () => {
      assert.equal((await door.ask('GET', `${keys}absent`, { headers: { 'If-None-Match': '*' } })).status, 404);
    });

    it('is answered 412 when it demands another revision', async () => {
      const etag = await revisionOf('guarded');
      assert.equal((await door.ask('GET', `${keys}guarded`, { headers: { 'If-Match': etag } })).status, 200);
      const reply = await door.ask('GET', `${keys}guarded`, { headers: { 'If-Match': `W/${etag}` } });
      assert.equal(reply.status, 412);
      assert.equal(reply.headers.etag, etag);
    });
  });

  describe('that writes', () => {
    it('succeeds once per revision', async () => {
      const etag = await revisionOf('once');
      const won = await put('once', { 'If-Match': etag });
      assert.equal(won.status, 204);
      const lost = await put('once', { 'If-Match': etag });
      assert.equal(lost.status, 412);
      assert.equal(lost.json()['code'], 'position-conflict');
      assert.equal(`"${lost.json()['current']}"`, won.headers.etag);
      assert.equal(lost.headers.etag, won.headers.etag);
    });

    it('creates only what is absent when it says If-None-Match: *', async () => {
      const created = await put('fresh', { 'If-None-Match': '*' });
      assert.equal(created.status, 204);
      const refused = await put('fresh', { 'If-None-Match': '*' });
      assert.equal(refused.status, 412);
      assert.equal(refused.headers.etag, created.headers.etag);
      await door.ask('DELETE', `${keys}fresh`);
      assert.equal((await put('fresh', { 'If-None-Match': '*' })).status, 204);
    });

    it('replaces only what exists when it says If-Match: *', async () => {
      const refused = await put('existing', { 'If-Match': '*' });
      assert.equal(refused.status, 412);
      assert.equal(refused.json()['current'], null);
      assert.equal(refused.headers.etag, undefined);
      await put('existing');
      assert.equal((await put('existing', { 'If-Match': '*' })).status, 204);
    });

    it('takes any one of several revisions', async () => {
      const etag = await revisionOf('several');
      assert.equal((await put('several', { 'If-Match': `"1", ${etag}` })).status, 204);
      assert.equal((await put('several', { 'If-Match': `"1", ${etag}` })).status, 412);
    });

    it('never matches a weak tag, or one that Sluice did not give', async () => {
      const etag = await revisionOf('strong');
      for (const tag of [`W/${etag}`, '"abc"', '"0"', `"0${etag.slice(1)}`]) {
        const reply = await put('strong', { 'If-Match': tag });
        assert.equal(reply.status, 412, tag);
        assert.equal(reply.headers.etag, etag);
      }
    });

    it('deletes only the revision it names', async () => {
      const etag = await revisionOf('doomed');
      const other = await door.ask('DELETE', `${keys}doomed`, { headers: { 'If-Match': '"999999"' } });
      assert.equal(other.status, 412);
      assert.equal(other.headers.etag, etag);
      assert.equal((await door.ask('DELETE', `${keys}doomed`, { headers: { 'If-Match': etag } })).status, 204);
      assert.equal((await door.ask('DELETE', `${keys}doomed`, { headers: { 'If-Match': '*' } })).status, 412);
    });
  });

  it('is refused when it is malformed, and nothing is written', async () => {
    const etag = await revisionOf('intact');
    const malformed = [
      '5',
      '"5',
      "'5'",
      'w/"5"',
      '"5" "6"',
      '"a"b',
      ',',
      '',
      '*, "5"',
      '"\u00a0 "',
      `${'"1",'.repeat(64)}"1"`,
    ];
    for (const text of malformed) {
      for (const method of ['PUT', 'DELETE', 'GET']) {
        const reply = await door.ask(method, `${keys}intact`, { headers: { 'If-Match': text } });
        assert.equal(reply.status, 400, `${method} If-Match: ${text}`);
        assert.equal(reply.json()['field'], 'If-Match');
      }
    }
    for (const text of ['"5"', 'x', ''])
      assert.equal((await put('intact', { 'If-None-Match': text })).status, 400, text);
    assert.equal((await put('intact', { 'If-None-Match': '*', 'If-Match': etag })).status, 400);
    assert.equal((await door.ask('DELETE', `${keys}intact`, { headers: { 'If-None-Match': '*' } })).status, 400);
    assert.equal((await door.ask('GET', `${keys}intact`)).headers.etag, etag);
  });
});
