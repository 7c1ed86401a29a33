/** Caches as a whole, and the node: what each route of the reference answers. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { startDoor, type TestDoor } from '../../../support/http-door.ts';

const json = { 'Content-Type': 'application/json' };

describe('the HTTP door', () => {
  let door: TestDoor;
  beforeEach(async () => {
    door = await startDoor({ readWaitMaxMs: 200 });
  });
  afterEach(() => door.stop());

  describe('for caches', () => {
    it('declares, says that nothing changed, and refuses what cannot change', async () => {
      const created = await door.ask('PUT', '/v1/caches/new', {
        body: '{"partitions": 2, "ttl": "5m"}',
        headers: json,
      });
      assert.equal(created.status, 201);
      assert.equal(created.headers.location, '/v1/caches/new');
      const { name, outcome, settings } = created.json();
      assert.deepEqual({ name, outcome }, { name: 'new', outcome: 'created' });
      assert.equal((settings as Record<string, unknown>)['ttlMs'], 300_000);
      const again = await door.ask('PUT', '/v1/caches/new', { body: '{"partitions": 2, "ttl": "5m"}' });
      assert.equal(again.status, 200);
      assert.equal(again.json()['outcome'], 'unchanged');
      const other = await door.ask('PUT', '/v1/caches/new', { body: '{"partitions": 3}', headers: json });
      assert.equal(other.status, 409);
      assert.equal(other.json()['code'], 'settings-conflict');
      assert.equal(other.json()['field'], 'partitions');
    });

    it('declares with the defaults when there is no body', async () => {
      assert.equal((await door.ask('PUT', '/v1/caches/plain')).status, 201);
    });

    it('names every problem of a declaration', async () => {
      const reply = await door.ask('PUT', '/v1/caches/bad', {
        body: '{"partitions": 0, "colour": "red"}',
        headers: json,
      });
      assert.equal(reply.status, 400);
      assert.match(reply.text, /partitions/);
      assert.match(reply.text, /colour/);
    });

    it('lists, describes and drops', async () => {
      await door.ask('PUT', '/v1/caches/b');
      assert.deepEqual((await door.ask('GET', '/v1/caches')).json(), { caches: ['b', 'demo'] });
      await door.ask('PUT', '/v1/caches/b/keys/k', { body: 'x' });
      const shown = (await door.ask('GET', '/v1/caches/b')).json();
      assert.equal(shown['entries'], 1);
      assert.equal(shown['isReady'], true);
      assert.equal((await door.ask('DELETE', '/v1/caches/b')).status, 204);
      for (const [method, path] of [
        ['DELETE', ''],
        ['GET', ''],
        ['GET', '/keys'],
        ['GET', '/keys/k'],
        ['PUT', '/keys/k'],
        ['DELETE', '/keys/k'],
        ['GET', '/watch'],
        ['POST', '/clear'],
      ] as const) {
        const reply = await door.ask(method, `/v1/caches/b${path}`);
        assert.equal(reply.status, 404, `${method} ${path}`);
        assert.equal(reply.json()['code'], 'cache-unknown');
      }
    });

    it('clears, and says where in the log', async () => {
      await door.ask('PUT', '/v1/caches/demo/keys/k', { body: 'x' });
      const cleared = await door.ask('POST', '/v1/caches/demo/clear');
      assert.equal(cleared.status, 200);
      assert.deepEqual(cleared.json(), { position: 2 });
      const read = await door.ask('GET', '/v1/caches/demo/keys/k', { headers: { 'Sluice-Min-Position': '2' } });
      assert.equal(read.status, 404);
    });

    it('invalidates by tags, and leaves the rest', async () => {
      await door.ask('PUT', '/v1/caches/demo/keys/a', { body: 'x', headers: { 'Sluice-Tags': 'red,blue' } });
      await door.ask('PUT', '/v1/caches/demo/keys/b', { body: 'x', headers: { 'Sluice-Tags': 'blue' } });
      const reply = await door.ask('POST', '/v1/caches/demo/invalidate', {
        body: '{"tags":["red","green"]}',
        headers: json,
      });
      // Two puts, two tags; the clean-up of the first tag may put its delete between the tags.
      assert.ok([4, 5].includes(Number(reply.json()['position'])), reply.text);
      assert.equal((await door.ask('GET', '/v1/caches/demo/keys/a?consistency=latest')).status, 404);
      assert.equal((await door.ask('GET', '/v1/caches/demo/keys/b?consistency=latest')).status, 200);
    });

    it('names a position for each partition when there are several', async () => {
      await door.ask('PUT', '/v1/caches/many', { body: '{"partitions": 3}', headers: json });
      assert.deepEqual((await door.ask('POST', '/v1/caches/many/clear')).json(), { positions: { 0: 1, 1: 1, 2: 1 } });
    });

    it('answers wait=all when every node has applied it, and names the nodes', async () => {
      const cleared = await door.ask('POST', '/v1/caches/demo/clear?wait=all');
      assert.deepEqual(cleared.json(), { position: 1, nodes: ['node-1', 'node-2'] });
      const request = { body: '{"tags":["t"]}', headers: json };
      const invalidated = await door.ask('POST', '/v1/caches/demo/invalidate?wait=all', request);
      assert.deepEqual(invalidated.json(), { position: 2, nodes: ['node-1', 'node-2'] });
    });

    it('says with wait=all that the change stands although a node has not applied it', async () => {
      door.node.absent.push('node-2');
      const reply = await door.ask('POST', '/v1/caches/demo/clear?wait=all');
      assert.equal(reply.status, 503);
      const { code, missing, position } = reply.json();
      assert.deepEqual({ code, missing, position }, { code: 'stale', missing: ['node-2'], position: 1 });
    });

    it('refuses bodies that it does not understand', async () => {
      const bad: [string, string, string, number][] = [
        ['PUT', '', '{"partitions":', 400],
        ['PUT', '', '[]', 400],
        ['PUT', '', '"x"', 400],
        ['POST', '/invalidate', '', 400],
        ['POST', '/invalidate', '{}', 400],
        ['POST', '/invalidate', '{"tags":[]}', 400],
        ['POST', '/invalidate', '{"tags":"red"}', 400],
        ['POST', '/invalidate', '{"tags":[1]}', 400],
        ['POST', '/invalidate', '{"tags":["a,b"]}', 400],
        ['POST', '/invalidate', '{"tags":["a"],"all":true}', 400],
        ['POST', '/invalidate', `{"tags":["${'x'.repeat(70_000)}"]}`, 413],
        ['POST', '/clear', '{"all":true}', 400],
        ['POST', '/clear?wait=some', '', 400],
        ['POST', '/clear', '\ufffe', 400],
      ];
      for (const [method, path, body, status] of bad) {
        const reply = await door.ask(method, `/v1/caches/demo${path}`, { body, headers: json });
        assert.equal(reply.status, status, `${method} ${path} ${body.slice(0, 40)}: ${reply.text}`);
        assert.match(String(reply.json()['code']), /^(bad-request|too-large)$/);
      }
      const notUtf8 = await door.ask('PUT', '/v1/caches/demo', {
        body: Uint8Array.of(0x22, 0xff, 0x22),
        headers: json,
      });
      assert.equal(notUtf8.status, 400);
      const form = { body: 'tags=a', headers: { 'Content-Type': 'application/x-www-form-urlencoded' } };
      const reply = await door.ask('POST', '/v1/caches/demo/invalidate', form);
      assert.equal(reply.status, 415);
      assert.equal(reply.headers.accept, 'application/json');
      assert.equal((await door.ask('POST', '/v1/caches/demo/clear', form)).status, 415);
    });
  });

  describe('for the node', () => {
    it('says who it is and what there is', async () => {
      const about = (await door.ask('GET', '/v1')).json();
      assert.equal(about['name'], 'sluice');
      assert.deepEqual([about['node'], about['cluster'], about['version']], ['node-1', 'sluice', '9.9.9']);
      const links = Object.entries(about['links'] as Record<string, string>).filter(([name]) => name !== 'watch');
      await door.ask('PUT', '/v1/caches/demo/keys/k', { body: 'x' });
      for (const [name, link] of links) {
        const reply = await door.ask('GET', link.replace('{cache}', 'demo').replace('{key}', 'k'));
        assert.equal(reply.status, 200, name);
      }
    });

    it('lives, and is ready or says why not', async () => {
      assert.equal((await door.ask('GET', '/healthz')).status, 200);
      const ready = await door.ask('GET', '/readyz');
      assert.equal(ready.status, 200);
      assert.deepEqual(ready.json(), { status: 'ready', state: 'ready', reasons: [] });
      door.node.ready = { isReady: false, state: 'starting', reasons: ['demo: replaying', 'not connected to NATS'] };
      const starting = await door.ask('GET', '/readyz');
      assert.equal(starting.status, 503);
      assert.equal(starting.headers['retry-after'], '1');
      const { code, state, reasons } = starting.json();
      assert.deepEqual(
        { code, state, reasons },
        { code: 'not-ready', ...{ state: 'starting', reasons: door.node.ready.reasons } },
      );
      assert.equal((await door.ask('GET', '/healthz')).status, 200);
    });

    it('shows its metrics as Prometheus reads them', async () => {
      const reply = await door.ask('GET', '/metrics');
      assert.equal(reply.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
      assert.match(reply.text, /^sluice_up 1$/m);
    });

    it('shows the members and the epoch', async () => {
      const { epoch, members } = (await door.ask('GET', '/v1/members')).json();
      assert.equal(epoch, 2);
      const first = (members as Record<string, unknown>[])[0] ?? {};
      const { node, incarnation, pid, http, state, lagMs, partitions } = first;
      const wanted = {
        node: 'node-1',
        incarnation: 'i0',
        pid: 100,
        http: '127.0.0.1:7401',
        state: 'ready',
        lagMs: 0,
        partitions: {},
      };
      assert.deepEqual({ node, incarnation, pid, http, state, lagMs, partitions }, wanted);
    });

    it('evicts and rebuilds members that exist', async () => {
      const evicted = await door.ask('POST', '/v1/members/node-2/evict');
      assert.deepEqual(evicted.json(), { node: 'node-2', evicted: true });
      assert.deepEqual(door.node.evicted, ['node-2']);
      const all = await door.ask('POST', '/v1/members/node-2/rebuild');
      assert.deepEqual(all.json(), { node: 'node-2', caches: ['demo'] });
      const one = { body: '{"cache":"demo"}', headers: json };
      assert.deepEqual((await door.ask('POST', '/v1/members/node-2/rebuild', one)).json(), {
        node: 'node-2',
        caches: ['demo'],
      });
      for (const path of ['/v1/members/node-9/evict', '/v1/members/node-9/rebuild']) {
        const reply = await door.ask('POST', path);
        assert.equal(reply.status, 404);
        assert.equal(reply.json()['code'], 'node-unknown');
      }
      const bad = { body: '{"caches":["demo"]}', headers: json };
      assert.equal((await door.ask('POST', '/v1/members/node-2/rebuild', bad)).status, 400);
      const unknown = { body: '{"cache":"none"}', headers: json };
      assert.equal((await door.ask('POST', '/v1/members/node-2/rebuild', unknown)).json()['code'], 'cache-unknown');
    });

    it('answers HEAD wherever it answers GET, except for a stream without end', async () => {
      for (const path of [
        '/v1',
        '/healthz',
        '/readyz',
        '/metrics',
        '/v1/members',
        '/v1/caches',
        '/v1/caches/demo',
        '/v1/caches/demo/keys',
      ]) {
        const get = await door.ask('GET', path);
        const head = await door.ask('HEAD', path);
        assert.equal(head.status, 200, path);
        assert.equal(head.body.length, 0);
        assert.equal(head.headers['content-type'], get.headers['content-type']);
      }
      assert.equal((await door.ask('HEAD', '/v1/caches/demo/watch')).status, 405);
    });
  });
});
