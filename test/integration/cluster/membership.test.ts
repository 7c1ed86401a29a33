/** Members of a real cluster: joining, leaving, being suspected, and coming back as a new incarnation. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { declareCache, getJson, getKey, postJson, putKey } from '../../support/http-cache-client.ts';
import { startNatsServer, type TestServer } from '../../support/nats-server.ts';
import { type NodeProcess, startNode } from '../../support/node-process.ts';
import { waitUntil } from '../../support/wait-until.ts';

interface Member {
  readonly node: string;
  readonly incarnation: string;
  readonly state: string;
  readonly pid: number;
  readonly epoch?: number;
  readonly leftReason?: string;
}

describe('the members of a cluster', () => {
  let server: TestServer;
  let nodes: NodeProcess[];

  before(async () => {
    server = await startNatsServer();
    nodes = await Promise.all(['node-1', 'node-2', 'node-3'].map((id) => startNode({ id, nats: server.url })));
    await Promise.all(nodes.map((node) => node.ready()));
    await declareCache(at(0), 'demo');
    await putKey(at(0), 'demo', 'a', '1');
  });

  after(async () => {
    await Promise.all(nodes.map((node) => node.stop()));
    await server.stop();
  });

  const at = (index: number): string => nodes[index]?.url ?? '';
  async function memberOf(index: number, node: string): Promise<Member | undefined> {
    const { members } = await getJson<{ members: Member[] }>(at(index), '/v1/members');
    return members.find((member) => member.node === node);
  }

  it('are the same with the same epoch on every node', async () => {
    await waitUntil('all know all as ready', async () => {
      const lists = await Promise.all(
        [0, 1, 2].map((index) => getJson<{ members: Member[]; epoch: number }>(at(index), '/v1/members')),
      );
      const [first] = lists;
      return lists.every(
        (list) => list.epoch === first?.epoch && list.members.filter((member) => member.state === 'ready').length === 3,
      );
    });
    assert.equal((await memberOf(0, 'node-2'))?.pid, nodes[1]?.pid);
  });

  it('suspect a paused node, let it go, and take it back as a new incarnation with everything', async () => {
    const before = await memberOf(0, 'node-3');
    nodes[2]?.signal('SIGSTOP');
    await waitUntil('node-3 is suspect', async () => (await memberOf(0, 'node-3'))?.state === 'suspect', 3_000);
    await waitUntil('node-3 has left', async () => (await memberOf(0, 'node-3'))?.state === 'left', 8_000);
    assert.equal((await memberOf(1, 'node-3'))?.leftReason, 'timeout');
    const put = await putKey(at(0), 'demo', 'a', '2');
    nodes[2]?.signal('SIGCONT');
    const back = await waitUntil('node-3 is back', async () => {
      const member = await memberOf(0, 'node-3');
      return member?.state === 'ready' && member;
    });
    assert.notEqual(back.incarnation, before?.incarnation);
    const got = await getKey(at(2), 'demo', 'a', { 'sluice-min-position': String(put.position) });
    assert.equal(got.text, '2');
  });

  it('leave at once and properly on SIGTERM', async () => {
    assert.equal(await nodes[1]?.kill('SIGTERM'), 0);
    const left = await waitUntil(
      'node-2 has left',
      async () => {
        const member = await memberOf(0, 'node-2');
        return member?.state === 'left' && member;
      },
      1_000,
    );
    assert.equal(left.leftReason, 'shutdown');
    await nodes[1]?.restart();
    await nodes[1]?.ready();
  });

  it('can be sent away by an operator; a live one joins again', async () => {
    const before = await memberOf(0, 'node-2');
    assert.equal((await postJson(at(0), '/v1/members/node-2/evict')).status < 300, true);
    await waitUntil('node-2 is back under a new incarnation', async () => {
      const member = await memberOf(0, 'node-2');
      return member?.state === 'ready' && member.incarnation !== before?.incarnation;
    });
    assert.equal((await postJson(at(0), '/v1/members/nobody/evict')).status, 404);
  });

  it('stay members when the control log is restored and replayed from its beginning', async () => {
    await nodes[1]?.restart();
    await nodes[1]?.ready();
    const pid = nodes[1]?.pid;
    const nats = await connect({ servers: server.url });
    const manager = await jetstreamManager(nats);
    const { config, state } = await manager.streams.info('SLUICE');
    const events: { subject: string; data: Uint8Array }[] = [];
    for (let seq = state.first_seq; seq <= state.last_seq; seq += 1) {
      const message = await manager.streams.getMessage('SLUICE', { seq });
      if (message !== null) events.push({ subject: message.subject, data: message.data });
    }
    await manager.streams.delete('SLUICE');
    await manager.streams.add(config);
    for (const { subject, data } of events) await nats.request(subject, data);
    await nats.close();
    // A cache that is declared after the restore shows that each node has replayed it, its own earlier lives included.
    await waitUntil('a declaration is taken', async () => (await declareCache(at(0), 'restored')).status < 300);
    for (const index of [0, 1, 2]) {
      await waitUntil(
        `node ${index} knows it`,
        async () => (await fetch(`${at(index)}/v1/caches/restored`)).status === 200,
      );
    }
    assert.equal((await memberOf(0, 'node-2'))?.pid, pid);
    await waitUntil('node-2 is ready', async () => (await memberOf(0, 'node-2'))?.state === 'ready');
  });

  it('rebuild a copy on request', async () => {
    const rebuilt = await postJson(at(0), '/v1/members/node-2/rebuild', { cache: 'demo' });
    assert.equal(rebuilt.status, 200, rebuilt.text);
    await waitUntil('node-2 has replayed', async () => {
      const { counters, isReady } = await getJson<{ counters: { rebuilds: number }; isReady: boolean }>(
        at(1),
        '/v1/caches/demo',
      );
      return isReady && counters.rebuilds === 1;
    });
    assert.equal((await getKey(at(1), 'demo', 'a')).text, '2');
  });
});
