/** Answers between nodes that are as large as a message can be: no node ends by them, and every key is found. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { declareCache, getJson, getKey, putKey } from '../../support/http-cache-client.ts';
import { startNatsServer, type TestServer } from '../../support/nats-server.ts';
import { type NodeProcess, startNode } from '../../support/node-process.ts';
import { waitUntil } from '../../support/wait-until.ts';

const payloadBytes = 64 * 1024;

async function listKeys(url: string): Promise<string[]> {
  const keys: string[] = [];
  let after: string | undefined;
  do {
    const from = after === undefined ? '' : `&after=${encodeURIComponent(after)}`;
    const page = await getJson<{ keys: { key: string }[]; next?: string }>(
      url,
      `/v1/caches/large/keys?prefix=list/&limit=1000${from}`,
    );
    keys.push(...page.keys.map(({ key }) => key));
    after = page.next;
  } while (after !== undefined);
  return keys;
}

describe('two nodes that share the partitions of a cache', () => {
  let server: TestServer;
  let nodes: NodeProcess[];

  before(async () => {
    server = await startNatsServer({ maxPayloadBytes: payloadBytes });
    nodes = await Promise.all(['node-1', 'node-2'].map((id) => startNode({ id, nats: server.url })));
    await Promise.all(nodes.map((node) => node.ready()));
    const settings = { partitions: 4, replicas: 1, valueBytesMax: payloadBytes, logBytesMax: '64MiB' };
    const declared = await declareCache(nodes[0]?.url ?? '', 'large', settings);
    assert.equal(declared.status, 201, declared.text);
  });
  after(async () => {
    await Promise.all(nodes.map((node) => node.stop()));
    await server.stop();
  });

  const bothLive = async (): Promise<void> => {
    for (const { url, id, output } of nodes)
      assert.equal((await fetch(`${url}/healthz`)).status, 200, `${id}: ${output}`);
  };

  it('give each other values that fill a message, or the log does', async () => {
    // In the log a value has a short head; between nodes a longer one, so the largest do not fit.
    for (let size = payloadBytes - 320; size <= payloadBytes - 100; size += 20) {
      const key = `size/${size}`;
      const value = 'x'.repeat(size);
      const { status } = await putKey(nodes[0]?.url ?? '', 'large', key, value);
      if (status !== 204) continue;
      for (const { url } of nodes) {
        const got = await getKey(url, 'large', key);
        assert.deepEqual([got.status, got.text.length], [200, size], key);
      }
    }
    await bothLive();
  });

  it('list keys that are together larger than a message, every one once', async () => {
    const count = 120;
    for (let index = 0; index < count; index += 1)
      await putKey(nodes[0]?.url ?? '', 'large', `list/${'k'.repeat(900)}/${index}`, 'v');
    for (const { url, id } of nodes) {
      let seen: string[] = [];
      // What one node has acknowledged may be on its way to the owner of a partition.
      await waitUntil(`${id} lists all keys`, async () => {
        seen = await listKeys(url);
        return seen.length >= count;
      });
      assert.deepEqual(seen, [...new Set(seen)].sort());
      assert.equal(seen.length, count);
    }
    await bothLive();
  });
});
