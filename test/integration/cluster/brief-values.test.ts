/**
 * What comes and is removed again by the server while a copy is away: an old value that it had replaced is not served for ever.
 * Servers without TTLs keep the message, and the copy meets it; the outcome is the same.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { connect, headers, type NatsConnection } from '@nats-io/transport-node';
import { deleteKey, getKey, putKey } from '../../support/http-cache-client.ts';
import { createLibraryClients } from '../../support/library-clients.ts';
import { startNatsServer, type TestServer } from '../../support/nats-server.ts';
import { type NodeProcess, startNode } from '../../support/node-process.ts';
import { requestJetStream } from '../../support/raw-nats.ts';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { waitUntil } from '../../support/wait-until.ts';

const others = 20;

describe('a copy that was away while a brief value came and went', () => {
  let server: TestServer;
  let proxy: TcpProxy;
  let node: NodeProcess;
  let nats: NatsConnection;
  const clients = createLibraryClients(() => server.port);

  before(async () => {
    server = await startNatsServer();
    proxy = await startTcpProxy(server.port);
    node = await startNode({ id: 'node-1', nats: `nats://127.0.0.1:${proxy.port}` });
    await node.ready();
    nats = await connect({ servers: server.url });
  });
  after(async () => {
    await nats.close();
    await clients.end();
    await node.stop();
    await proxy.close();
    await server.stop();
  });

  /** Resolves when the server has removed the key's message, or will never do so. */
  async function removed(bucket: string, key: string): Promise<void> {
    const info = await requestJetStream(server.port, `STREAM.INFO.KV_${bucket}`);
    const { allow_msg_ttl: honoursTtl } = (info?.['config'] ?? {}) as { allow_msg_ttl?: boolean };
    const newest = (): Promise<unknown> =>
      requestJetStream(server.port, `STREAM.MSG.GET.KV_${bucket}`, { last_by_subj: `$KV.${bucket}.${key}` });
    if (honoursTtl === true) await waitUntil('the end of the value', async () => (await newest()) === undefined);
    else assert.notEqual(await newest(), undefined);
  }

  async function whileAway(work: () => Promise<void>): Promise<void> {
    await proxy.refuse();
    proxy.cut();
    await work();
    await proxy.accept();
  }

  /** At every look: the old value is told to be old, and in the end it is gone. */
  async function endsOn(cache: string, key: string): Promise<void> {
    const base = node.url;
    await waitUntil(
      'a copy without the old value',
      async () => {
        const young = await getKey(base, cache, key, { 'sluice-max-staleness': '500ms' });
        assert.ok([404, 503, 504].includes(young.status), `${young.status} ${young.text}`);
        return (await getKey(base, cache, key)).status === 404;
      },
      30_000,
    );
    await waitUntil('a young copy', async () => {
      const young = await getKey(base, cache, `other${others - 1}`, { 'sluice-max-staleness': '500ms' });
      return young.status === 200;
    });
    assert.equal((await getKey(base, cache, key)).status, 404);
  }

  it('has not the old value, on a node', async () => {
    const sluice = await clients.connect();
    const direct = await sluice.open<string>('demo');
    for (const key of ['first', 'old']) await direct.put(key, 'old');
    for (let index = 0; index < others; index += 1) await direct.put(`other${index}`, 'v');
    assert.equal((await getKey(node.url, 'demo', 'old', {}, '?consistency=latest')).status, 200);
    await whileAway(async () => {
      await direct.put('old', 'brief', { ttlMs: 1_000 });
      await removed('demo', 'old');
      await waitUntil('its end', () => direct.get('old') === undefined);
    });
    await endsOn('demo', 'old');
    assert.equal((await putKey(node.url, 'demo', 'old', 'again')).status, 204);
    assert.equal((await getKey(node.url, 'demo', 'old')).text, 'again');
    assert.equal((await deleteKey(node.url, 'demo', 'old')).status, 204);
  });

  it('has not the old value, on a node that opened a bucket of others, which stays as it is', async () => {
    const wanted = { name: 'KV_theirs', subjects: ['$KV.theirs.>'], max_msgs_per_subject: 1, allow_msg_ttl: true };
    const made = await requestJetStream(server.port, 'STREAM.CREATE.KV_theirs', wanted);
    const put = (key: string, ttl?: string): Promise<unknown> => {
      const fields = headers();
      if (ttl !== undefined) fields.set('Nats-TTL', ttl);
      return nats.request(`$KV.theirs.${key}`, 'v', { timeout: 5_000, headers: fields });
    };
    for (const key of ['first', 'old']) await put(key);
    for (let index = 0; index < others; index += 1) await put(`other${index}`);
    assert.equal((await getKey(node.url, 'theirs', 'old', {}, '?consistency=latest')).status, 200);
    await whileAway(async () => {
      const writtenMs = performance.now();
      await put('old', '1s');
      await removed('theirs', 'old');
      await waitUntil('its end', () => performance.now() > writtenMs + 1_100);
    });
    await endsOn('theirs', 'old');
    const now = await requestJetStream(server.port, 'STREAM.INFO.KV_theirs');
    assert.deepEqual(now?.['config'], made?.['config']);
  });

  it('takes a marker of expiry for a delete, in a bucket of others, and warns of what such markers can do', async () => {
    const wanted = {
      name: 'KV_marked',
      subjects: ['$KV.marked.>'],
      max_msgs_per_subject: 1,
      allow_rollup_hdrs: true,
      allow_msg_ttl: true,
      subject_delete_marker_ttl: 60e9,
    };
    const made = await requestJetStream(server.port, 'STREAM.CREATE.KV_marked', wanted);
    const fields = headers();
    fields.set('Nats-TTL', '1s');
    await nats.request('$KV.marked.k', 'v', { timeout: 5_000, headers: fields });
    await getKey(node.url, 'marked', 'k', {}, '?consistency=latest');
    const { subject_delete_marker_ttl: markersNs } = (made?.['config'] ?? {}) as { subject_delete_marker_ttl?: number };
    const isMarking = markersNs === 60e9;
    const newest = async (): Promise<string> => {
      const answer = await requestJetStream(server.port, 'STREAM.MSG.GET.KV_marked', { last_by_subj: '$KV.marked.k' });
      const { hdrs = '' } = (answer?.['message'] ?? {}) as { hdrs?: string };
      return Buffer.from(hdrs, 'base64').toString();
    };
    if (isMarking) await waitUntil('a marker', async () => (await newest()).includes('Nats-Marker-Reason: MaxAge'));
    else assert.match(await newest(), /Nats-TTL: 1s/);
    await waitUntil('its end', async () => (await getKey(node.url, 'marked', 'k')).status === 404);
    assert.equal(/KV_marked: [^"]*markers of expiry/.test(node.output), isMarking);
  });

  it('has not the old value, in a process with the library', async () => {
    const { sluice, proxy: own } = await clients.connectThroughProxy();
    const away = await sluice.open<string>('library');
    const [direct] = await clients.openIn<string>(1, 'library');
    assert.ok(direct !== undefined);
    for (const key of ['first', 'old']) await direct.put(key, 'old');
    for (let index = 0; index < others; index += 1) await direct.put(`other${index}`, 'v');
    await away.latest('old');
    assert.equal(away.get('old'), 'old');
    await own.refuse();
    own.cut();
    await direct.put('old', 'brief', { ttlMs: 1_000 });
    await removed('library', 'old');
    await waitUntil('its end', () => direct.get('old') === undefined);
    await own.accept();
    // Never old and young at once.
    await waitUntil(
      'a young copy',
      () => {
        const { ms } = away.lag;
        if (away.get('old') === 'old') assert.ok(ms > 900, `${ms} ms`);
        return ms < 900;
      },
      30_000,
    );
    assert.deepEqual([away.get('old'), away.get('first'), away.size], [undefined, 'old', others + 1]);
  });
});
