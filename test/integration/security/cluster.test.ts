/** Three servers with the shipped configuration of a cluster: the accounts, over routes that ask for certificates as well. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { NatsConnection } from '@nats-io/transport-node';
import { connect, type Sluice } from '../../../src/index.ts';
import {
  apiPrefix,
  passwordOf,
  type SecuredServers,
  startSecuredServers,
  type User,
} from '../../support/secured-servers.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { runProgram } from '../cli/run-program.ts';

describe('a cluster with the shipped configuration', () => {
  let servers: SecuredServers;
  const clients: Sluice[] = [];

  async function open(user: User, server: number): Promise<Sluice> {
    const { servers: _, ...options } = servers.options(user);
    const client = await connect({ ...options, servers: servers.urls[server] ?? '' });
    clients.push(client);
    return client;
  }

  before(async () => {
    servers = await startSecuredServers({ count: 3 });
    // The servers need a moment to choose their leader.
    await waitUntil(
      'the cache with three replicas',
      async () => {
        const env = servers.env('operator');
        const flags = ['--log-replicas', '3'];
        const declare = ['cache', 'declare', 'demo', ...flags, '--nats-connect-wait', '20s'];
        return (await runProgram('sluice', declare, { env })).code === 0;
      },
      60_000,
    );
  });
  after(async () => {
    for (const client of clients) await client.close();
    await servers?.stop();
  });

  it('carries writes and reads of clients that are connected to different servers', async () => {
    const writer = await (await open('demo-write', 0)).open<number>('demo');
    const reader = await (await open('demo-read', 1)).open<number>('demo');
    const written = await writer.put('k', 1);
    await reader.reached(written, { waitMs: 10_000 });
    assert.equal(reader.get('k'), 1);
    assert.equal(await reader.latest('k'), 1);
  });

  it('answers no forged request on any server', async () => {
    const admin = await servers.connectAs('operator');
    const state = async (connection: NatsConnection): Promise<string> => {
      const info = (await connection.request('$JS.API.STREAM.INFO.SLUICE', '', { timeout: 5_000 })).json<{
        state: unknown;
      }>();
      return JSON.stringify(info.state);
    };
    const before = await state(admin);
    for (const user of ['demo-read', 'demo-write', 'node'] as const) {
      const connection = await servers.connectAs(user);
      for (const target of ['sluice.command.start', '$JS.API.STREAM.PURGE.SLUICE', `${apiPrefix}.STREAM.PURGE.SLUICE`])
        connection.publish(`${apiPrefix}.STREAM.MSG.GET.KV_demo`, '{"last_by_subj":"$KV.demo.k"}', { reply: target });
      await connection.flush();
      // An answer that came back to its own asker has passed behind the forged ones.
      await connection.request(`${apiPrefix}.STREAM.INFO.KV_demo`, '', { timeout: 5_000 });
    }
    assert.equal(await state(admin), before);
  });

  it('goes on when the server dies that leads the cache’s stream', async () => {
    const options = servers.options('demo-write');
    const writing = await connect(options);
    const reading = await connect({ ...options, user: 'demo-read', password: passwordOf('demo-read') });
    clients.push(writing, reading);
    const writer = await writing.open<number>('demo');
    const reader = await reading.open<number>('demo');
    const admin = await servers.connectAs('operator');
    const info = await admin.request('$JS.API.STREAM.INFO.KV_demo', '', { timeout: 5_000 });
    const { cluster } = info.json<{ cluster: { leader: string } }>();
    await servers.crash(cluster.leader);
    let count = 0;
    const written = await waitUntil(
      'a write after the election',
      () => {
        count += 1;
        return writer.put('after', count).catch(() => undefined);
      },
      60_000,
    );
    await reader.reached(written, { waitMs: 30_000 });
    assert.equal(reader.get('after'), count);
  });
});
