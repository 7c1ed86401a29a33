/** Partitioned caches on real processes: any node answers for any key, and moving partitions costs no miss. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { declareCache, getJson, getKey, postJson, putKey } from '../../support/http-cache-client.ts';
import { startNatsServer, type TestServer } from '../../support/nats-server.ts';
import { type NodeProcess, startNode } from '../../support/node-process.ts';
import { waitUntil } from '../../support/wait-until.ts';

interface Description {
  readonly owners: readonly (readonly string[])[];
  readonly partitions: readonly { readonly partition: number }[];
}

const keyCount = 300;
const keyOf = (index: number): string => `key:${index}`;

describe('a cache of sixteen partitions on three nodes', () => {
  let server: TestServer;
  let nodes: NodeProcess[];

  before(async () => {
    server = await startNatsServer();
    nodes = await Promise.all(['node-1', 'node-2', 'node-3'].map((id) => startNode({ id, nats: server.url })));
    await Promise.all(nodes.map((node) => node.ready()));
    const declared = await declareCache(at(0), 'parts', { partitions: 16, replicas: 1, valueBytesMax: '64KiB' });
    assert.equal(declared.status, 201, declared.text);
    for (let index = 0; index < keyCount; index += 1) {
      assert.equal((await putKey(at(index % 3), 'parts', keyOf(index), `value ${index}`)).status, 204);
    }
  });

  after(async () => {
    await Promise.all(nodes.map((node) => node.stop()));
    await server.stop();
  });

  const at = (index: number): string => nodes[index]?.url ?? '';
  const describe_ = (index: number): Promise<Description> => getJson(at(index), '/v1/caches/parts');

  it('gives each partition one owner, the same in the eyes of every node', async () => {
    const views = await Promise.all([0, 1, 2].map(describe_));
    assert.deepEqual(views[1]?.owners, views[0]?.owners);
    assert.deepEqual(views[2]?.owners, views[0]?.owners);
    const held = views.flatMap((view) => view.partitions.map((partition) => partition.partition));
    assert.deepEqual(
      [...held].sort((a, b) => a - b),
      Array.from({ length: 16 }, (_, partition) => partition),
    );
  });

  it('answers for any key on any node, with the writes of every other', async () => {
    for (let index = 0; index < keyCount; index += 1) {
      const got = await getKey(at((index + 1) % 3), 'parts', keyOf(index), {}, '?consistency=latest');
      assert.deepEqual([got.status, got.text], [200, `value ${index}`]);
    }
    const page = await getJson<{ keys: { key: string }[]; next?: string }>(at(1), '/v1/caches/parts/keys?limit=1000');
    assert.equal(page.keys.length, keyCount);
  });

  it('clears all partitions and tells where each stands', async () => {
    assert.equal(
      (await declareCache(at(0), 'other', { partitions: 4, replicas: 2, valueBytesMax: '64KiB' })).status,
      201,
    );
    for (let index = 0; index < 20; index += 1) await putKey(at(0), 'other', keyOf(index), 'x');
    const cleared = await postJson(at(1), '/v1/caches/other/clear?wait=all');
    assert.equal(cleared.status, 200, cleared.text);
    assert.equal(Object.keys(JSON.parse(cleared.text).positions).length, 4);
    for (let index = 0; index < 20; index += 1) assert.equal((await getKey(at(2), 'other', keyOf(index))).status, 404);
  });

  it('answers every read of a present key during a rolling restart of all nodes under load', async () => {
    let isReading = true;
    let reads = 0;
    const misses: string[] = [];
    const reader = async (offset: number): Promise<void> => {
      for (let index = offset; isReading; index += 7) {
        const key = keyOf(index % keyCount);
        // A client goes to the next node when one does not accept or is draining.
        for (let attempt = 0; ; attempt += 1) {
          const got = await getKey(at((index + attempt) % 3), 'parts', key).catch(() => undefined);
          if (got?.status === 200) break;
          if (got !== undefined && got.status !== 503) misses.push(`${key}: ${got.status} ${got.text}`);
          if (attempt > 30) {
            misses.push(`${key}: no node answered, last ${got?.status} ${got?.text}`);
            break;
          }
        }
        reads += 1;
      }
    };
    const readers = [0, 1, 2, 3].map(reader);
    for (const node of nodes) {
      const readsBefore = reads;
      await node.restart();
      await node.ready();
      await waitUntil('reads went on', () => reads > readsBefore + 50);
    }
    isReading = false;
    await Promise.all(readers);
    assert.deepEqual(misses, []);
    assert.ok(reads > 150);
  });

  it('reads on within a second when a node dies, and moves its partitions to the survivors', async () => {
    const { owners } = await describe_(0);
    const lost = owners.findIndex((nodesOfPartition) => nodesOfPartition[0] === 'node-3');
    assert.notEqual(lost, -1);
    await nodes[2]?.kill('SIGKILL');
    for (let index = 0; index < keyCount; index += 1) {
      const got = await getKey(at(index % 2), 'parts', keyOf(index));
      assert.deepEqual([got.status, got.text], [200, `value ${index}`]);
    }
    await waitUntil('the survivors own everything', async () => {
      const now = await describe_(0);
      return now.owners.every(([owner]) => owner === 'node-1' || owner === 'node-2');
    });
    await nodes[2]?.restart();
    await nodes[2]?.ready();
  });
});
