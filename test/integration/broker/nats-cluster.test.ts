/** A cluster of real servers, as the tests of the log use it. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { startNatsCluster, type TestCluster } from '../../support/nats-server.ts';
import { requestJetStream } from '../../support/raw-nats.ts';
import { waitUntil } from '../../support/wait-until.ts';

describe('a test cluster', () => {
  let cluster: TestCluster;

  before(async () => {
    cluster = await startNatsCluster(3);
  });
  after(async () => {
    await cluster.stop();
    for (const server of cluster.servers) assert.equal(existsSync(server.storeFolder), false);
  });

  it('makes a stream with three replicas at the first attempt', async () => {
    const [first] = cluster.servers;
    assert.ok(first);
    assert.equal(cluster.urls.length, 3);
    const config = { name: 'R3', subjects: ['r3.>'], num_replicas: 3 };
    const made = await requestJetStream(first.port, 'STREAM.CREATE.R3', config, 5_000);
    assert.ok(made);
    const list = await requestJetStream(first.port, 'STREAM.NAMES');
    assert.deepEqual(list?.['streams'], ['R3'], 'the probe of the cluster left a stream behind');
  });

  it('goes on with two servers after one was killed, and takes it back', async () => {
    const [first, second, third] = cluster.servers;
    assert.ok(first && second && third);
    await first.kill('SIGKILL');
    await waitUntil(
      'an answer without the first server',
      () => requestJetStream(second.port, 'STREAM.INFO.R3'),
      30_000,
    );
    await first.restart();
    await waitUntil('an answer through the first server', () => requestJetStream(first.port, 'STREAM.INFO.R3'), 30_000);
  });
});
