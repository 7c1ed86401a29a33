/**
 * The configuration of NATS that is shipped: every role can do all of its work with it, and nothing else. The server runs with the files of
 * `config/nats`; the product runs as it is.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { NatsConnection } from '@nats-io/transport-node';
import { systemClock } from '../../../src/base/clock.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { createSession } from '../../../src/cluster/session.ts';
import { isSluiceError } from '../../../src/errors.ts';
import { encodeControlEvent } from '../../../src/events/control.ts';
import { connect, type Sluice, text } from '../../../src/index.ts';
import { loadCredentials } from '../../../src/nats/credentials.ts';
import { createMessenger } from '../../../src/nats/messenger.ts';
import { runNatsCli } from '../../support/nats-cli.ts';
import {
  apiPrefix,
  type SecuredServers,
  shippedFolder,
  startSecuredServers,
  type User,
} from '../../support/secured-servers.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { type Ended, endPrograms, type RunningProgram, runProgram, startProgram } from '../cli/run-program.ts';

describe('a server with the shipped configuration', () => {
  let servers: SecuredServers;
  /** The server's log up to where the product itself did its work. */
  let usedLog = '';
  const nodes: { readonly program: RunningProgram; readonly url: string }[] = [];

  const sluice = (user: User, ...args: string[]): Promise<Ended> =>
    runProgram('sluice', args, { env: servers.env(user) });

  async function succeeds(user: User, ...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await sluice(user, ...args);
    assert.equal(code, 0, `${user}: sluice ${args.join(' ')}: ${stderr}`);
    return stdout;
  }

  async function startNode(name: string): Promise<void> {
    const flags = ['--node-id', name, '--http-port', '0', '--node-data-folder', join(servers.folder, name)];
    const program = startProgram('cache-node', flags, { env: servers.env('node') });
    const [, url = ''] = await program.sees(/listens on (http:[^ ,"]+)/);
    await program.sees(/ready: /);
    nodes.push({ program, url });
  }

  const http = (node: number, method: string, path: string, body?: string): Promise<Response> =>
    fetch(`${nodes[node]?.url}/v1${path}`, {
      method,
      ...(body === undefined ? {} : { body, headers: { 'Content-Type': 'application/json' } }),
    });

  const clients: Sluice[] = [];
  async function open(user: User): Promise<Sluice> {
    const client = await connect(servers.options(user));
    clients.push(client);
    return client;
  }

  before(async () => {
    servers = await startSecuredServers({ isTraced: true });
    // A small memory makes reads go to the log.
    await succeeds('operator', 'cache', 'declare', 'demo', '--entries-max', '1');
    await succeeds('operator', 'cache', 'declare', 'other');
    await succeeds('operator', 'put', 'other', 'secret', 'of others');
    await startNode('node-1');
    await startNode('node-2');
  });
  after(async () => {
    for (const client of clients) await client.close();
    await endPrograms();
    await servers.stop();
  });

  it('lets nodes serve, write, clear, invalidate, ask each other, and leave', async () => {
    for (const key of ['a', 'b', 'c'])
      assert.equal((await http(0, 'PUT', `/caches/demo/keys/${key}`, `"${key}"`)).status, 204);
    for (const key of ['a', 'b', 'c'])
      assert.equal(await (await http(1, 'GET', `/caches/demo/keys/${key}?consistency=latest`)).text(), `"${key}"`);
    const invalidated = await http(0, 'POST', '/caches/demo/invalidate?wait=all', '{"tags":["t"]}');
    assert.equal(invalidated.status, 200);
    assert.equal((await http(0, 'POST', '/caches/demo/clear?wait=all')).status, 200);
    assert.equal((await http(1, 'GET', '/caches/demo/keys/a')).status, 404);
    const [, second] = nodes.splice(0, 2, ...nodes.slice(0, 1));
    second?.program.signal('SIGTERM');
    assert.equal((await second?.program.ended)?.code, 0);
    assert.match(await succeeds('operator', 'members'), /node-2 +left \(shutdown, by node-2\)/);
  });

  it('lets a client that may read follow a cache and read it, and write nothing', async () => {
    await succeeds('demo-write', 'put', 'demo', 'k', 'v');
    const client = await open('demo-read');
    const demo = await client.open<string>('demo', { codec: text() });
    assert.equal(demo.get('k'), 'v');
    assert.equal(await demo.latest('k'), 'v');
    const startedAtMs = systemClock.monotonic();
    for (const act of [
      () => demo.put('k', 'w'),
      () => demo.delete('k'),
      () => demo.clear(),
      () => demo.invalidateTags(['t']),
    ])
      await assert.rejects(act(), (error) => isSluiceError(error, 'unsupported'));
    assert.ok(systemClock.monotonic() - startedAtMs < 5_000, 'refused at once, not after a deadline');
    await assert.rejects(client.open('other'), (error) => isSluiceError(error, 'unsupported'));
    await client.close();
    assert.equal(await succeeds('demo-read', 'get', 'demo', 'k'), 'v');
  });

  it('lets a client that may write do so in its cache and in no other', async () => {
    const client = await open('demo-write');
    const demo = await client.open<number>('demo');
    const written = await demo.put('n', 1, { tags: ['t'] });
    assert.equal(demo.get('n'), 1);
    await demo.put('n', 2, { ifRevision: written.revision });
    await demo.delete('n');
    await demo.invalidateTags(['t']);
    await demo.clear();
    await assert.rejects(client.open('other'), (error) => isSluiceError(error, 'unsupported'));
    await assert.rejects(client.open('new'), (error) => isSluiceError(error, 'unsupported'));
    await client.close();
    assert.equal((await sluice('demo-write', 'get', 'demo', 'n')).code, 1);
    for (const args of [
      ['cache', 'drop', 'demo'],
      ['evict-node', 'node-1'],
      ['put', 'other', 'k', 'v'],
    ]) {
      const { code, stderr } = await sluice('demo-write', ...args);
      assert.equal(code, 76, stderr);
      assert.match(stderr, /the server does not permit this connection to/);
    }
  });

  it('lets an operator declare, drop, look, evict, rebuild, command and back up', async () => {
    await succeeds('operator', 'cache', 'declare', 'short-lived', '--partitions', '2');
    await succeeds('operator', 'put', 'short-lived', 'k', 'v');
    assert.equal(await succeeds('operator', 'get', 'short-lived', 'k'), 'v');
    await succeeds('operator', 'clear', 'short-lived');
    await succeeds('operator', 'cache', 'drop', 'short-lived');
    assert.match(await succeeds('operator', 'members'), /node-1 +ready/);
    assert.match(await succeeds('operator', 'rebuild', 'node-1', '--cache', 'demo'), /node-1: replaying demo/);
    assert.match(await succeeds('operator', 'audit', 'demo', '--all', '--canary', '300ms'), /node-1 +node/);
    await succeeds('operator', 'evict-node', 'node-1');
    await waitUntil('node-1 joined again', async () => /node-1 +ready/.test(await succeeds('operator', 'members')));
    const { tls, user, password } = servers.options('operator');
    const login = [
      '--user',
      user,
      '--password',
      password,
      '--tlsca',
      tls.caFile,
      '--tlscert',
      tls.certFile,
      '--tlskey',
      tls.keyFile,
    ];
    const command = await runNatsCli(servers.urls[0] ?? '', [
      ...login,
      'pub',
      'sluice.command.start',
      '{"expr":"example.com"}',
    ]);
    assert.equal(command.code, 0, command.stderr);
    assert.match(await succeeds('operator', 'log'), /command\.issued/);
    const folder = join(servers.folder, 'backup');
    mkdirSync(folder);
    const backup = await runNatsCli(servers.urls[0] ?? '', [...login, 'stream', 'backup', 'KV_other', folder]);
    assert.equal(backup.code, 0, backup.stderr);
  });

  it('lets a controller follow the control log, hear and ask nodes, lead, command, and say that a node has left', async () => {
    const { servers: urls, user, password, tls } = servers.options('controller');
    const session = await createSession({
      cluster: 'sluice',
      origin: 'controller-1',
      nats: {
        servers: urls,
        user,
        password,
        apiPrefix,
        driver: loadCredentials({ servers: urls, credentialsFile: null, tls }, systemClock.now()),
      },
      connectWaitMs: 5_000,
      controlReplicas: 1,
      storage: 'file',
      clock: systemClock,
      random: systemRandom,
      onNotice: () => undefined,
    });
    assert.ok(session.control.state.members.members.has('node-1'));
    const messenger = createMessenger(session.link, 'sluice', () => undefined);
    let pulses = 0;
    const stop = messenger.onPulse(() => {
      pulses += 1;
    });
    await waitUntil('a pulse', () => pulses > 0);
    stop();
    const answer = await messenger.request('node-1', 'reached', Buffer.from('{}'), 5_000);
    assert.ok(answer.length > 0, 'an answer, be it that the request makes no sense');
    const { log } = session.control;
    const lease = {
      type: 'lease.held',
      role: 'controller',
      epoch: 1,
      holder: 'controller-1',
      durationMs: 15_000,
    } as const;
    const { position } = await log.append(encodeControlEvent('sluice', lease), { expected: 0 });
    await log.append(encodeControlEvent('sluice', lease), { expected: position });
    await log.append(
      encodeControlEvent('sluice', { type: 'command.issued', verb: 'stop', body: { expr: 'example.com' } }),
    );
    const left = {
      type: 'member.left',
      node: 'node-9',
      incarnation: 'a',
      reason: 'timeout',
      by: 'controller-1',
    } as const;
    await log.append(encodeControlEvent('sluice', left), { expected: 0 });
    const newest = await log.latest('sluice.lease.controller.1');
    assert.ok(newest !== undefined && newest.position > position);
    const joined = { type: 'member.joined', node: 'fake', incarnation: 'a', version: '1' } as const;
    await assert.rejects(log.append(encodeControlEvent('sluice', joined)), (error) =>
      isSluiceError(error, 'unsupported'),
    );
    await session.stop();
  });

  it('refuses everybody else’s work, by whatever name of the API', async () => {
    usedLog = servers.logs();
    const api = (verb: string): string[] => [`$JS.API.${verb}`, `${apiPrefix}.${verb}`];
    const ofStreams = ['KV_demo', 'KV_other', 'SLUICE'].flatMap((stream) =>
      ['DELETE', 'UPDATE', 'CREATE', 'SNAPSHOT', 'RESTORE', 'MSG.DELETE', 'PEER.REMOVE', 'LEADER.STEPDOWN'].flatMap(
        (verb) => api(`STREAM.${verb}.${stream}`),
      ),
    );
    const ofAll = [...ofStreams, ...api('STREAM.NAMES'), ...api('STREAM.LIST'), ...api('CONSUMER.NAMES.KV_demo')];
    const control = [
      'sluice.cache.evil.declared',
      'sluice.cache.demo.dropped',
      'sluice.outcome.node-1',
      'sluice.lease.x.1',
    ];
    const leading = ['sluice.lease.controller.7', 'sluice.command.start'];
    const membership = ['sluice.member.evil.a.joined', 'sluice.pulse.node-1', 'sluice.request.evil.read'];
    const foreign = [
      ...[
        'STREAM.INFO.KV_other',
        'STREAM.MSG.GET.KV_other',
        'DIRECT.GET.KV_other',
        'DIRECT.GET.KV_other.$KV.other.secret',
      ].flatMap(api),
      ...['CONSUMER.CREATE.KV_other.c', 'CONSUMER.CREATE.KV_other', 'CONSUMER.DURABLE.CREATE.KV_other.c'].flatMap(api),
      ...[
        'CONSUMER.MSG.NEXT.KV_other.c',
        'STREAM.PURGE.KV_other',
        'STREAM.PURGE.KV_demo',
        'STREAM.PURGE.SLUICE',
      ].flatMap(api),
      '$KV.other.secret',
      'sluice.bucket.other.clear',
      'sluice.bucket.other.tag.t',
    ];
    const ownWrites = ['$KV.demo.k', 'sluice.bucket.demo.clear'];
    const departure = ['sluice.member.node-1.a.left'];
    const forbidden: Readonly<Partial<Record<User, readonly string[]>>> = {
      node: [...ofAll, ...control, ...leading],
      controller: [
        ...ofAll,
        ...control,
        ...foreign,
        ...ownWrites,
        'sluice.member.evil.a.joined',
        'sluice.pulse.node-1',
      ],
      'demo-read': [...ofAll, ...control, ...leading, ...membership, ...departure, ...foreign, ...ownWrites],
      'demo-write': [...ofAll, ...control, ...leading, ...membership, ...departure, ...foreign],
    };
    for (const [user, subjects] of Object.entries(forbidden) as [User, readonly string[]][]) {
      const connection = await servers.connectAs(user);
      for (const subject of subjects) await isRefused(connection, user, subject);
      await connection.close();
    }
  });

  it('lets nobody listen to what is not theirs', async () => {
    const everything = [
      '>',
      '$KV.>',
      '$KV.other.>',
      'sluice.>',
      'sluice.command.start',
      'sluice.command.*',
      '$JS.>',
      '$JS.EVENT.>',
    ];
    const subjects: Readonly<Partial<Record<User, readonly string[]>>> = {
      // Who listens in the account LOG gives consumers of clients a place to deliver to.
      operator: everything,
      node: everything,
      controller: [...everything, 'sluice.request.node-1.*'],
      'demo-read': [...everything, 'sluice.pulse.*', 'sluice.request.*.*'],
      'demo-write': [...everything, 'sluice.pulse.*', 'sluice.request.*.*'],
    };
    for (const [user, wanted] of Object.entries(subjects) as [User, readonly string[]][]) {
      const connection = await servers.connectAs(user);
      for (const subject of wanted) {
        let problem: Error | null = null;
        connection.subscribe(subject, {
          callback: (error) => {
            problem = error;
          },
        });
        await waitUntil(`${user} is told about ${subject}`, () => problem !== null);
        assert.match(String(problem), /Permissions Violation for Subscription/, `${user}: ${subject}`);
      }
      await connection.close();
    }
  });

  it('takes over a cache that is added while the server runs, and keeps it apart as well', async () => {
    await servers.addCache('late');
    await succeeds('operator', 'cache', 'declare', 'late');
    await succeeds('late-write', 'put', 'late', 'k', 'v');
    assert.equal(await succeeds('late-read', 'get', 'late', 'k'), 'v');
    assert.equal((await sluice('late-write', 'put', 'demo', 'k', 'v')).code, 76);
    assert.equal((await sluice('demo-write', 'put', 'late', 'k', 'v')).code, 76);
    await waitUntil(
      'the node serves it',
      async () => (await (await http(0, 'GET', '/caches/late/keys/k')).text()) === 'v',
    );
  });

  it('takes nobody without a password or with a wrong one', async () => {
    for (const change of [{ SLUICE_NATS_PASSWORD: 'wrong' }, { SLUICE_NATS_USER: 'nobody' }]) {
      const env = { ...servers.env('demo-read'), ...change, SLUICE_NATS_CONNECT_WAIT: '0' };
      const { code, stderr } = await runProgram('sluice', ['get', 'demo', 'k'], { env });
      assert.equal(code, 69);
      assert.match(stderr, /the server refuses the login; check nats\.user and nats\.password/);
    }
  });

  it('permits no role more than the product itself publishes', () => {
    const permitted = permittedSubjects();
    assert.deepEqual([...permitted.keys()], ['operator', 'node', 'controller', 'demo-read', 'demo-write']);
    const used = usedSubjects(usedLog);
    for (const [user, patterns] of permitted) {
      const subjects = [...(used.get(user) ?? [])];
      const unused = patterns.filter((pattern) => !subjects.some((subject) => matches(pattern, subject)));
      assert.deepEqual(unused, [], `never published by ${user}`);
    }
  });
});

describe('the shipped files', () => {
  it('import into an account no more than its user may publish, so that the wall is where the door is', () => {
    const permitted = permittedSubjects();
    const accounts = shippedText()
      .split(/^ {0,2}(?=[A-Z_]+ \{$)/m)
      .slice(1);
    assert.deepEqual(
      accounts.map((text) => text.split(' ')[0]),
      ['LOG', 'NODES', 'CONTROLLERS', 'DEMO_READ', 'DEMO_WRITE'],
    );
    for (const text of accounts) {
      const user = /user: (\S+)/.exec(text)?.[1] ?? '';
      const imported = [...text.matchAll(/\{ service: \{ account: \w+, subject: "([^"]+)" \}(?:, to: "([^"]+)")? \}/g)];
      assert.equal(
        imported.length,
        text.split('{ service: { account').length - 1,
        `${user}: each import is understood`,
      );
      for (const [, subject = '', to = subject] of imported) {
        const isPermitted = permitted.get(user)?.some((pattern) => covers(pattern, to));
        assert.ok(isPermitted, `${user} may not publish ${to}, which its account imports`);
        assert.equal(to, subject.replace(/^\$JS\.API/, apiPrefix), 'only the API has another name');
      }
    }
  });
});

/** The server must say so itself; silence could also be a subject where nobody happens to listen. */
async function isRefused(connection: NatsConnection, user: User, subject: string): Promise<void> {
  await assert.rejects(
    connection.request(subject, '{}', { timeout: 2_000 }),
    /Permissions Violation for Publish/,
    `${user} may publish ${subject}`,
  );
}

const shippedText = (): string =>
  ['accounts.conf', 'caches/demo.conf'].map((file) => readFileSync(join(shippedFolder, file), 'utf8')).join('\n');

/** True when whatever the second subject stands for is in the first. */
function covers(pattern: string, subject: string): boolean {
  const tokens = subject.split('.');
  const parts = pattern.split('.');
  return (
    parts.every((part, index) =>
      part === '>' ? index < tokens.length : part === tokens[index] || (part === '*' && tokens[index] !== '>'),
    ) &&
    (parts.at(-1) === '>' || parts.length === tokens.length)
  );
}

/** What each user may publish, as the shipped files say it. */
function permittedSubjects(): ReadonlyMap<string, readonly string[]> {
  const found = shippedText().matchAll(/user: (\S+)[\s\S]*?publish: \[([\s\S]*?)\]/g);
  return new Map(
    [...found].map(([, user = '', list = '']) => {
      const lines = list.split('\n').filter((line) => !line.trim().startsWith('#'));
      return [user, [...lines.join('\n').matchAll(/"([^"]+)"/g)].map((match) => match[1] ?? '')];
    }),
  );
}

/** By user: the subjects that were published, from a log with every message of the protocol. */
function usedSubjects(log: string): ReadonlyMap<string, ReadonlySet<string>> {
  const users = new Map<string, string>();
  const used = new Map<string, Set<string>>();
  for (const line of log.split('\n')) {
    const connection = / - cid:(\d+) /.exec(line)?.[1];
    if (connection === undefined) continue;
    const user = /<<- \[CONNECT .*"user":"([^"]+)"/.exec(line)?.[1];
    if (user !== undefined) users.set(connection, user);
    const subject = /<<- \[H?PUB (\S+)/.exec(line)?.[1];
    const owner = users.get(connection);
    if (subject === undefined || owner === undefined) continue;
    used.set(owner, (used.get(owner) ?? new Set()).add(subject));
  }
  return used;
}

function matches(pattern: string, subject: string): boolean {
  const source = pattern.replace(/[.$]/g, '\\$&').replaceAll('*', '[^.]+').replace(/>$/, '.+');
  return new RegExp(`^${source}$`).test(subject);
}
