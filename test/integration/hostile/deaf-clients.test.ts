/** Abuse of a real node's HTTP door by who sends good requests, and does not take the answers. See `door-abuse.test.ts`. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { allClosed, attackMany, endMs, head, keyOf, node, under } from '../../support/attacked-node.ts';
import { putKey } from '../../support/http-cache-client.ts';
import { processSize } from '../../support/process-size.ts';
import { waitUntil } from '../../support/wait-until.ts';

describe('a node whose answers are not taken', () => {
  it('ends pipelines by http.pipelinedMax, and those that do not read their answers by http.stallTimeout', async (t) => {
    await under(t, { residentMiB: 700, descriptors: 260 }, async () => {
      const before = processSize(node.pid).descriptors;
      // Each is 100 KB, which is several reads of the node; it is cut at the first of them.
      const flood = head('GET', keyOf('kept')).repeat(2_000);
      for (let round = 0; round < 10; round += 1)
        await allClosed(await attackMany(30, true, flood), 'pipelines are closed');
      await attackMany(60, false, head('GET', keyOf('large')).repeat(20));
      await waitUntil('all are connected', () => processSize(node.pid).descriptors >= before + 30, endMs);
      await waitUntil(
        'those that do not read are closed',
        () => processSize(node.pid).descriptors <= before + 20,
        endMs,
      );
    });
  });

  it('drops a thousand readers of changes that never read, by watch.bytesMax', async (t) => {
    await under(t, { residentMiB: 900, descriptors: 1_050 }, async () => {
      const before = processSize(node.pid).descriptors;
      await attackMany(1_000, false, head('GET', '/v1/caches/demo/watch?values=base64', 'Accept: text/event-stream'));
      await waitUntil('all are connected', () => processSize(node.pid).descriptors >= before + 1_000, endMs);
      const body = 'y'.repeat(30_000);
      for (let index = 0; index < 60; index += 1)
        assert.equal((await putKey(node.url, 'demo', `seen ${index % 4}`, body)).status, 204);
      await waitUntil(
        'the readers are dropped',
        async () => {
          assert.equal((await putKey(node.url, 'demo', 'seen', body)).status, 204);
          return processSize(node.pid).descriptors <= before + 20;
        },
        endMs,
      );
    });
  });
});
