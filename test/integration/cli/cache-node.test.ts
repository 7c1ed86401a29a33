/** How a node begins and ends: lines, signals and exit codes. What a node does in between is tested in `cluster/`. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { findFreePorts, startNatsServer, type TestServer } from '../../support/nats-server.ts';
import {
  createSluice,
  endPrograms,
  type RunningProgram,
  type RunOptions,
  runProgram,
  startProgram,
} from './run-program.ts';

let server: TestServer;
let folder: string;
let count = 0;

before(async () => {
  server = await startNatsServer();
  folder = mkdtempSync(join(tmpdir(), 'sluice-node-'));
});

afterEach(endPrograms);
after(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Flags of a node of its own. */
function nodeFlags(name = `node-${(count += 1)}`): string[] {
  const data = ['--node-id', name, '--node-data-folder', join(folder, name)];
  return [...data, '--nats-servers', server.url, '--http-port', '0'];
}

async function startNode(flags: readonly string[], options: RunOptions = {}): Promise<RunningProgram> {
  const node = startProgram('cache-node', flags, options);
  await node.sees(/listens on/);
  return node;
}

describe('a node', () => {
  it('says in one line who and where it is, is ready, and leaves on SIGTERM with 0 and no claim on its folder', async () => {
    const flags = nodeFlags('tidy');
    const node = await startNode(flags);
    const line = node.stdout.split('\n').find((text) => text.includes('listens on')) ?? '';
    const { level, node: id, address, incarnation, msg } = JSON.parse(line);
    assert.deepEqual([level, id, msg], ['info', 'tidy', `tidy listens on ${address}, incarnation ${incarnation}`]);
    assert.equal((await fetch(`${address}/readyz`)).status, 200);
    await node.sees(/"caches":0,"events":0,"replayMs":\d+,"msg":"ready: 0 caches/);
    node.signal('SIGTERM');
    const { code, stderr } = await node.ended;
    assert.deepEqual([code, stderr], [0, '']);
    assert.equal(existsSync(join(folder, 'tidy', 'lock')), false);
    const left = (await createSluice(server.url).lines('log')).at(-1);
    assert.deepEqual([left?.['type'], left?.['node'], left?.['reason']], ['member.left', 'tidy', 'shutdown']);
  });

  it('takes its settings from a file, variables and flags, the last the strongest', async () => {
    const config = join(folder, 'node.json');
    const text = { node: { id: 'from-file', region: 'north' }, nats: { servers: ['nats://127.0.0.1:1'] } };
    writeFileSync(config, `// comments are fine\n${JSON.stringify(text)}`);
    const [, , ...flags] = nodeFlags('from-flag');
    const env = { SLUICE_NODE_ID: 'from-variable', SLUICE_LOGGING_FORMAT: 'pretty' };
    const node = await startNode(['--config', config, ...flags, '--cluster', 'other'], { env });
    assert.match(node.stdout, /^\d\d:\d\d:\d\d\.\d{3} INFO {2}from-variable listens on http:\/\/127\.0\.0\.1:\d+, /m);
    node.signal('SIGINT');
    assert.equal((await node.ended).code, 0);
    const other = await createSluice(server.url).lines('log', '--cluster', 'other');
    assert.deepEqual([other[0]?.['node'], other[0]?.['region']], ['from-variable', 'north']);
  });

  it('ends at once with 1 at a second signal', async () => {
    const node = await startNode(nodeFlags());
    // With its server gone, the departure cannot be published, and the first signal takes its time.
    server.pause();
    node.signal('SIGTERM');
    await node.sees(/SIGTERM: stopping/);
    node.signal('SIGTERM');
    const { code } = await node.ended;
    server.resume();
    assert.equal(code, 1);
  });

  it('stops when its supervisor has gone, and only then looks at its standard input', async () => {
    const supervised = await startNode(nodeFlags(), { holdInput: true, env: { SLUICE_SUPERVISED: '1' } });
    const free = await startNode(nodeFlags());
    supervised.closeInput();
    const { code, stdout } = await supervised.ended;
    assert.equal(code, 0);
    assert.match(stdout, /the supervisor has ended: stopping/);
    assert.doesNotMatch(free.stdout, /stopping/);
    free.signal('SIGTERM');
    assert.equal((await free.ended).code, 0);
  });

  it('goes on when nobody reads its log', async () => {
    const node = await startNode(nodeFlags());
    const [, address = ''] = /"address":"([^"]+)"/.exec(node.stdout) ?? [];
    node.closeOutput();
    const declare = await fetch(`${address}/v1/caches/unread`, { method: 'PUT' });
    assert.equal(declare.status, 201);
    node.signal('SIGTERM');
    assert.equal((await node.ended).code, 0);
  });
});

describe('a node that cannot run', () => {
  it('lists every problem of its settings and ends with 78', async () => {
    const flags = ['--http-port', '99999', '--node-id', '!', '--htpp-host', 'x', '--membership-pulse', '1h'];
    const { code, stdout, stderr } = await runProgram('cache-node', flags, { env: { SLUICE_HTTP_BODY: '1' } });
    assert.deepEqual([code, stdout], [78, '']);
    const fields = stderr
      .split('\n')
      .slice(1, -1)
      .map((line) => line.trim().split(':')[0]);
    assert.deepEqual(fields.sort(), [
      '--htpp-host',
      'SLUICE_HTTP_BODY',
      'http.port (--http-port)',
      'membership.pulse (--membership-pulse)',
      'node.id (--node-id)',
    ]);
  });

  it('refuses words with 2', async () => {
    const { code, stderr } = await runProgram('cache-node', ['start']);
    assert.deepEqual([code, stderr.split(';')[0]], [2, 'cache-node: bad-request: "start": not a flag']);
  });

  it('ends with 73 when its data folder or its port is in use', async () => {
    const flags = nodeFlags('first');
    const node = await startNode(flags);
    const twice = await runProgram('cache-node', flags);
    assert.equal(twice.code, 73);
    assert.match(
      twice.stderr,
      new RegExp(`^cache-node: in-use: the data folder .*first is in use by process ${node.pid};`),
    );
    const [, port = ''] = /"address":"http:[^"]*:(\d+)"/.exec(node.stdout) ?? [];
    const taken = await runProgram('cache-node', [...nodeFlags('second'), '--http-port', port]);
    assert.equal(taken.code, 73);
    assert.match(taken.stderr, new RegExp(`^cache-node: in-use: .*${port}`));
    // What could not start has let go of its folder.
    assert.equal(existsSync(join(folder, 'second', 'lock')), false);
    node.signal('SIGTERM');
    assert.equal((await node.ended).code, 0);
  });

  it('tries to reach NATS, says so once, and ends with 69 when the time is up', async () => {
    const [port = 0] = await findFreePorts(1);
    const [, ...rest] = [
      '',
      ...nodeFlags('absent'),
      '--nats-servers',
      `127.0.0.1:${port}`,
      '--nats-connect-wait',
      '1s',
    ];
    const { code, stdout, stderr } = await runProgram('cache-node', rest);
    assert.equal(code, 69);
    assert.equal(stdout.match(/trying again for 1 s/g)?.length, 1, stdout);
    assert.equal(
      stderr,
      `cache-node: log-unavailable: cannot connect to NATS at 127.0.0.1:${port}: connection refused\n`,
    );
    assert.equal(existsSync(join(folder, 'absent', 'lock')), false);
  });

  it('ends with 0 when it is told to while it still waits for NATS', async () => {
    const [port = 0] = await findFreePorts(1);
    const flags = [...nodeFlags('waiting'), '--nats-servers', `127.0.0.1:${port}`];
    const node = startProgram('cache-node', flags);
    await node.sees(/trying again for/);
    node.signal('SIGINT');
    assert.equal((await node.ended).code, 0);
  });

  it('stops with 1 when another process joins under its id', async () => {
    const node = await startNode(nodeFlags('twin'));
    const twin = await startNode([...nodeFlags('twin'), '--node-data-folder', join(folder, 'twin-2')]);
    const { code, stdout } = await node.ended;
    assert.equal(code, 1);
    assert.match(stdout, /"level":"fatal".*in-use: another process joined as twin/);
    twin.signal('SIGTERM');
    assert.equal((await twin.ended).code, 0);
  });
});
