/** What the commands refuse: a clear error and its exit code each, nothing written, no secret shown. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { findFreePorts, startNatsServer, type TestServer } from '../../support/nats-server.ts';
import { requestJetStream } from '../../support/raw-nats.ts';
import { createSluice, endPrograms, type RunOptions, runProgram, type Sluice } from './run-program.ts';

let server: TestServer;
let sluice: Sluice;
let folder: string;

before(async () => {
  server = await startNatsServer();
  sluice = createSluice(server.url);
  folder = mkdtempSync(join(tmpdir(), 'sluice-bad-'));
  writeFileSync(join(folder, 'large'), 'x'.repeat(2_000));
  writeFileSync(join(folder, 'broken.json'), '{"nats": {"servers": "x", }');
  for (const args of [['demo'], ['small', '--value-bytes-max', '1KiB']]) await sluice('cache', 'declare', ...args);
});

afterEach(endPrograms);
after(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

interface Refusal {
  readonly args: readonly string[];
  readonly code: number;
  readonly says: RegExp;
  readonly options?: RunOptions;
}

const refusals = (): readonly Refusal[] => [
  { args: [], code: 2, says: /^sluice: bad-request: a command is missing; sluice --help lists them$/ },
  { args: ['pt'], code: 2, says: /^sluice: bad-request: unknown command 'pt' \(Did you mean put\?\)$/ },
  { args: ['cache', 'foo'], code: 2, says: /^sluice: bad-request: unknown command 'foo'/ },
  { args: ['put', 'demo'], code: 2, says: /missing required argument 'key'/ },
  { args: ['put', 'demo', 'k', 'v', 'w'], code: 2, says: /too many arguments for 'put'/ },
  { args: ['put', 'demo', 'k', 'v', '--tll', '3s'], code: 2, says: /unknown option '--tll' \(Did you mean --ttl\?\)/ },
  { args: ['put', 'demo', 'k', 'v', '--ttl'], code: 2, says: /option '--ttl <duration>' argument missing/ },
  { args: ['put', 'demo', 'k', 'v', '--ttl', 'soon'], code: 2, says: /bad-request: --ttl: "soon": must be a duration/ },
  {
    args: ['put', 'demo', 'k', 'v', '--tag', 'a\u0001'],
    code: 2,
    says: /bad-request: tags: "a\\u0001" is not 1 to 128/,
  },
  { args: ['put', 'demo', 'k', 'v', '--type', 'ä'], code: 2, says: /bad-request: contentType: "ä" is not/ },
  {
    args: ['put', 'demo', 'k', 'v', '--if-revision', 'x'],
    code: 2,
    says: /--if-revision: "x": must be a whole number/,
  },
  { args: ['put', 'demo', 'k', 'v', '--if-revision', '1', '--if-absent'], code: 2, says: /only one of both/ },
  { args: ['put', 'demo', 'k', 'v', '--file', 'f'], code: 2, says: /as an argument or by --file, not both/ },
  { args: ['put', 'demo', 'k', 'v', '--as', 'a b'], code: 2, says: /--as: "a b": must be 1 to 64 letters/ },
  { args: ['put', 'no good', 'k', 'v'], code: 2, says: /bad-request: cache name: "no good": must be 1 to 64 letters/ },
  { args: ['put', 'demo', '', 'v'], code: 65, says: /^sluice: bad-key: key: must be a non-empty string$/ },
  { args: ['get', 'demo', 'x'.repeat(1025)], code: 65, says: /bad-key: key: 1025 bytes of UTF-8; at most 1024/ },
  {
    args: ['put', 'small', 'k', 'x'.repeat(1025)],
    code: 65,
    says: /too-large: value: 1025 bytes; cache small takes at/,
  },
  { args: ['put', 'small', 'k', '--file', join(folder, 'large')], code: 65, says: /too-large: value: .* 2000 bytes/ },
  { args: ['put', 'small', 'k'], code: 65, says: /too-large: value: standard/, options: { input: 'x'.repeat(2_000) } },
  { args: ['put', 'demo', 'k', '--file', join(folder, 'none')], code: 66, says: /not-found: --file: ENOENT/ },
  { args: ['put', 'demo', 'k', '--file', folder], code: 2, says: /--file: .* is a folder; sluice load takes folders/ },
  { args: ['get', 'nope', 'k'], code: 66, says: /^sluice: cache-unknown: cache nope: not declared/ },
  { args: ['get', 'demo', 'k', '--output', join(folder, 'no', 'file')], code: 1, says: /^sluice: demo has no k$/ },
  { args: ['load', join(folder, 'none'), 'demo'], code: 66, says: /not-found: folder: ENOENT/ },
  { args: ['load', join(folder, 'large'), 'demo'], code: 2, says: /bad-request: folder: .*large is a file/ },
  { args: ['load', folder, 'demo', '--limit', '0'], code: 2, says: /--limit: "0": must be a whole number from 1/ },
  { args: ['load', folder, 'demo', '--limit-bytes', 'x'], code: 2, says: /--limit-bytes: "x": must be a size/ },
  { args: ['list', 'demo', '--limit', '-3'], code: 2, says: /--limit: "-3": must be a whole number from 1/ },
  { args: ['watch', 'demo', '--from', 'now'], code: 2, says: /--from: "now": must be a whole number from 0/ },
  { args: ['invalidate', 'demo', ''], code: 2, says: /bad-request: tags: "" is not 1 to 128 bytes/ },
  { args: ['log', '--since', 'yesterday'], code: 2, says: /--since: "yesterday": must be a duration such as 10m/ },
  { args: ['log', '--since', '1h', '--from', '2'], code: 2, says: /only one of --from and --since/ },
  { args: ['cache', 'declare', '-x'], code: 2, says: /unknown option '-x'/ },
  { args: ['cache', 'declare', 'sluice-checkpoint'], code: 2, says: /the bucket sluice-checkpoint is reserved/ },
  {
    args: ['cache', 'declare', 'x', '--partitions', '0', '--ttl', 'long', '--bytes-max', '1'],
    code: 2,
    says: /cache settings:\n {2}partitions: 0: must .*\n {2}bytesMax: "1": must .*\n {2}ttl: "long": must /,
  },
  { args: ['members', '--listen', 'x'], code: 2, says: /--listen: "x": must be a duration/ },
  { args: ['rebuild', 'node-1', '--cache', 'a b'], code: 2, says: /cache name: "a b": must be/ },
  { args: ['up', '--nodes', '10'], code: 2, says: /--nodes: "10": must be at most 9/ },
  { args: ['up', '--port-base', '70000'], code: 2, says: /--port-base: "70000": must be at most/ },
  {
    args: ['members', '--cluster', 'No.Good'],
    code: 78,
    says: /bad-config: .*\n {2}cluster \(--cluster\): "No\.Good": must be/,
  },
  {
    args: ['members', '--config', join(folder, 'none.json')],
    code: 78,
    says: /config: .*must be a readable file: ENOENT/,
  },
  {
    args: ['members', '--config', join(folder, 'broken.json')],
    code: 78,
    says: /config: .*must be JSON with comments/,
  },
  {
    args: ['members', '--nats-user', 'u'],
    code: 78,
    says: /nats\.password: .*: must be given together with nats\.user/,
  },
  {
    args: ['members'],
    code: 78,
    says: /SLUICE_NATS_SERVRES: \(hidden\): is not a setting; did you mean SLUICE_NATS_SERVERS\?/,
    options: { env: { SLUICE_NATS_SERVRES: 'x' } },
  },
];

describe('bad input', () => {
  it('is refused with its error and its exit code, and prints no result', async () => {
    for (const { args, code, says, options } of refusals()) {
      const ended = await sluice.with(options ?? {}, ...args);
      const what = args.join(' ').slice(0, 200);
      assert.deepEqual([ended.code, ended.stdout], [code, ''], `${what}: ${ended.stderr}`);
      assert.match(ended.stderr.trimEnd(), says, what);
    }
  });

  it('is told as one JSON object with --json, whatever is wrong', async () => {
    const oneOfEach = new Map(refusals().map((refusal) => [`${refusal.code} ${refusal.args[0]}`, refusal]));
    for (const { args, code, options } of oneOfEach.values()) {
      if (code === 1) continue;
      const { stderr, ...ended } = await sluice.with(options ?? {}, ...args, '--json');
      assert.equal(ended.code, code, args.join(' '));
      const { error } = JSON.parse(stderr) as { error: { code: string; message: string; exitCode: number } };
      assert.deepEqual([error.exitCode, typeof error.code, typeof error.message], [code, 'string', 'string']);
    }
  });

  it('has written nothing', async () => {
    for (const cache of ['demo', 'small']) assert.equal((await sluice('list', cache)).stdout, '');
    assert.deepEqual(
      (await sluice.lines('cache', 'list')).map(({ cache }) => cache),
      ['demo', 'small'],
    );
  });

  it('never shows a secret', async () => {
    const secret = 'hunter2hunter2';
    for (const args of [
      ['--nats', `nats://user:${secret}@127.0.0.1:4222`],
      ['--nats-password', secret],
      ['--nats-user', 'u', '--nats-password', secret, '--nats-token', secret],
    ]) {
      for (const json of [[], ['--json']]) {
        const { code, stderr, stdout } = await sluice('members', ...args, ...json);
        assert.equal(code, 78);
        assert.doesNotMatch(stderr + stdout, new RegExp(secret));
      }
    }
    const env = { SLUICE_NATS_USER: 'u', SLUICE_NATS_PASSWORD: secret, SLUICE_NATS_CONNECT_WAIT: '0' };
    const [port = 0] = await findFreePorts(1);
    const refused = await sluice.with({ env }, 'members', '--verbose', '--nats', `127.0.0.1:${port}`);
    assert.equal(refused.code, 69);
    assert.doesNotMatch(refused.stderr, new RegExp(secret));
  });
});

describe('servers that are not what they should be', () => {
  it('that nobody runs are named after the wait, and every try is told once', async () => {
    const [port = 0] = await findFreePorts(1);
    const { code, stderr } = await sluice('members', '--nats', `127.0.0.1:${port}`, '--nats-connect-wait', '1s');
    assert.equal(code, 69);
    const reason = `cannot connect to NATS at 127\\.0\\.0\\.1:${port}: connection refused`;
    assert.match(
      stderr,
      new RegExp(`^warning: ${reason}; trying again for 1 s\nsluice: log-unavailable: ${reason}\n$`),
    );
  });

  it('that speak another language are not waited for longer than asked', async () => {
    const web = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')).listen(0, '127.0.0.1');
    await once(web, 'listening');
    const address = web.address();
    assert.ok(address !== null && typeof address === 'object');
    const { code, stderr } = await sluice('members', '--nats', `127.0.0.1:${address.port}`, '--nats-connect-wait', '0');
    assert.equal(code, 69, stderr);
    assert.match(stderr, /^sluice: log-unavailable: cannot connect to NATS at/m);
    await once(web.close(), 'close');
  });

  it('without JetStream are told so', async () => {
    const plain = await startNatsServer({
      extraConfig: 'accounts { A { users: [{user: a, password: a}] } }\nno_auth_user: a',
    });
    const { code, stderr } = await sluice('members', '--nats', plain.url, '--nats-connect-wait', '1s');
    await plain.stop();
    assert.ok(code === 69 || code === 76, `${code}: ${stderr}`);
    assert.match(stderr, /jetstream/i);
  });

  it('with messages that nobody understands show them in the journal, and go on', async () => {
    await requestJetStream(server.port, 'STREAM.INFO.SLUICE');
    const { createLink } = await import('../../../src/nats/link.ts');
    const { systemClock } = await import('../../../src/base/clock.ts');
    const link = await createLink({ servers: [server.url], name: 'stranger', clock: systemClock });
    const publish = (subject: string, body: string) => link.request(subject, body, 2_000);
    await publish('sluice.cache.demo.declared', '{"settings":');
    await publish('sluice.member.x', 'garbage \u001b[2J');
    await publish('$KV.demo._kv_x', 'no key');
    await publish('$KV.demo.fine', 'value');
    await link.close();
    const control = await sluice('log');
    assert.match(control.stdout, /control\.unreadable {2}sluice\.cache\.demo\.declared {2}body: is not JSON/);
    assert.match(control.stdout, /control\.unknown {3}sluice\.member\.x/);
    const cache = await sluice('log', '--cache', 'demo');
    assert.match(cache.stdout, /foreign {11}\$KV\.demo\._kv_x {2}key token/);
    assert.equal((await sluice('list', 'demo')).stdout, 'fine\n');
    assert.equal((await sluice('put', 'demo', 'fine', 'new')).code, 0);
  });

  it('that stop in the middle of a write leave its outcome unknown, and say so', async () => {
    const lame = await startNatsServer();
    const own = createSluice(lame.url);
    await own('cache', 'declare', 'demo');
    const put = own.with(
      { env: { SLUICE_LOG_WRITE_DEADLINE: '1s' }, input: 'value' },
      'put',
      'demo',
      'key',
      '--verbose',
    );
    // The value is only read when the cache is open, and it is written at once then.
    lame.pause();
    const { code, stderr } = await put;
    lame.resume();
    await lame.stop();
    assert.ok([69, 75].includes(code ?? 0), `${code}: ${stderr}`);
    assert.match(stderr, /sluice: (log-unavailable|outcome-unknown): /);
  });
});

describe('a command that hangs', () => {
  it('ends with 130 soon after Ctrl-C', async () => {
    const lame = await startNatsServer();
    const own = createSluice(lame.url);
    await own('cache', 'declare', 'demo');
    lame.pause();
    const get = own.start('get', 'demo', 'key', '--nats-connect-wait', '1m');
    await get.sees(/trying again/, 30_000);
    get.signal('SIGINT');
    const { code } = await get.ended;
    lame.resume();
    await lame.stop();
    assert.equal(code, 130);
  });
});

describe('programs without NATS', () => {
  it('say their version and their help', async () => {
    for (const name of ['sluice', 'cache-node', 'cache-controller'] as const) {
      const version = await runProgram(name, ['--version']);
      assert.deepEqual([version.code, version.stderr], [0, '']);
      assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
      const help = await runProgram(name, ['--help']);
      assert.deepEqual([help.code, help.stderr], [0, '']);
      assert.match(help.stdout, new RegExp(`^Usage: ${name} `));
    }
  });

  it('the controller ends with 69 without a server, with 78 for bad settings', async () => {
    const [nobody = 0] = await findFreePorts(1);
    const env = { SLUICE_NATS_SERVERS: `nats://127.0.0.1:${nobody}`, SLUICE_NATS_CONNECT_WAIT: '0' };
    const alone = await runProgram('cache-controller', [], { env });
    assert.equal(alone.code, 69);
    assert.match(alone.stderr, /^cache-controller: log-unavailable: cannot connect to NATS at /);
    assert.equal((await runProgram('cache-controller', ['--cluster', 'NO'])).code, 78);
    assert.equal((await runProgram('cache-controller', ['--http-port', '1'])).code, 78);
    assert.equal((await runProgram('cache-controller', ['start'])).code, 2);
  });
});
