/**
 * A cluster of real processes with full copies: every node answers for every key, a killed node comes back with everything,
 * and no acknowledged write is lost when the server is killed.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { declareCache, deleteKey, getJson, getKey, postJson, putKey } from '../../support/http-cache-client.ts';
import { startNatsServer, type TestServer } from '../../support/nats-server.ts';
import { type NodeProcess, startNode } from '../../support/node-process.ts';
import { waitUntil } from '../../support/wait-until.ts';

describe('three nodes with full copies', () => {
  let server: TestServer;
  let nodes: NodeProcess[];

  before(async () => {
    server = await startNatsServer();
    nodes = await Promise.all(['node-1', 'node-2', 'node-3'].map((id) => startNode({ id, nats: server.url })));
    await Promise.all(nodes.map((node) => node.ready()));
    assert.equal((await declareCache(at(0), 'demo')).status, 201);
  });

  after(async () => {
    await Promise.all(nodes.map((node) => node.stop()));
    await server.stop();
  });

  const at = (index: number): string => nodes[index]?.url ?? '';

  it('shows a write on every node at the position that it returned', async () => {
    const put = await putKey(at(0), 'demo', 'greeting', 'hello', { 'sluice-tags': 'a,b' }, '?ttl=60s');
    assert.equal(put.status, 204);
    for (const index of [0, 1, 2]) {
      const got = await getKey(at(index), 'demo', 'greeting', { 'sluice-min-position': String(put.position) });
      assert.deepEqual([got.status, got.text, got.revision], [200, 'hello', put.revision]);
      assert.equal(got.headers.get('sluice-tags'), 'a,b');
    }
  });

  it('declares a cache once, and refuses other settings that cannot change', async () => {
    assert.equal((await declareCache(at(1), 'demo')).status, 200);
    const refused = await declareCache(at(1), 'demo', { partitions: 4 });
    assert.equal(refused.status, 409);
    assert.match(refused.text, /settings-conflict/);
    assert.equal((await declareCache(at(2), 'demo', { entriesMax: 5000 })).status, 200);
    await waitUntil('the new limit is seen elsewhere', async () => {
      const { settings } = await getJson<{ settings: { entriesMax: number } }>(at(0), '/v1/caches/demo');
      return settings.entriesMax === 5000;
    });
  });

  it('answers wait=all with the nodes that have applied a clear and an invalidation', async () => {
    await putKey(at(0), 'demo', 'tagged', '1', { 'sluice-tags': 'x' });
    const invalidated = await postJson(at(1), '/v1/caches/demo/invalidate?wait=all', { tags: ['x'] });
    assert.equal(invalidated.status, 200, invalidated.text);
    assert.deepEqual(JSON.parse(invalidated.text).nodes.sort(), ['node-1', 'node-2', 'node-3']);
    for (const index of [0, 1, 2]) assert.equal((await getKey(at(index), 'demo', 'tagged')).status, 404);
    await putKey(at(2), 'demo', 'gone', '1');
    const cleared = await postJson(at(0), '/v1/caches/demo/clear?wait=all');
    assert.equal(cleared.status, 200, cleared.text);
    for (const index of [0, 1, 2]) assert.equal((await getKey(at(index), 'demo', 'gone')).status, 404);
  });

  it('brings a killed node back with everything, also what was written meanwhile', async () => {
    for (let index = 0; index < 50; index += 1) await putKey(at(index % 3), 'demo', `before-${index}`, String(index));
    await nodes[1]?.kill('SIGKILL');
    let last = 0;
    for (let index = 0; index < 50; index += 1)
      last = (await putKey(at(0), 'demo', `during-${index}`, String(index))).position ?? 0;
    await deleteKey(at(2), 'demo', 'before-0');
    await waitUntil('the killed node has left', async () => {
      const { members } = await getJson<{ members: { node: string; state: string }[] }>(at(0), '/v1/members');
      return members.find((member) => member.node === 'node-2')?.state === 'left';
    });
    await nodes[1]?.restart();
    await nodes[1]?.ready();
    assert.match(nodes[1]?.output ?? '', /\d+ events replayed in \d+ ms/);
    for (let index = 0; index < 50; index += 1) {
      const demand = { 'sluice-min-position': String(last) };
      assert.equal((await getKey(at(1), 'demo', `before-${index}`, demand)).status, index === 0 ? 404 : 200);
      assert.equal((await getKey(at(1), 'demo', `during-${index}`, demand)).text, String(index));
    }
  });

  it('loses no acknowledged put when the server is killed under load', async () => {
    const acknowledged = new Map<string, number>();
    let isWriting = true;
    const writer = async (index: number): Promise<void> => {
      for (let count = 0; isWriting; count += 1) {
        const key = `load-${index}-${count}`;
        const put = await putKey(at(index), 'demo', key, key).catch(() => undefined);
        if (put?.status === 204) acknowledged.set(key, put.revision ?? 0);
      }
    };
    const writers = [0, 1, 2].map(writer);
    await waitUntil('some writes are acknowledged', () => acknowledged.size > 200);
    await server.kill('SIGKILL');
    await server.restart();
    const sinceRestart = acknowledged.size;
    await waitUntil('writes go on', () => acknowledged.size > sinceRestart + 200, 20_000);
    isWriting = false;
    await Promise.all(writers);
    const latest = await getKey(at(2), 'demo', [...acknowledged.keys()].at(-1) ?? '', {}, '?consistency=latest');
    assert.equal(latest.status, 200);
    for (const [key, revision] of acknowledged) {
      const got = await getKey(at(2), 'demo', key);
      assert.deepEqual([got.status, got.text, got.revision], [200, key, revision], key);
    }
  });

  it('says on /metrics and in the description what happened', async () => {
    const metrics = await (await fetch(`${at(0)}/metrics`)).text();
    for (const name of [
      'sluice_cache_hits_total',
      'sluice_cache_lag_seconds',
      'sluice_publish_seconds_bucket',
      'sluice_reconnects_total',
      'nodejs_eventloop_lag_seconds',
    ]) {
      assert.match(metrics, new RegExp(`^${name}`, 'm'), name);
    }
    const described = await getJson<{ entries: number; owners: string[][] }>(at(0), '/v1/caches/demo');
    assert.ok(described.entries > 0);
    assert.deepEqual([...(described.owners[0] ?? [])].sort(), ['node-1', 'node-2', 'node-3']);
  });
});
