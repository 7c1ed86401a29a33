/** The controller as a process: it audits a cluster without end and tells what it found by its metrics. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { type DamagedNode, startDamagedNode } from '../../support/damaged-node.ts';
import { declareCache, putKey } from '../../support/http-cache-client.ts';
import { startNatsServer, type TestServer } from '../../support/nats-server.ts';
import { type NodeProcess, startNode } from '../../support/node-process.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { createSluice, endPrograms, type RunningProgram, runProgram, startProgram } from './run-program.ts';

const keyCount = 100;

describe('cache-controller', () => {
  let server: TestServer;
  let plain: NodeProcess;
  let damaged: DamagedNode;

  before(async () => {
    server = await startNatsServer();
    plain = await startNode({ id: 'node-1', nats: server.url });
    damaged = await startDamagedNode('node-2', server.url);
    await plain.ready();
    await declareCache(plain.url, 'demo', { partitions: 4, replicas: 2, logBytesMax: '64MiB' });
    for (let index = 0; index < keyCount; index += 1) await putKey(plain.url, 'demo', `key:${index}`, `value ${index}`);
  });
  afterEach(endPrograms);
  after(async () => {
    await damaged.stop();
    await plain.stop();
    await server.stop();
  });

  async function start(env: Readonly<Record<string, string>> = {}): Promise<{ program: RunningProgram; url: string }> {
    const program = startProgram('cache-controller', ['--audit-interval', '1s', '--audit-canary', '1s'], {
      env: { SLUICE_NATS_SERVERS: server.url, SLUICE_CONTROLLER_PORT: '0', SLUICE_AUDIT_SHARES: '2', ...env },
    });
    const [, url = ''] = await program.sees(/"address":"(http:[^"]+)"/);
    return { program, url };
  }

  /** Values by line without the label of the cluster. */
  async function metrics(url: string): Promise<ReadonlyMap<string, number>> {
    const text = await (await fetch(`${url}/metrics`)).text();
    return new Map(
      text
        .split('\n')
        .filter((line) => line.startsWith('sluice_'))
        .map((line) => {
          const [name = '', value = ''] = line.replace(/,?cluster="sluice"/, '').split(' ');
          return [name, Number(value)];
        }),
    );
  }

  it('compares all shares in turn, measures staleness, finds what is planted, and sees it repaired', async () => {
    const { program, url } = await start();
    assert.equal((await fetch(`${url}/healthz`)).status, 200);
    assert.equal((await fetch(`${url}/readyz`)).status, 200);
    assert.equal((await fetch(`${url}/other`)).status, 404);
    assert.equal((await fetch(`${url}/metrics`, { method: 'POST' })).status, 405);
    const divergent = (node: string): string => `sluice_audit_divergent_entries{cache="demo",node="${node}"}`;
    const comparedBy = (node: string): string => `sluice_audit_compared_total{cache="demo",node="${node}"}`;
    await waitUntil(
      'two rounds are done',
      async () => {
        const now = await metrics(url);
        return ['node-1', 'node-2'].every((node) => (now.get(comparedBy(node)) ?? 0) >= keyCount);
      },
      20_000,
    );
    await waitUntil(
      'a canary was followed',
      async () => {
        const now = await metrics(url);
        return ['node-1', 'node-2'].every((node) =>
          Number.isFinite(now.get(`sluice_staleness_seconds{node="${node}"}`)),
        );
      },
      20_000,
    );
    const before = await metrics(url);
    assert.deepEqual([before.get(divergent('node-1')), before.get(divergent('node-2'))], [0, 0]);

    damaged.plantValue('demo', 'key:7', 'wrong');
    damaged.plantMissing('demo', 'key:8');
    await waitUntil('both are found', async () => (await metrics(url)).get(divergent('node-2')) === 2, 20_000);
    assert.equal((await metrics(url)).get(divergent('node-1')), 0);
    const [said = ''] = await program.sees(/\{[^\n]*"kind":"checksum"[^\n]*\}/);
    const { cache, copy, key, logRevision, copyRevision } = JSON.parse(said);
    assert.deepEqual([cache, copy, key, logRevision === copyRevision], ['demo', 'node-2', 'key:7', true]);

    assert.equal((await createSluice(server.url)('rebuild', 'node-2')).code, 0);
    await waitUntil('it is clean again', async () => (await metrics(url)).get(divergent('node-2')) === 0, 20_000);
    program.signal('SIGTERM');
    assert.equal((await program.ended).code, 0);
  });

  it('goes on when NATS was away, and is not ready meanwhile', async () => {
    const { program, url } = await start();
    await waitUntil(
      'it has audited',
      async () => ((await metrics(url)).get('sluice_audit_audits_total{cache="demo",outcome="agrees"}') ?? 0) > 0,
    );
    await server.kill();
    await waitUntil('it says so', async () => (await fetch(`${url}/readyz`)).status === 503);
    assert.equal((await fetch(`${url}/healthz`)).status, 200);
    await server.restart();
    await waitUntil('it is back', async () => (await fetch(`${url}/readyz`)).status === 200, 20_000);
    const known = (await metrics(url)).get('sluice_audit_audits_total{cache="demo",outcome="agrees"}') ?? 0;
    await waitUntil(
      'it audits again',
      async () => ((await metrics(url)).get('sluice_audit_audits_total{cache="demo",outcome="agrees"}') ?? 0) > known,
      30_000,
    );
    program.signal('SIGINT');
    assert.equal((await program.ended).code, 0);
  });

  it('ends with 73 when its port is taken, and names the setting', async () => {
    const { url } = await start();
    const { port } = new URL(url);
    const env = { SLUICE_NATS_SERVERS: server.url, SLUICE_CONTROLLER_PORT: port };
    const { code, stderr } = await runProgram('cache-controller', [], { env });
    assert.equal(code, 73);
    assert.match(stderr, new RegExp(`^cache-controller: in-use: controller\\.port: ${port}: another process listens`));
  });
});
