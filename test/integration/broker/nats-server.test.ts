/** A real nats-server under our hands: start, stop, crash, conflicts over ports and folders, orphans. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { systemClock } from '../../../src/base/clock.ts';
import { createNatsServer, type NatsServer } from '../../../src/broker/nats-server.ts';
import type { ProcessExit } from '../../../src/broker/process/child-life.ts';
import { readProcess } from '../../../src/broker/process/process-facts.ts';
import { isSluiceError } from '../../../src/errors.ts';
import { findFreePorts, findTestBinary, startNatsServer } from '../../support/nats-server.ts';
import { projectRoot } from '../../support/project.ts';
import { requestJetStream } from '../../support/raw-nats.ts';
import { waitUntil } from '../../support/wait-until.ts';

const stream = { name: 'KEPT', subjects: ['kept.>'], storage: 'file' };

describe('a local nats-server', () => {
  let folder: string;
  let binary: string;
  const servers: NatsServer[] = [];
  const helpers: ChildProcess[] = [];

  const create = (options: Partial<Parameters<typeof createNatsServer>[0]> = {}): NatsServer => {
    const server = createNatsServer({ binary, storeFolder: folder, clock: systemClock, ...options });
    servers.push(server);
    return server;
  };

  beforeEach(async () => {
    binary = await findTestBinary();
    folder = mkdtempSync(join(tmpdir(), 'sluice-broker-'));
  });

  afterEach(async () => {
    for (const helper of helpers.splice(0)) helper.kill('SIGKILL');
    for (const server of servers.splice(0)) await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it('chooses a free port, says its version, and has JetStream when the start resolves', async () => {
    const running = await create().start();
    assert.equal(running.url, `nats://127.0.0.1:${running.port}`);
    assert.match(running.version, /^\d+\.\d+\.\d+/);
    assert.ok(readProcess(running.pid)?.commandLine.includes(folder));
    assert.ok(await requestJetStream(running.port, 'INFO'));
  });

  it('gives the same running server to every caller of start', async () => {
    const server = create();
    const [first, second] = await Promise.all([server.start(), server.start()]);
    assert.deepEqual(second, first);
    assert.deepEqual(await server.start(), first);
  });

  it('keeps its streams over a stop and a start, and stops without an error whatever its exit code', async () => {
    const server = create();
    const { port, pid } = await server.start();
    assert.ok(await requestJetStream(port, 'STREAM.CREATE.KEPT', stream));
    const exits: ProcessExit[] = [];
    server.onExit((exit) => exits.push(exit));
    await server.stop();
    assert.equal(readProcess(pid), undefined);
    assert.deepEqual(
      exits.map(({ signal, isExpected }) => ({ signal, isExpected })),
      [{ signal: null, isExpected: true }],
    );
    assert.equal(server.pid, undefined);
    const again = await server.start();
    assert.notEqual(again.pid, pid);
    assert.ok(await requestJetStream(again.port, 'STREAM.INFO.KEPT'));
  });

  it('tells of a crash that nobody asked for, and starts again on the same store', async () => {
    const server = create();
    const { port, pid } = await server.start();
    assert.ok(await requestJetStream(port, 'STREAM.CREATE.KEPT', stream));
    const exit = new Promise<ProcessExit>((resolve) => server.onExit(resolve));
    process.kill(pid, 'SIGKILL');
    const { isExpected, signal } = await exit;
    assert.deepEqual({ isExpected, signal }, { isExpected: false, signal: 'SIGKILL' });
    const again = await server.start();
    assert.ok(await requestJetStream(again.port, 'STREAM.INFO.KEPT'));
  });

  it('stops a server that is paused', async () => {
    const server = create();
    const { pid } = await server.start();
    await server.kill('SIGSTOP');
    assert.ok(readProcess(pid));
    await server.stop();
    assert.equal(readProcess(pid), undefined);
  });

  it('resorts to SIGKILL when a server does not stop within the limit', async () => {
    const stubborn = writeDeafServer(folder);
    const server = create({ binary: stubborn, stopLimitMs: 200 });
    const { pid } = await server.start();
    const exit = new Promise<ProcessExit>((resolve) => server.onExit(resolve));
    await server.stop();
    assert.equal((await exit).signal, 'SIGKILL');
    assert.equal(readProcess(pid), undefined);
  });

  it('names the port when it is in use', async () => {
    const blocker = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => blocker.once('listening', resolve));
    const address = blocker.address();
    assert.ok(address !== null && typeof address === 'object');
    const error = await create({ port: address.port })
      .start()
      .catch((reason: unknown) => reason);
    blocker.close();
    assert.ok(isSluiceError(error, 'in-use'), String(error));
    assert.equal(error.details['port'], address.port);
    assert.match(error.message, new RegExp(`port ${address.port} on 127\\.0\\.0\\.1 is in use`));
    const [free] = await findFreePorts(1);
    assert.equal((await create({ port: free ?? 0 }).start()).port, free, 'the refused start left the folder locked');
  });

  it('shows the last lines of a server that dies at its start', async () => {
    const error = await create({ extraConfig: 'no_such_setting: 7' })
      .start()
      .catch((reason: unknown) => reason);
    assert.ok(isSluiceError(error, 'broker-unavailable'), String(error));
    assert.match(error.message, /ended at its start \(exit code 1\)/);
    assert.match(error.message, /no_such_setting/);
  });

  it('says so when the program cannot be run at all', async () => {
    const error = await create({ binary: join(folder, 'nothing') })
      .start()
      .catch((reason: unknown) => reason);
    assert.ok(isSluiceError(error, 'broker-unavailable'), String(error));
    assert.match(error.message, /cannot run .*nothing/);
  });

  it('refuses a data folder that cannot be written', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    await assert.rejects(create({ storeFolder: join(file, 'below') }).start(), (error) =>
      isSluiceError(error, 'bad-config'),
    );
  });

  it('gives up a start when the caller does, and leaves nothing behind', async () => {
    await assert.rejects(create().start(AbortSignal.abort()), (error) => isSluiceError(error, 'aborted'));
    const running = await create().start();
    assert.ok(running.port > 0);
  });

  it('can be stopped while it starts, and started again afterwards', async () => {
    const server = create();
    for (const hasProcess of [false, true]) {
      const start = server.start().catch((reason: unknown) => reason);
      // No pause in between: a server may be ready a few milliseconds after it has a process.
      while (hasProcess && server.pid === undefined) await systemClock.yield();
      await server.stop();
      const outcome = await start;
      // A server can be ready before the stop is; then it was started, and is stopped all the same.
      if (!hasProcess || outcome instanceof Error) assert.ok(isSluiceError(outcome, 'aborted'), String(outcome));
      assert.equal(server.pid, undefined);
    }
    assert.ok((await server.start()).port > 0);
  });

  it('refuses a second server on a folder in use, and lets it in after the first has stopped', async () => {
    const first = create();
    await first.start();
    const second = create();
    const error = await second.start().catch((reason: unknown) => reason);
    assert.ok(isSluiceError(error, 'in-use'), String(error));
    assert.match(error.message, /in use by this process already/);
    await first.stop();
    assert.ok((await second.start()).port > 0);
  });

  it('refuses a folder that another process holds, by its number, and takes it over when that was killed', async () => {
    const owner = startOwner(folder, binary);
    helpers.push(owner.child);
    const orphan = await owner.serverPid;
    const error = await create()
      .start()
      .catch((reason: unknown) => reason);
    assert.ok(isSluiceError(error, 'in-use'), String(error));
    assert.equal(error.details['pid'], owner.child.pid);

    owner.child.kill('SIGKILL');
    await waitUntil('the owner gone', () => owner.child.signalCode !== null);
    assert.ok(readProcess(orphan), 'the server should have outlived its killed owner');
    const running = await create().start();
    assert.equal(readProcess(orphan), undefined, 'the orphan was not stopped');
    assert.ok(await requestJetStream(running.port, 'INFO'));
  });

  it('never signals a process that merely has the number of a former server', async () => {
    const bystander = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    helpers.push(bystander);
    const pid = bystander.pid ?? 0;
    const identity = await waitUntil('the bystander', () => readProcess(pid)?.identity);
    const server = create();
    await server.start();
    await server.stop();
    const claim = { pid: 2 ** 22 + 1, identity: 'gone', isHeld: true };
    mkdirSync(join(folder, 'lock'));
    writeFileSync(join(folder, 'lock', 'a.json'), JSON.stringify({ ...claim, child: { pid, identity } }));
    writeFileSync(join(folder, 'lock', 'b.json'), JSON.stringify({ ...claim, child: { pid, identity: 'other' } }));
    writeFileSync(join(folder, 'lock', 'c.json'), '{"pid":');
    await server.start();
    assert.equal(readProcess(pid)?.identity, identity);
    assert.equal(existsSync(join(folder, 'lock', 'a.json')), false);
    assert.equal(existsSync(join(folder, 'lock', 'c.json')), false);
  });

  it('lets exactly one of many contenders have a folder', async () => {
    const results = await Promise.allSettled(Array.from({ length: 6 }, () => create().start()));
    const reasons = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
    assert.equal(reasons.length, 5);
    for (const reason of reasons) assert.ok(isSluiceError(reason, 'in-use'), String(reason));
  });

  it('writes its configuration and its log into the data folder', async () => {
    await create({
      maxPayloadBytes: 65_536,
      jetStreamConfig: 'max_file_store: 64MB',
      serverName: 'a"quoted"name',
    }).start();
    assert.match(readFileSync(join(folder, 'nats-server.conf'), 'utf8'), /max_payload: 65536/);
    assert.match(readFileSync(join(folder, 'nats-server.log'), 'utf8'), /Server is ready/);
  });
});

/** A program that behaves like a starting server (ports file, greeting) and ignores SIGTERM. */
function writeDeafServer(folder: string): string {
  const path = join(folder, 'deaf-server');
  const script = `#!${process.execPath}
    process.on('SIGTERM', () => undefined);
    const ports = process.argv[process.argv.indexOf('--ports_file_dir') + 1];
    const server = require('node:net').createServer((socket) => socket.write('INFO {"version":"9.9.9"}\\r\\n'));
    server.listen(0, '127.0.0.1', () => {
      const url = 'nats://127.0.0.1:' + server.address().port;
      require('node:fs').writeFileSync(ports + '/deaf_' + process.pid + '.ports', JSON.stringify({ nats: [url] }));
    });
  `;
  writeFileSync(path, script, { mode: 0o755 });
  return path;
}

/** A process of its own that runs a server on the folder until it is killed. */
function startOwner(folder: string, binary: string): { child: ChildProcess; serverPid: Promise<number> } {
  const module = (path: string): string => JSON.stringify(pathToFileURL(join(projectRoot, 'dist', 'src', path)).href);
  const script = `
    import { systemClock } from ${module('base/clock.js')};
    import { createNatsServer } from ${module('broker/nats-server.js')};
    const [storeFolder, binary] = process.argv.slice(1);
    const running = await createNatsServer({ binary, storeFolder, clock: systemClock }).start();
    process.stdout.write(String(running.pid) + '\\n');
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, '--', folder, binary], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const serverPid = new Promise<number>((resolve, reject) => {
    child.stdout.setEncoding('utf8').once('data', (text: string) => resolve(Number(text)));
    child.once('exit', () => reject(new Error('the owner ended')));
  });
  return { child, serverPid };
}

describe('a test server', () => {
  it('comes back on the same port with the same store after a crash', async () => {
    const server = await startNatsServer();
    try {
      const { port, pid } = server;
      assert.ok(await requestJetStream(port, 'STREAM.CREATE.KEPT', stream));
      await server.kill();
      assert.equal(readProcess(pid), undefined);
      assert.equal(await requestJetStream(port, 'INFO'), undefined);
      await server.restart();
      assert.equal(server.port, port);
      assert.notEqual(server.pid, pid);
      assert.ok(await requestJetStream(port, 'STREAM.INFO.KEPT'));
    } finally {
      await server.stop();
    }
    assert.equal(existsSync(server.storeFolder), false);
  });

  for (const [how, script] of [
    ['ends', 'process.exit(0)'],
    ['fails', 'throw new Error("a failed test")'],
    ['gets SIGTERM', 'process.kill(process.pid, "SIGTERM")'],
  ] as const) {
    it(`does not outlive a test process that ${how} without stopping it`, async () => {
      const support = pathToFileURL(join(projectRoot, 'dist', 'test', 'support', 'nats-server.js')).href;
      const run = `
        import { writeSync } from 'node:fs';
        import { startNatsServer } from ${JSON.stringify(support)};
        const server = await startNatsServer();
        writeSync(1, JSON.stringify({ pid: server.pid, folder: server.storeFolder }) + '\\n');
        ${script}`;
      const env = { ...process.env, SLUICE_TEST_NATS_BIN: await findTestBinary() };
      const child = spawn(process.execPath, ['--input-type=module', '-e', run], {
        stdio: ['ignore', 'pipe', 'ignore'],
        env,
      });
      let output = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
      await new Promise((resolve) => child.once('close', resolve));
      const { pid, folder }: { pid: number; folder: string } = JSON.parse(output);
      await waitUntil('the end of the server', () => readProcess(pid) === undefined);
      assert.equal(existsSync(folder), false);
    });
  }

  it('answers nothing while it is paused, and goes on afterwards', async () => {
    const server = await startNatsServer();
    try {
      await server.pause();
      assert.equal(await requestJetStream(server.port, 'INFO', undefined, 200), undefined);
      server.resume();
      await waitUntil('an answer', () => requestJetStream(server.port, 'INFO'));
    } finally {
      await server.stop();
    }
  });
});
