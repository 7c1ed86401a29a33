/**
 * Reply laundering: a server publishes its answer on whatever subject a request names for it, and takes no notice of what the asker
 * may publish. It is shown to work where all users share the account that has JetStream, and to reach nothing with the
 * configuration that is shipped.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { connect, headers, type NatsConnection } from '@nats-io/transport-node';
import { isAtLeast } from '../../../src/nats/link.ts';
import { startNatsServer, type TestServer } from '../../support/nats-server.ts';
import { apiPrefix, type SecuredServers, startSecuredServers, type User } from '../../support/secured-servers.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { runProgram } from '../cli/run-program.ts';

const command = '{"expr":"*","by":"an attacker"}';

interface Info {
  readonly config: { readonly name: string };
  readonly state: { readonly first_seq: number; readonly last_seq: number; readonly messages: number };
}

async function ask<Answer>(connection: NatsConnection, subject: string, body: unknown = ''): Promise<Answer> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const answer = await connection.request(subject, text, { timeout: 5_000 });
  return answer.json<Answer>();
}

/** Where every stream stands. Two of these are equal when nothing was stored, purged, made or deleted in between. */
async function positions(admin: NatsConnection): Promise<Record<string, string>> {
  const { streams } = await ask<{ streams: Info[] }>(admin, '$JS.API.STREAM.LIST', {});
  return Object.fromEntries(
    streams.map(({ config, state }) => [config.name, `${state.first_seq}-${state.last_seq}, ${state.messages}`]),
  );
}

/** Resolves when the server has done all that this connection asked for, answers included. */
async function settle(connection: NatsConnection, admin: NatsConnection): Promise<void> {
  for (let round = 0; round < 5; round += 1) {
    await connection.flush();
    await ask(admin, '$JS.API.STREAM.LIST', {});
  }
}

const streamOf = (name: string, subjects: readonly string[]): object => ({
  ...{ name, subjects, retention: 'limits', storage: 'memory', num_replicas: 1, allow_direct: true, discard: 'old' },
  ...{ max_consumers: -1, max_msgs: -1, max_bytes: -1, max_age: 0 },
});

const consumerTo = (name: string, stream: string, subject: string): object => ({
  stream_name: stream,
  config: {
    ...{ name, deliver_subject: subject, deliver_policy: 'all', ack_policy: 'none', replay_policy: 'instant' },
    ...{ mem_storage: true, num_replicas: 1, inactive_threshold: 30e9 },
  },
});

describe('one account for all, with permissions', () => {
  let server: TestServer;
  let admin: NatsConnection;
  let client: NatsConnection;

  before(async () => {
    const permissions =
      '{ publish: ["$KV.demo.>", "$JS.API.DIRECT.GET.KV_demo.>", "$JS.API.CONSUMER.CREATE.KV_demo.*"], subscribe: "_INBOX.>" }';
    const users = `{ user: admin, password: pw }, { user: client, password: pw, permissions: ${permissions} }`;
    server = await startNatsServer({ extraConfig: `authorization { users: [${users}] }` });
    const open = (user: string) => connect({ servers: server.url, user, pass: 'pw' });
    admin = await open('admin');
    client = await open('client');
    for (const [name, subject] of [
      ['KV_demo', '$KV.demo.>'],
      ['KV_other', '$KV.other.>'],
      ['SLUICE', 'sluice.command.*'],
    ] as const)
      await ask(admin, `$JS.API.STREAM.CREATE.${name}`, streamOf(name, [subject]));
    await ask(client, '$KV.demo.k', command);
    await ask(client, '$KV.demo.purge', '{}');
    await ask(admin, '$KV.other.k', 'theirs');
  });
  after(async () => {
    await client?.close();
    await admin?.close();
    await server?.stop();
  });

  const newestCommand = async (): Promise<string> => {
    const found = await admin.request('$JS.API.DIRECT.GET.SLUICE.sluice.command.start', '', { timeout: 2_000 });
    return found.string();
  };

  it('does not let a client publish a command', async () => {
    await assert.rejects(client.request('sluice.command.start', command), /Permissions Violation/);
  });

  it('lets it launder one all the same: the answer to a direct get, stored as a command', async () => {
    client.publish('$JS.API.DIRECT.GET.KV_demo.$KV.demo.k', '', { reply: 'sluice.command.start' });
    await waitUntil('the forged command in the log', async () => (await newestCommand()) === command);
  });

  it('lets it empty the stream of others: the answer to a direct get, taken as a request to the API', async () => {
    client.publish('$JS.API.DIRECT.GET.KV_demo.$KV.demo.purge', '', { reply: '$JS.API.STREAM.PURGE.KV_other' });
    await waitUntil('the stream empty', async () => (await positions(admin))['KV_other'] === '2-1, 0');
  });

  it('lets a consumer of it deliver a command as soon as anybody listens there', async () => {
    const before = await positions(admin);
    await ask(client, '$JS.API.CONSUMER.CREATE.KV_demo.c', consumerTo('c', 'KV_demo', 'sluice.command.pushed'));
    admin.subscribe('sluice.command.pushed');
    await waitUntil('the forged command', async () => (await positions(admin))['SLUICE'] !== before['SLUICE']);
  });
});

describe('the shipped configuration', () => {
  let servers: SecuredServers;
  let admin: NatsConnection;

  before(async () => {
    servers = await startSecuredServers();
    const env = servers.env('operator');
    for (const cache of ['demo', 'other']) {
      assert.equal((await runProgram('sluice', ['cache', 'declare', cache], { env })).code, 0);
      assert.equal((await runProgram('sluice', ['put', cache, 'k', command], { env })).code, 0);
    }
    admin = await servers.connectAs('operator');
    // Bodies that the API would take: to purge, to delete, to make a stream.
    await ask(admin, '$KV.demo.purge', '{}');
    await ask(admin, '$KV.demo.delete', '');
    await ask(admin, '$KV.demo.create', streamOf('EVIL', ['evil.>']));
  });
  after(() => servers?.stop());

  /** Where a forged answer would do harm. */
  const targets = [
    ...['sluice.command.start', 'sluice.cache.evil.declared', 'sluice.cache.demo.dropped', 'sluice.outcome.node-1'],
    ...['sluice.member.evil.a.joined', 'sluice.member.evil.a.left', 'sluice.lease.controller.1', 'sluice.pulse.node-1'],
    ...['$KV.other.k', '$KV.demo.k', 'sluice.bucket.other.clear', 'sluice.bucket.demo.clear'],
    ...[
      'STREAM.DELETE.KV_other',
      'STREAM.PURGE.KV_other',
      'STREAM.PURGE.KV_demo',
      'STREAM.PURGE.SLUICE',
      'STREAM.CREATE.EVIL',
    ].flatMap((verb) => [`$JS.API.${verb}`, `${apiPrefix}.${verb}`]),
    // The one kind of reply that servers hand on to the other account as it is.
    ...['$JS.ACK.sluice.command.start', '$JS.ACK.KV_other.c.1.1.1.1.0', '_R_.sluice.command.start'],
  ];

  /** Requests that each role may make and that are answered. */
  const requests: Readonly<Partial<Record<User, readonly string[]>>> = {
    'demo-read': ['STREAM.INFO.KV_demo', 'STREAM.MSG.GET.KV_demo', 'STREAM.INFO.SLUICE'],
    'demo-write': ['STREAM.INFO.KV_demo', 'STREAM.MSG.GET.KV_demo', 'STREAM.INFO.SLUICE'],
    node: ['STREAM.INFO.KV_demo', 'STREAM.MSG.GET.KV_demo', 'STREAM.INFO.SLUICE'],
    controller: ['STREAM.INFO.SLUICE'],
  };

  for (const [user, verbs] of Object.entries(requests) as [User, readonly string[]][]) {
    it(`answers a forged request of ${user} nowhere`, async () => {
      const connection = await servers.connectAs(user);
      const before = await positions(admin);
      for (const target of targets)
        for (const verb of verbs)
          connection.publish(`${apiPrefix}.${verb}`, '{"last_by_subj":"$KV.demo.k"}', { reply: target });
      await settle(connection, admin);
      assert.deepEqual(await positions(admin), before);
    });
  }

  it('delivers a stored message to no forged subject, neither by a pull nor by a consumer that pushes', async () => {
    const connection = await servers.connectAs('demo-read');
    const before = await positions(admin);
    const pull = { ...(consumerTo('pulled', 'KV_demo', '') as { config: object }) };
    const { deliver_subject: _, ...config } = pull.config as Record<string, unknown>;
    await ask(connection, `${apiPrefix}.CONSUMER.CREATE.KV_demo.pulled`, { stream_name: 'KV_demo', config });
    for (const target of targets)
      connection.publish(`${apiPrefix}.CONSUMER.MSG.NEXT.KV_demo.pulled`, '{"batch":10,"no_wait":true}', {
        reply: target,
      });
    // What an operator's tools listen to while they run is all there is in that account.
    admin.subscribe('sluice.pulse.*');
    let made = 0;
    for (const target of targets) {
      made += 1;
      const request = consumerTo(`pushed-${made}`, 'KV_demo', target);
      await ask(connection, `${apiPrefix}.CONSUMER.CREATE.KV_demo.pushed-${made}`, request);
    }
    await settle(connection, admin);
    assert.deepEqual(await positions(admin), before);
    for (let index = 1; index <= made; index += 1) {
      const info = await ask<{ error?: unknown; delivered?: { consumer_seq: number } }>(
        admin,
        `$JS.API.CONSUMER.INFO.KV_demo.pushed-${index}`,
      );
      assert.ok(
        info.error !== undefined || info.delivered?.consumer_seq === 0,
        `${targets[index - 1]} was delivered to`,
      );
    }
  });

  it('lets the acknowledgement of a write go nowhere either, and what a header asks for', async () => {
    const connection = await servers.connectAs('demo-write');
    const before = await positions(admin);
    const traced = headers();
    traced.set('Nats-Trace-Dest', 'sluice.command.start');
    const scheduled = headers();
    scheduled.set('Nats-Schedule', '@every 1s');
    scheduled.set('Nats-Schedule-Target', 'sluice.command.start');
    for (const target of targets.filter((one) => !one.includes('demo'))) {
      connection.publish('$KV.demo.mine', command, { reply: target });
      connection.publish('$KV.demo.mine', command, { reply: target, headers: traced });
      connection.publish('$KV.demo.mine', command, { reply: target, headers: scheduled });
    }
    await settle(connection, admin);
    const { KV_demo: _, ...others } = await positions(admin);
    const { KV_demo: own, ...othersBefore } = before;
    assert.deepEqual(others, othersBefore);
    assert.notEqual((await positions(admin))['KV_demo'], own, 'the writes themselves were stored');
    assert.ok(isAtLeast(admin.info?.version ?? '0', '2.9.10'));
  });

  it('lets a node forge no command, no declaration and no lease, whatever it may publish by itself', async () => {
    const connection = await servers.connectAs('node');
    const before = await positions(admin);
    // A stream takes no message whose reply begins like an acknowledgement's, so those would miss in the count below.
    const beyond = targets.filter((target) =>
      /^(sluice|.*API)\.(command|cache|lease|outcome|STREAM\.(DELETE|CREATE|PURGE\.(SLUICE|KV_other)))/.test(target),
    );
    assert.ok(beyond.length >= 10);
    for (const target of beyond)
      for (const subject of ['$KV.demo.mine', 'sluice.member.evil.a.left'])
        connection.publish(subject, command, { reply: target });
    await settle(connection, admin);
    const { KV_demo: _, SLUICE: control, ...others } = await positions(admin);
    const { KV_demo: __, SLUICE: controlBefore, ...othersBefore } = before;
    assert.deepEqual(others, othersBefore);
    const stored = (text: string | undefined): number => Number(text?.split(', ')[1]);
    assert.equal(
      stored(control) - stored(controlBefore),
      beyond.length,
      'the departures, which a node may tell, and no more',
    );
  });
});
