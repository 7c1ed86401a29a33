/**
 * What goes wrong in real life: garbage in the log, a full disk, wrong clocks, two processes for one node, no server. Each is
 * answered by a clear error, and nothing is lost or half applied.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { declareCache, getJson, getKey, putKey } from '../../support/http-cache-client.ts';
import { findTestBinary, startNatsServer, type TestServer } from '../../support/nats-server.ts';
import { type NodeProcess, runNode, startNode } from '../../support/node-process.ts';
import { waitUntil } from '../../support/wait-until.ts';

describe('a node among garbage', () => {
  let server: TestServer;
  let node: NodeProcess;
  let nats: NatsConnection;

  before(async () => {
    server = await startNatsServer();
    node = await startNode({ id: 'node-1', nats: server.url });
    await node.ready();
    nats = await connect({ servers: server.url });
    await declareCache(node.url, 'demo');
  });

  after(async () => {
    await nats.close();
    await node.stop();
    await server.stop();
  });

  it('counts and skips what strangers publish into a bucket, and serves what is good', async () => {
    await putKey(node.url, 'demo', 'good', 'value');
    const random = (length: number): Uint8Array => Uint8Array.from({ length }, (_, index) => (index * 7919) % 256);
    for (const subject of [
      '$KV.demo.a=41',
      '$KV.demo.=zz',
      '$KV.demo.=sha256-00',
      '$KV.demo._kv',
      'sluice.bucket.demo.later.version',
      'sluice.bucket.demo.tag.=FF',
    ]) {
      await nats.request(subject, random(50), { timeout: 2_000 });
    }
    const { headers } = await import('@nats-io/nats-core');
    const bad = headers();
    bad.set('Sluice-Expires', 'tomorrow');
    await nats.request('$KV.demo.unreadable', 'x', { headers: bad, timeout: 2_000 });
    const last = await putKey(node.url, 'demo', 'after', 'value');
    const described = await waitUntil('all is applied', async () => {
      const now = await getJson<{ counters: { foreign: number; unreadable: number }; firstProblem?: string }>(
        node.url,
        '/v1/caches/demo',
      );
      return now.counters.unreadable === 1 && now;
    });
    assert.ok(described.counters.foreign >= 4, JSON.stringify(described.counters));
    assert.ok(described.firstProblem !== undefined);
    assert.equal(
      (await getKey(node.url, 'demo', 'good', { 'sluice-min-position': String(last.position) })).text,
      'value',
    );
    assert.equal((await getKey(node.url, 'demo', 'unreadable')).status, 404);
  });

  it('survives garbage on every control subject', async () => {
    const bodies = [
      '',
      'null',
      '[]',
      '{',
      '"x"',
      '{"settings":{"partitions":-1}}',
      '{"reason":"because"}',
      '\u0000\u0001',
    ];
    for (const subject of [
      'member.a.b.joined',
      'member.a.b.left',
      'member.x',
      'cache.a.declared',
      'cache.a.dropped',
      'cache.a.b.c.d',
      'command.start',
      'outcome.a',
      'lease.a.1',
      'lease.a.x',
    ]) {
      for (const body of bodies)
        await nats.request(`sluice.${subject}`, body, { timeout: 2_000 }).catch(() => undefined);
    }
    for (const body of bodies) {
      nats.publish('sluice.pulse.node-9', body);
      await nats.request('sluice.request.node-1.get', body, { timeout: 2_000 });
    }
    const unknown = await nats.request('sluice.request.node-1.explode', '{}\n', { timeout: 2_000 });
    assert.match(unknown.string(), /"code":"unsupported"/);
    assert.equal((await declareCache(node.url, 'another')).status, 201);
    assert.equal((await putKey(node.url, 'another', 'a', '1')).status, 204);
  });
});

describe('a node that cannot start', () => {
  it('says that another process holds its data folder', async () => {
    const server = await startNatsServer();
    const node = await startNode({ id: 'node-1', nats: server.url });
    try {
      const { code, output } = await runNode({
        SLUICE_NODE_DATA_FOLDER: node.folder,
        SLUICE_HTTP_PORT: '0',
        SLUICE_NATS_SERVERS: server.url,
      });
      assert.notEqual(code, 0);
      assert.match(output, /in-use|another process|holds/);
      assert.ok(output.includes(node.folder), output);
    } finally {
      await node.stop();
      await server.stop();
    }
  });

  it('says which port is taken', async () => {
    const server = await startNatsServer();
    const blocker = createServer().listen(0, '127.0.0.1');
    await waitUntil('the blocker listens', () => blocker.listening);
    const address = blocker.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const folder = mkdtempSync(join(tmpdir(), 'sluice-port-'));
    try {
      const { code, output } = await runNode({
        SLUICE_NODE_DATA_FOLDER: folder,
        SLUICE_HTTP_PORT: String(port),
        SLUICE_NATS_SERVERS: server.url,
      });
      assert.notEqual(code, 0);
      assert.ok(output.includes(String(port)) && /in use|in-use/i.test(output), output);
    } finally {
      blocker.close();
      rmSync(folder, { recursive: true });
      await server.stop();
    }
  });

  it('tries for the configured time and then names the server that did not answer', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-absent-'));
    const { code, output } = await runNode({
      SLUICE_NODE_DATA_FOLDER: folder,
      SLUICE_HTTP_PORT: '0',
      SLUICE_NATS_SERVERS: 'nats://127.0.0.1:1',
      SLUICE_NATS_CONNECT_WAIT: '1s',
    });
    rmSync(folder, { recursive: true, force: true });
    assert.equal(code, 69, output);
    assert.match(output, /127\.0\.0\.1:1/);
  });

  it('waits for a server that comes later', async () => {
    const server = await startNatsServer();
    await server.kill();
    const starting = startNode({ id: 'node-1', nats: server.url });
    await server.restart();
    const node = await starting;
    await node.ready();
    await node.stop();
    await server.stop();
  });

  it('lists every wrong setting at once', async () => {
    const { code, output } = await runNode({
      SLUICE_HTTP_PORT: 'x',
      SLUICE_LOG_HEARTBEAT: '5 years',
      SLUICE_NONSENSE: '1',
    });
    assert.equal(code, 78, output);
    for (const field of ['SLUICE_HTTP_PORT', 'SLUICE_LOG_HEARTBEAT', 'SLUICE_NONSENSE'])
      assert.ok(output.includes(field), `${field}: ${output}`);
  });
});

describe('a log without room', () => {
  it('refuses writes with 507 when it is full and set to refuse, and takes them again after deletes', async () => {
    const server = await startNatsServer();
    const node = await startNode({ id: 'node-1', nats: server.url });
    try {
      await node.ready();
      const declared = await declareCache(node.url, 'small', {
        logBytesMax: '128KiB',
        valueBytesMax: '16KiB',
        whenFull: 'refuse',
      });
      assert.equal(declared.status, 201, declared.text);
      const value = 'x'.repeat(15_000);
      const statuses: number[] = [];
      for (let index = 0; index < 12; index += 1)
        statuses.push((await putKey(node.url, 'small', `k${index}`, value)).status);
      assert.ok(statuses.includes(204) && statuses.at(-1) === 507, statuses.join(' '));
      const kept = statuses.filter((status) => status === 204).length;
      for (let index = 0; index < kept; index += 1)
        assert.equal((await getKey(node.url, 'small', `k${index}`)).status, 200);
      await fetch(`${node.url}/v1/caches/small/clear`, { method: 'POST' });
      await waitUntil(
        'there is room again',
        async () => (await putKey(node.url, 'small', 'again', value)).status === 204,
      );
    } finally {
      await node.stop();
      await server.stop();
    }
  });

  it('says so when the server has no storage for a new cache, and the others go on', async () => {
    const server = await startNatsServer({ jetStreamConfig: 'max_file: 8MB' });
    const node = await startNode({ id: 'node-1', nats: server.url });
    try {
      await node.ready();
      assert.equal((await declareCache(node.url, 'fits', { logBytesMax: '4MiB' })).status, 201);
      const refused = await declareCache(node.url, 'large', { logBytesMax: '1GiB' });
      assert.equal(refused.status, 507, refused.text);
      assert.match(refused.text, /logBytesMax/);
      assert.equal((await putKey(node.url, 'fits', 'a', '1')).status, 204);
    } finally {
      await node.stop();
      await server.stop();
    }
  });
});

describe('a server whose disk is full', () => {
  it('fails writes with a clear error, keeps what it acknowledged, and serves reads', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-full-'));
    const server = await startNatsServer({ binary: await serverOnSmallDisk(folder) });
    const node = await startNode({ id: 'node-1', nats: server.url, env: { SLUICE_LOG_WRITE_DEADLINE: '2s' } });
    try {
      await node.ready();
      assert.equal((await declareCache(node.url, 'demo', { logBytesMax: 'none' })).status, 201);
      const value = 'x'.repeat(100_000);
      const kept: string[] = [];
      const failed: { status: number; text: string }[] = [];
      for (let index = 0; index < 200 && failed.length < 3; index += 1) {
        const put = await putKey(node.url, 'demo', `k${index}`, value);
        if (put.status === 204) kept.push(`k${index}`);
        else failed.push(put);
      }
      assert.ok(kept.length > 10 && failed.length === 3, `${kept.length} kept, ${failed.length} failed`);
      for (const { status, text } of failed)
        assert.match(`${status} ${text}`, /^(503|504|507) .*"code":"(log-full|log-unavailable|outcome-unknown)"/);
      for (const key of kept) assert.equal((await getKey(node.url, 'demo', key)).text.length, value.length);
      assert.equal((await fetch(`${node.url}/healthz`)).status, 200);
    } finally {
      await node.stop();
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

/** A nats-server that sees a tmpfs of 6 MB where its streams are, in a mount namespace of its own. */
async function serverOnSmallDisk(folder: string): Promise<string> {
  const binary = await findTestBinary();
  const path = join(folder, 'nats-server');
  const probe = spawnSync('unshare', ['-m', 'true']);
  const unshare = probe.status === 0 ? 'unshare -m' : 'unshare -Urm';
  writeFileSync(
    path,
    `#!/bin/sh
for argument; do case "$argument" in
  --version|-v) exec '${binary}' "$@" ;;
  *.conf) store=$(dirname "$argument")/jetstream ;;
esac; done
mkdir -p "$store"
exec ${unshare} sh -c 'mount -t tmpfs -o size=6m none "$0" && exec "$@"' "$store" '${binary}' "$@"
`,
    { mode: 0o755 },
  );
  return path;
}

/** Runs before the program and moves its wall clock. */
const clockShift = (shiftMs: number): string =>
  `--import=data:text/javascript,${encodeURIComponent(`const now = Date.now; Date.now = () => now() + ${shiftMs};`)}`;

describe('a node whose clock is ten minutes off', () => {
  it('applies the same events, and differs in expiry by its own clock alone', async () => {
    const server = await startNatsServer();
    const right = await startNode({ id: 'right', nats: server.url });
    const late = await startNode({ id: 'late', nats: server.url, env: { NODE_OPTIONS: clockShift(600_000) } });
    try {
      await Promise.all([right.ready(), late.ready()]);
      await declareCache(right.url, 'demo');
      const lasting = await putKey(right.url, 'demo', 'lasting', 'x', {}, '?ttl=1h');
      const short = await putKey(right.url, 'demo', 'short', 'x', {}, '?ttl=60s');
      const demand = { 'sluice-min-position': String(short.position) };
      assert.equal((await getKey(late.url, 'demo', 'lasting', demand)).revision, lasting.revision);
      assert.equal((await getKey(right.url, 'demo', 'short', demand)).status, 200);
      assert.equal((await getKey(late.url, 'demo', 'short', demand)).status, 404);
      await waitUntil('both see each other ready', async () => {
        const { members } = await getJson<{ members: { state: string }[] }>(right.url, '/v1/members');
        return members.length === 2 && members.every((member) => member.state === 'ready');
      });
    } finally {
      await Promise.all([right.stop(), late.stop()]);
      await server.stop();
    }
  });
});
