/** A bucket that others made, with another library: a node serves it coherently and never alters it. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { jetstreamManager } from '@nats-io/jetstream';
import { type KV, Kvm } from '@nats-io/kv';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { deleteKey, getJson, getKey, postJson, putKey } from '../../support/http-cache-client.ts';
import { startNatsServer, type TestServer } from '../../support/nats-server.ts';
import { type NodeProcess, startNode } from '../../support/node-process.ts';

describe('a bucket made by the KV library', () => {
  let server: TestServer;
  let node: NodeProcess;
  let nats: NatsConnection;
  let bucket: KV;

  before(async () => {
    server = await startNatsServer();
    node = await startNode({ id: 'node-1', nats: server.url });
    await node.ready();
    nats = await connect({ servers: server.url });
    bucket = await new Kvm(nats).create('orders', { history: 5 });
  });

  after(async () => {
    await nats.close();
    await node.stop();
    await server.stop();
  });

  it('is served as a cache, in both directions', async () => {
    const revision = await bucket.put('order.1', 'theirs');
    const got = await getKey(node.url, 'orders', 'order.1', { 'sluice-min-position': String(revision) });
    assert.deepEqual([got.status, got.text, got.revision], [200, 'theirs', revision]);
    const put = await putKey(node.url, 'orders', 'order.1', 'ours');
    assert.equal((await bucket.get('order.1'))?.string(), 'ours');
    assert.equal((await bucket.get('order.1'))?.revision, put.revision);
    await bucket.delete('order.1');
    assert.equal((await getKey(node.url, 'orders', 'order.1', {}, '?consistency=latest')).status, 404);
    await putKey(node.url, 'orders', 'order.2', 'ours');
    assert.equal((await deleteKey(node.url, 'orders', 'order.2')).status, 204);
    assert.equal((await bucket.get('order.2'))?.operation, 'DEL');
  });

  it('is listed as adopted, and says what it cannot do', async () => {
    const { kind } = await getJson<{ kind: string }>(node.url, '/v1/caches/orders');
    assert.equal(kind, 'adopted');
    const refused = await postJson(node.url, '/v1/caches/orders/clear');
    assert.equal(refused.status, 501, refused.text);
    assert.match(refused.text, /sluice\.bucket\.orders/);
  });

  it('is never altered', async () => {
    const manager = await jetstreamManager(nats);
    const { config } = await manager.streams.info('KV_orders');
    assert.deepEqual([config.subjects, config.max_msgs_per_subject, config.discard], [['$KV.orders.>'], 5, 'new']);
  });

  it('that does not exist is a clear 404, and is found once somebody makes it', async () => {
    const missing = await getKey(node.url, 'later', 'a');
    assert.equal(missing.status, 404);
    assert.match(missing.text, /cache-unknown/);
  });
});
