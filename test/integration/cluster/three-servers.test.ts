/** Three nats-servers with replicated streams: the loss of one costs neither an acknowledged write nor a read. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { declareCache, getJson, getKey, putKey } from '../../support/http-cache-client.ts';
import { startNatsCluster, type TestCluster } from '../../support/nats-server.ts';
import { type NodeProcess, startNode } from '../../support/node-process.ts';
import { requestJetStream } from '../../support/raw-nats.ts';
import { waitUntil } from '../../support/wait-until.ts';

describe('two nodes on three servers', () => {
  let cluster: TestCluster;
  let nodes: NodeProcess[];

  before(async () => {
    cluster = await startNatsCluster(3);
    // The first server of the list is not the same for both, so that the loss of any server hits some connection.
    nodes = await Promise.all(
      ['node-1', 'node-2'].map((id, index) =>
        startNode({
          id,
          nats: [...cluster.urls.slice(index), ...cluster.urls.slice(0, index)],
          env: { SLUICE_LOG_REPLICAS: '3', SLUICE_LOG_WRITE_DEADLINE: '20s', SLUICE_NATS_PING_INTERVAL: '1s' },
        }),
      ),
    );
    await Promise.all(nodes.map((node) => node.ready()));
    const declared = await declareCache(at(0), 'demo', { logReplicas: 3 });
    assert.equal(declared.status, 201, declared.text);
  });

  after(async () => {
    await Promise.all(nodes.map((node) => node.stop()));
    await cluster.stop();
  });

  const at = (index: number): string => nodes[index]?.url ?? '';

  it('replicates what it stores', async () => {
    const { settings } = await getJson<{ settings: { logReplicas: number } }>(at(1), '/v1/caches/demo');
    assert.equal(settings.logReplicas, 3);
    const put = await putKey(at(0), 'demo', 'a', '1');
    assert.equal(put.status, 204, put.text);
    assert.equal((await getKey(at(1), 'demo', 'a', { 'sluice-min-position': String(put.position) })).text, '1');
  });

  it('keeps every acknowledged write and answers every read when the leader of the stream is killed', async () => {
    for (let index = 0; index < 20; index += 1) await putKey(at(0), 'demo', `read-${index}`, String(index));
    const settled = await putKey(at(0), 'demo', 'settled', 'x');
    for (const index of [0, 1])
      await getKey(at(index), 'demo', 'settled', { 'sluice-min-position': String(settled.position) });

    const acknowledged = new Map<string, number>();
    const failures: string[] = [];
    let isRunning = true;
    const writer = async (index: number): Promise<void> => {
      for (let count = 0; isRunning; count += 1) {
        const key = `w-${index}-${count}`;
        const put = await putKey(at(index), 'demo', key, key);
        if (put.status === 204) acknowledged.set(key, put.revision ?? 0);
      }
    };
    const reader = async (index: number): Promise<void> => {
      for (let count = 0; isRunning; count += 1) {
        const got = await getKey(at(index), 'demo', `read-${count % 20}`);
        if (got.text !== String(count % 20)) failures.push(`${got.status} ${got.text}`);
      }
    };
    const work = [writer(0), writer(1), reader(0), reader(1)];
    await waitUntil('some writes are acknowledged', () => acknowledged.size > 100);

    const [, answer] = await Promise.all([
      undefined,
      requestJetStream(cluster.servers[0]?.port ?? 0, 'STREAM.INFO.KV_demo'),
    ]);
    const leader = (answer as { cluster?: { leader?: string } }).cluster?.leader;
    const index = Number(leader?.slice('test-'.length)) - 1;
    await cluster.servers[index]?.kill('SIGKILL');
    const atKill = acknowledged.size;
    await waitUntil('writes go on', () => acknowledged.size > atKill + 100, 30_000);
    await cluster.servers[index]?.restart();
    isRunning = false;
    await Promise.all(work);

    assert.deepEqual(failures, []);
    for (const nodeIndex of [0, 1]) {
      const latest = await waitUntil('the log has a leader', async () => {
        const got = await getKey(at(nodeIndex), 'demo', 'settled', {}, '?consistency=latest');
        return got.status === 200;
      });
      assert.ok(latest);
      for (const [key, revision] of acknowledged) {
        const got = await getKey(at(nodeIndex), 'demo', key);
        assert.deepEqual([got.status, got.revision], [200, revision], key);
      }
    }
  });
});
