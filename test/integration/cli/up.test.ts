/** `sluice up`: a whole cluster from one command, what it survives, and what is left of it: nothing. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { readProcess } from '../../../src/broker/process/process-facts.ts';
import { isPortBusy, planPorts } from '../../../src/cli/up/ports.ts';
import { findTestBinary, startNatsServer } from '../../support/nats-server.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { createSluice, endPrograms, type RunningProgram, runProgram, startProgram } from './run-program.ts';

interface Member {
  readonly node: string;
  readonly pid: number;
  readonly state: string;
}

let folder: string;
let example: string;
let env: Record<string, string>;

before(async () => {
  env = { NATS_SERVER_BIN: await findTestBinary() };
  folder = mkdtempSync(join(tmpdir(), 'sluice-up-'));
  example = join(folder, 'example');
  for (let index = 0; index < 40; index += 1) {
    mkdirSync(join(example, `folder ${index % 4}`), { recursive: true });
    writeFileSync(join(example, `folder ${index % 4}`, `${index}.txt`), `text ${index}\n`.repeat(index));
  }
});

afterEach(endPrograms);
after(() => rmSync(folder, { recursive: true, force: true }));

/** A base from which all ports are free now, below those that the system gives to connections (32768 and above). */
async function findPortBase(): Promise<number> {
  for (let base = 20_000 + (process.pid % 600) * 20; ; base = 20_000 + ((base + 20) % 12_000)) {
    const { nats, http, controller } = planPorts(base, 3);
    const busy = await Promise.all([nats, ...http, controller].map(isPortBusy));
    if (!busy.includes(true)) return base;
  }
}

interface Cluster {
  readonly program: RunningProgram;
  readonly base: number;
  readonly natsUrl: string;
  readonly nodes: readonly string[];
  /** Processes of the cluster, also those that were started later. */
  pids(): Promise<number[]>;
  members(): Promise<Member[]>;
  /** Ctrl-C, and what must be true of it every time. */
  interrupt(signal?: NodeJS.Signals): Promise<void>;
}

async function startCluster(data: string, base: number, ...args: string[]): Promise<Cluster> {
  const flags = ['--port-base', String(base), '--data', join(folder, data)];
  const program = startProgram('sluice', ['up', ...flags, ...args], { env });
  await program.sees(/Ctrl-C stops everything/, 60_000);
  const { nats, http, controller } = planPorts(base, 3);
  const natsUrl = `nats://127.0.0.1:${nats}`;
  const nodes = http.map((port) => `http://127.0.0.1:${port}`);
  const natsPids = (): number[] =>
    [...program.stdout.matchAll(/nats-server \| .*, pid (\d+)/g)].map(([, pid]) => Number(pid));

  async function members(): Promise<Member[]> {
    for (const node of nodes) {
      const answer = await fetch(`${node}/v1/members`).catch(() => undefined);
      if (answer?.status === 200) return ((await answer.json()) as { members: Member[] }).members;
    }
    return [];
  }
  const pids = async (): Promise<number[]> => [...natsPids(), ...(await members()).map(({ pid }) => pid)];

  return {
    program,
    base,
    natsUrl,
    nodes,
    pids,
    members,
    async interrupt(signal = 'SIGINT') {
      const running = [...(await pids()), program.pid];
      program.signal(signal);
      const { code, stdout, stderr } = await program.ended;
      assert.deepEqual([code, stderr], [0, ''], stdout.slice(-2_000));
      assert.match(
        stdout,
        /controller +\| stopped\nnode-3 +\| stopped\nnode-2 +\| stopped\nnode-1 +\| stopped\nnats-server +\| stopped\nsluice/,
      );
      for (const pid of running) assert.equal(readProcess(pid), undefined, `process ${pid} is left`);
      for (const port of [nats, ...http, controller])
        assert.equal(await isPortBusy(port), false, `port ${port} is left`);
      for (const place of ['', 'nats', 'node-1', 'node-2', 'node-3'])
        assert.equal(existsSync(join(folder, data, place, 'lock')), false, `a lock is left in ${place}`);
    },
  };
}

const keyUrl = (node: string, cache: string, key: string): string =>
  `${node}/v1/caches/${cache}/keys/${encodeURIComponent(key)}`;

async function readText(url: string, position?: number): Promise<string> {
  const headers: Record<string, string> = position === undefined ? {} : { 'Sluice-Min-Position': String(position) };
  const answer = await fetch(url, { headers });
  assert.equal(answer.status, 200, url);
  return answer.text();
}

describe('sluice up', () => {
  let base: number;
  before(async () => {
    base = await findPortBase();
  });

  it('starts a cluster that answers on three nodes, shows real files on all of them, and stops without a trace', async () => {
    const cluster = await startCluster('first', base, '--example-folder', example);
    const { stdout } = cluster.program;
    assert.match(stdout, /nats-server \| NATS_SERVER_BIN: .*, version \d/);
    for (const name of ['node-1', 'node-2', 'node-3'])
      assert.match(
        stdout,
        new RegExp(`^${name} +\\| http://127.0.0.1:\\d+ ready: 0 caches, 0 events replayed in`, 'm'),
      );
    assert.match(stdout, /^files +\| 40 files in .* acknowledged writes\/s\)$/m);
    const agreed = stdout.match(/revision \d+, sha256 [0-9a-f]{12}: the same on node-1, node-2, node-3$/gm);
    assert.equal(agreed?.length, 4, stdout);
    assert.doesNotMatch(stdout, /NOT the same/);
    assert.match(stdout, new RegExp(`Try:\n +nats -s ${cluster.natsUrl} kv put demo greeting hello\n +curl `));

    const [, controller = ''] = /^controller +\| (http:\S+) audits the nodes$/m.exec(stdout) ?? [];
    assert.equal((await fetch(`${controller}/readyz`)).status, 200);

    const sluice = createSluice(cluster.natsUrl);
    const { revision } = await sluice.json('put', 'demo', 'greeting', 'hello');
    for (const node of cluster.nodes)
      assert.equal(await readText(keyUrl(node, 'demo', 'greeting'), Number(revision)), 'hello');
    assert.deepEqual((await cluster.members()).map(({ node, state }) => `${node} ${state}`).sort(), [
      'node-1 ready',
      'node-2 ready',
      'node-3 ready',
    ]);
    assert.match(readFileSync(join(folder, 'first', 'logs', 'node-1.log'), 'utf8'), /^\{"level":"info".*listens on/m);
    await cluster.interrupt();
  });

  it('replays everything at the second start, says so, and does not load the example again', async () => {
    const cluster = await startCluster('first', base, '--example-folder', example);
    const { stdout } = cluster.program;
    for (const name of ['node-1', 'node-2', 'node-3'])
      assert.match(stdout, new RegExp(`^${name} +\\| .* ready: 2 caches, 41 events replayed in \\d+ ms`, 'm'));
    assert.match(stdout, /^files +\| holds 40 entries already: 40 files, /m);
    for (const node of cluster.nodes) {
      assert.equal(await readText(keyUrl(node, 'demo', 'greeting')), 'hello');
      assert.equal(await readText(keyUrl(node, 'files', 'folder 3/39.txt')), 'text 39\n'.repeat(39));
    }
    await cluster.interrupt('SIGTERM');
  });

  it('starts a killed node again, which comes back with everything, also what was written meanwhile', async () => {
    const cluster = await startCluster('first', base, '--no-example');
    assert.doesNotMatch(cluster.program.stdout, /^files /m);
    const sluice = createSluice(cluster.natsUrl);
    const killed = (await cluster.members()).find(({ node }) => node === 'node-2');
    assert.ok(killed !== undefined);
    process.kill(killed.pid, 'SIGKILL');
    const { revision } = await sluice.json('put', 'demo', 'meanwhile', 'written');
    await cluster.program.sees(/supervisor +\| node-2: ended \(signal SIGKILL\); starting again in/);
    // Under load the put may come only after the replay; it is there in either case.
    await cluster.program.sees(/^node-2 .*ready.*\n[\s\S]*^node-2 .* ready: 2 caches, 4[12] events replayed in/m);
    const again = (await cluster.members()).find(({ node }) => node === 'node-2');
    assert.notEqual(again?.pid, killed.pid);
    const node = cluster.nodes[1] ?? '';
    assert.equal(await readText(keyUrl(node, 'demo', 'meanwhile'), Number(revision)), 'written');
    assert.equal(await readText(keyUrl(node, 'demo', 'greeting')), 'hello');
    await cluster.interrupt();
  });

  it('starts a killed nats-server again, and every acknowledged put is there', async () => {
    const cluster = await startCluster('first', base, '--no-example');
    const [natsPid = 0] = await cluster.pids();
    const acknowledged = new Map<string, string>();
    let isLoading = true;
    let failures = 0;
    const writer = async (name: string): Promise<void> => {
      for (let count = 0; isLoading; count += 1) {
        const [key, value] = [`load/${name}/${count}`, `value ${count}`];
        const node = cluster.nodes[count % 3] ?? '';
        const answer = await fetch(keyUrl(node, 'demo', key), { method: 'PUT', body: value }).catch(() => undefined);
        if (answer?.status === 204) acknowledged.set(key, value);
        else failures += 1;
      }
    };
    const writers = Promise.all(['a', 'b', 'c', 'd'].map(writer));
    await waitUntil('some writes', () => acknowledged.size > 200);
    process.kill(natsPid, 'SIGKILL');
    const atKill = acknowledged.size;
    await cluster.program.sees(/supervisor +\| nats-server: ended \(signal SIGKILL\); starting again in/);
    await cluster.program.sees(/^nats-server \| runs again, pid \d+/m, 30_000);
    await waitUntil('writes after the crash', () => acknowledged.size > atKill + 200, 30_000);
    isLoading = false;
    await writers;
    const listed = new Set((await createSluice(cluster.natsUrl).lines('list', 'demo')).map(({ key }) => String(key)));
    const lost = [...acknowledged.keys()].filter((key) => !listed.has(key));
    assert.deepEqual(lost, [], `${failures} writes failed, ${acknowledged.size} were acknowledged`);
    for (const node of cluster.nodes) {
      const sample = [...acknowledged].filter((_, index) => index % 37 === 0);
      for (const [key, value] of sample) {
        const answer = await fetch(`${keyUrl(node, 'demo', key)}?consistency=latest`);
        assert.deepEqual([answer.status, await answer.text()], [200, value], `${key} on ${node}`);
      }
    }
    await cluster.interrupt();
  });

  it('cleans up after an `up` that was killed', async () => {
    const killed = await startCluster('first', base, '--no-example');
    const pids = await killed.pids();
    killed.program.signal('SIGKILL');
    await killed.program.ended;
    // At once: its nodes are still on their way out, and its nats-server goes on.
    const cluster = await startCluster('first', base, '--no-example');
    for (const pid of pids) assert.equal(readProcess(pid), undefined, `process ${pid} is left`);
    assert.equal(await readText(keyUrl(cluster.nodes[0] ?? '', 'demo', 'greeting')), 'hello');

    const second = await runProgram('sluice', ['up', '--data', join(folder, 'first'), '--port-base', '30000'], { env });
    assert.deepEqual([second.code, second.stdout], [73, '']);
    const inUse = `^sluice: in-use: the data folder .* is in use by process ${cluster.program.pid};`;
    assert.match(second.stderr, new RegExp(inUse));
    const third = await runProgram('sluice', ['up', '--data', join(folder, 'other'), '--port-base', String(base)], {
      env,
    });
    assert.deepEqual([third.code, third.stdout], [73, '']);
    assert.match(third.stderr, /^sluice: in-use: port \d+ on 127\.0\.0\.1, for HTTP of node-1, .*--port-base N\n$/);
    await cluster.interrupt();
  });

  it('waits for a port that a killed cluster still has', async () => {
    const killed = await startCluster('first', base, '--no-example');
    const pids = await killed.pids();
    killed.program.signal('SIGKILL');
    await killed.program.ended;
    await waitUntil('its nodes have ended', () => pids.slice(1).every((pid) => readProcess(pid) === undefined));
    const { controller } = planPorts(base, 3);
    await waitUntil('its controller has ended', async () => !(await isPortBusy(controller)));
    const holder = createServer().listen(controller, '127.0.0.1');
    await once(holder, 'listening');
    const flags = ['--port-base', String(base), '--data', join(folder, 'first'), '--no-example'];
    const program = startProgram('sluice', ['up', ...flags], { env });
    await program.sees(new RegExp(`waiting for port ${controller}`));
    await once(holder.close(), 'close');
    await program.sees(/Ctrl-C stops everything/, 60_000);
    program.signal('SIGINT');
    assert.equal((await program.ended).code, 0);
  });

  it('goes on when nobody reads its output', async () => {
    const cluster = await startCluster('first', base, '--no-example');
    cluster.program.closeOutput();
    const killed = (await cluster.members()).find(({ node }) => node === 'node-1');
    assert.ok(killed !== undefined);
    process.kill(killed.pid, 'SIGKILL');
    const again = await waitUntil('node-1 runs again', async () =>
      (await cluster.members()).find(
        ({ node, pid, state }) => node === 'node-1' && pid !== killed.pid && state === 'ready',
      ),
    );
    cluster.program.signal('SIGTERM');
    assert.equal((await cluster.program.ended).code, 0);
    assert.equal(readProcess(again.pid), undefined);
  });

  it('names a NATS port that is taken, and leaves nothing behind', async () => {
    const taken = createServer().listen(base, '127.0.0.1');
    await once(taken, 'listening');
    const args = ['up', '--data', join(folder, 'taken'), '--port-base', String(base)];
    const { code, stderr } = await runProgram('sluice', args, { env });
    await once(taken.close(), 'close');
    assert.equal(code, 73);
    const wanted = `^sluice: in-use: port ${base} on 127\\.0\\.0\\.1, for NATS, is in use .*--port-base N\n$`;
    assert.match(stderr, new RegExp(wanted));
    for (const place of ['', 'nats']) assert.equal(existsSync(join(folder, 'taken', place, 'lock')), false);
  });

  it('gives up when a node does not start, and says why', async () => {
    const server = await startNatsServer();
    const data = join(folder, 'held');
    const flags = ['--node-data-folder', join(data, 'node-2'), '--http-port', '0', '--nats-servers', server.url];
    const holder = startProgram('cache-node', flags);
    await holder.sees(/listens on/);
    const { code, stderr } = await runProgram('sluice', ['up', '--data', data, '--port-base', String(base)], { env });
    assert.equal(code, 69, stderr);
    assert.match(stderr, /^sluice: broker-unavailable: node-2 does not start: .*exit code 73/);
    assert.match(stderr, /in-use: the data folder .*node-2 is in use by process/);
    for (const port of [base, base + 1, base + 2, base + 3]) assert.equal(await isPortBusy(port), false);
    holder.signal('SIGTERM');
    assert.equal((await holder.ended).code, 0);
    await server.stop();
  });

  it('can be given up while it starts, at any moment', async () => {
    for (const moment of [/NATS_SERVER_BIN/, /version .* at nats:/, /node-1 .* ready/]) {
      const args = ['up', '--data', join(folder, 'given-up'), '--port-base', String(base), '--example-folder', example];
      const program = startProgram('sluice', args, { env });
      await program.sees(moment, 60_000);
      program.signal('SIGINT');
      const { code, stdout, stderr } = await program.ended;
      assert.deepEqual([code, stderr], [0, ''], stdout);
      const { nats, http, controller } = planPorts(base, 3);
      for (const port of [nats, ...http, controller]) assert.equal(await isPortBusy(port), false);
      for (const place of ['', 'nats']) assert.equal(existsSync(join(folder, 'given-up', place, 'lock')), false);
    }
  });

  it('writes its progress as JSON for programs, and says what it cannot run', async () => {
    const args = [
      '--json',
      '--data',
      join(folder, 'json'),
      '--port-base',
      String(base),
      '--nodes',
      '1',
      '--no-example',
    ];
    const program = startProgram('sluice', ['up', ...args], { env });
    await program.sees(/"state":"up"/, 60_000);
    program.signal('SIGINT');
    const { code, stdout } = await program.ended;
    assert.equal(code, 0);
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const addresses = lines.find((line) => 'nodes' in line);
    assert.deepEqual([addresses.nats, addresses.nodes.length], [`nats://127.0.0.1:${base}`, 1]);
    const without = await runProgram('sluice', ['up', ...args], { env: { NATS_SERVER_BIN: join(folder, 'none') } });
    assert.equal(without.code, 78);
    assert.match(without.stderr, /"code":"bad-config".*NATS_SERVER_BIN/);
    const wrong = { ...env, SLUICE_HTTP_REQUEST_TIMEOUT: '1s' };
    const refused = await runProgram('sluice', ['up', ...args], { env: wrong });
    assert.equal(refused.code, 78, refused.stderr);
    assert.match(refused.stderr, /headersTimeout/);
  });
});
