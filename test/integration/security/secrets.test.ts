/**
 * No secret is ever shown. Everything that the programs and the library say, when things go well and above all when they go wrong, is
 * collected, and no secret that they were given may stand in it.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { inspect } from 'node:util';
import { type ConnectOptions, connect, type Sluice } from '../../../src/index.ts';
import { findFreePorts, startNatsServer, type TestServer } from '../../support/nats-server.ts';
import { endPrograms, type ProgramName, runProgram, startProgram } from '../cli/run-program.ts';

/** Each of another kind; nothing else in the tests has such text. */
const secrets = {
  password: 'geheim-7Qx4-password',
  wrongPassword: 'geheim-9Kw2-wrong',
  token: 'geheim-3Rv8-token',
  userInfo: 'geheim-5Tz1-userinfo',
  misspelt: 'geheim-6Yb3-misspelt',
  inFile: 'geheim-8Nm5-file',
  // A seed and a JWT that no server knows, in the form that nsc writes.
  seed: 'SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY',
  jwt: 'eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ.geheim-jwt.geheim-signature',
  http: 'geheim-2Jc7-authorization',
} as const;

const credentials = `-----BEGIN NATS USER JWT-----
${secrets.jwt}
------END NATS USER JWT------

-----BEGIN USER NKEY SEED-----
${secrets.seed}
------END USER NKEY SEED------
`;

describe('secrets', () => {
  let folder: string;
  let withPassword: TestServer;
  let withToken: TestServer;
  const said: { readonly by: string; readonly text: string }[] = [];
  const clients: Sluice[] = [];

  const file = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-secrets-'));
    withPassword = await startNatsServer({
      extraConfig: `authorization { users: [{ user: "ada", password: "${secrets.password}" }] }`,
    });
    withToken = await startNatsServer({ extraConfig: `authorization { token: "${secrets.token}" }` });
  });
  after(async () => {
    for (const client of clients) await client.close();
    await endPrograms();
    await withPassword?.stop();
    await withToken?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  function hideNone(): void {
    for (const { by, text } of said.splice(0)) {
      assert.notEqual(text, '', `${by} said nothing`);
      for (const [kind, secret] of Object.entries(secrets))
        assert.ok(!text.includes(secret), `${by} shows the secret "${kind}":\n${text}`);
    }
  }

  async function hear(
    name: ProgramName,
    args: readonly string[],
    env: Readonly<Record<string, string>>,
    code: number,
  ): Promise<void> {
    const by = `${name} ${args.join(' ')} with ${Object.keys(env).join(', ')}`;
    const ended = await runProgram(name, args, { env: { SLUICE_NATS_CONNECT_WAIT: '0', ...env } });
    said.push({ by, text: `${ended.stdout}${ended.stderr}` });
    assert.equal(ended.code, code, `${by}: ${ended.stderr}`);
  }

  it('are in nothing that a node says, in its log, its metrics or its answers', async () => {
    const env = {
      SLUICE_NATS_SERVERS: withPassword.url,
      SLUICE_NATS_USER: 'ada',
      SLUICE_NATS_PASSWORD: secrets.password,
      SLUICE_LOGGING_LEVEL: 'trace',
      SLUICE_HTTP_PORT: '0',
      SLUICE_NODE_DATA_FOLDER: join(folder, 'node'),
    };
    const node = startProgram('cache-node', [], { env });
    const [, url = ''] = await node.sees(/listens on (http:[^ ,"]+)/);
    await node.sees(/ready: /);
    const requests: readonly (readonly [method: string, path: string, body?: string])[] = [
      ['PUT', '/v1/caches/demo', '{}'],
      ['PUT', '/v1/caches/demo/keys/k', 'v'],
      ['GET', '/v1/caches/demo'],
      ['GET', '/v1/caches/none/keys/k'],
      ['PUT', '/v1/caches/demo', '{"nonsense": 1}'],
      ['PUT', '/v1/caches/demo', 'no json'],
      ['GET', '/v1/members'],
      ['GET', '/v1/nodes'],
      ['GET', '/metrics'],
      ['GET', '/readyz'],
      ['GET', '/healthz'],
      ['GET', '/nowhere'],
      ['PATCH', '/v1/caches/demo'],
    ];
    const headers = { Authorization: `Bearer ${secrets.http}`, Cookie: `session=${secrets.http}` };
    for (const [method, path, body] of requests) {
      const type = { 'Content-Type': 'application/json' };
      const request = body === undefined ? { headers } : { headers: { ...headers, ...type }, body };
      const answer = await fetch(`${url}${path}`, { method, ...request });
      const head = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join('\n');
      said.push({ by: `${method} ${path}`, text: `${answer.status}\n${head}\n${await answer.text()}` });
    }
    // It loses the server, asks again, and finds it.
    await withPassword.restart();
    await node.sees(/connected to NATS again/);
    node.signal('SIGTERM');
    const ended = await node.ended;
    assert.equal(ended.code, 0);
    said.push({ by: 'cache-node', text: `${ended.stdout}${ended.stderr}` });
    hideNone();
  });

  it('are in nothing that a program says of a login that fails, or of a server that is not there', async () => {
    const [nobody = 0] = await findFreePorts(1);
    const creds = file('user.creds', credentials);
    const logins: readonly Readonly<Record<string, string>>[] = [
      { SLUICE_NATS_USER: 'ada', SLUICE_NATS_PASSWORD: secrets.wrongPassword },
      { SLUICE_NATS_TOKEN: secrets.wrongPassword },
      { SLUICE_NATS_CREDENTIALS_FILE: creds },
    ];
    for (const login of logins) {
      for (const server of [withPassword.url, withToken.url, `nats://127.0.0.1:${nobody}`]) {
        const env = { ...login, SLUICE_NATS_SERVERS: server };
        await hear('sluice', ['cache', 'show', 'demo', '--verbose'], env, 69);
        await hear('sluice', ['get', 'demo', 'k', '--json'], env, 69);
      }
      const node = { SLUICE_NATS_SERVERS: withPassword.url, SLUICE_HTTP_PORT: '0', SLUICE_LOGGING_LEVEL: 'trace' };
      const place = { SLUICE_NODE_DATA_FOLDER: join(folder, 'refused') };
      await hear('cache-node', [], { ...login, ...node, ...place }, 69);
      await hear('cache-controller', [], { ...login, ...node }, 69);
    }
    hideNone();
  });

  it('are in nothing that commands say when they succeed', async () => {
    const password = {
      SLUICE_NATS_SERVERS: withPassword.url,
      SLUICE_NATS_USER: 'ada',
      SLUICE_NATS_PASSWORD: secrets.password,
    };
    const token = { SLUICE_NATS_SERVERS: withToken.url, SLUICE_NATS_TOKEN: secrets.token };
    for (const env of [password, token]) {
      await hear('sluice', ['cache', 'declare', 'shown'], env, 0);
      await hear('sluice', ['cache', 'show', 'shown', '--verbose'], env, 0);
      await hear('sluice', ['cache', 'show', 'shown', '--json'], env, 0);
      await hear('sluice', ['log', '--verbose'], env, 0);
      await hear('sluice', ['members', '--verbose'], env, 0);
    }
    hideNone();
  });

  it('are in nothing that is said about settings that are wrong', async () => {
    const secret = secrets.misspelt;
    const broken = file('broken.json', `{ "nats": { "password": "${secrets.inFile}" "token": 1 } }`);
    const unknown = file('unknown.json', `{ "nats": { "pasword": "${secrets.inFile}" } }`);
    const wrong = file('wrong.json', `{ "nats": { "password": ["${secrets.inFile}"], "token": "${secrets.inFile}" } }`);
    const servers = file(
      'servers.json',
      `{ "nats": { "servers": ["nats://ada:${secrets.userInfo}@127.0.0.1:4222"] } }`,
    );
    for (const [name, words] of [
      ['sluice', ['cache', 'list']],
      ['cache-node', []],
      ['cache-controller', []],
    ] as const) {
      const badUse = name === 'sluice' ? 2 : 78;
      await hear(name, [...words, `--nats-pasword=${secret}`], {}, badUse);
      await hear(name, [...words, '--nats-pasword', secret], {}, badUse);
      await hear(name, [...words, `-nats-password=${secret}`], {}, 2);
      await hear(name, [...words, `nats-password=${secret}`], {}, 2);
      await hear(name, [...words, '--nats-password', secret, secret], {}, 2);
      await hear(name, [...words, `--nats-servers=nats://ada:${secrets.userInfo}@127.0.0.1:4222`], {}, 78);
      await hear(name, words, { SLUICE_NATS_SERVERS: `nats://ada:${secrets.userInfo}@127.0.0.1:4222` }, 78);
      await hear(name, words, { SLUICE_NATS_PASSWRD: secret }, 78);
      await hear(name, words, { SLUICE_NATS_PASSWORD: secret }, 78);
      await hear(
        name,
        words,
        { SLUICE_NATS_USER: 'ada', SLUICE_NATS_PASSWORD: secret, SLUICE_NATS_TOKEN: secrets.token },
        78,
      );
      for (const config of [broken, unknown, wrong, servers]) await hear(name, [...words, '--config', config], {}, 78);
    }
    hideNone();
  });

  it('are in no error and no notice of the library', async () => {
    const notices: string[] = [];
    const [nobody = 0] = await findFreePorts(1);
    const fails = async (by: string, options: ConnectOptions): Promise<void> => {
      const onNotice = (level: string, message: string, facts: unknown): void =>
        void notices.push(`${level} ${message} ${inspect(facts)}`);
      await assert.rejects(connect({ connectWaitMs: 1, onNotice, ...options }), (error: unknown) => {
        said.push({ by, text: `${inspect(error, { depth: 10, showHidden: true })}\n${JSON.stringify(error)}` });
        return true;
      });
    };
    const creds = file('library.creds', credentials);
    for (const server of [withPassword.url, withToken.url, `nats://127.0.0.1:${nobody}`]) {
      await fails('a wrong password', { servers: server, user: 'ada', password: secrets.wrongPassword });
      await fails('a wrong token', { servers: server, token: secrets.wrongPassword });
      await fails('unknown credentials', { servers: server, credentialsFile: creds });
    }
    await fails('user and password in the address', { servers: `nats://ada:${secrets.userInfo}@127.0.0.1:4222` });
    await fails('the same without a scheme', { servers: [`ada:${secrets.userInfo}@127.0.0.1:4222`] });
    await fails('a token in the address', { servers: `nats://${secrets.userInfo}@127.0.0.1:4222` });
    const client = await connect({
      ...{ servers: withPassword.url, user: 'ada', password: secrets.password },
      onNotice: (level, message, facts) => void notices.push(`${level} ${message} ${inspect(facts)}`),
    });
    clients.push(client);
    const cache = await client.open('library');
    said.push({ by: 'the objects of the library', text: inspect([client, cache, cache.stats], { depth: 3 }) });
    said.push({ by: 'notices', text: notices.join('\n') });
    hideNone();
  });
});
