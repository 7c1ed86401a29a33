/** TLS with certificates on both sides: what is refused, by whom, and whether the error says which setting to look at. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { connect, isSluiceError } from '../../../src/index.ts';
import { type Authority, type CertificateFiles, createAuthority } from '../../support/certificates.ts';
import { startNatsServer } from '../../support/nats-server.ts';
import { passwordOf, type SecuredServers, startSecuredServers } from '../../support/secured-servers.ts';
import { type Ended, runProgram } from '../cli/run-program.ts';

describe('a connection with TLS', () => {
  let servers: SecuredServers;
  let stranger: Authority;

  before(async () => {
    servers = await startSecuredServers();
    stranger = createAuthority(servers.folder, 'stranger');
  });
  after(() => servers?.stop());

  const sluice = (change: Readonly<Record<string, string>>): Promise<Ended> =>
    runProgram('sluice', ['members'], {
      env: { ...servers.env('operator'), SLUICE_NATS_CONNECT_WAIT: '0', ...change },
    });
  const shows = (files: CertificateFiles): Record<string, string> => ({
    SLUICE_NATS_TLS_CERT_FILE: files.certFile,
    SLUICE_NATS_TLS_KEY_FILE: files.keyFile,
  });

  it('is made when both sides show what the other asks for', async () => {
    const { code, stderr } = await sluice({});
    assert.equal(code, 0, stderr);
  });

  const refusals: readonly {
    readonly what: string;
    readonly change: () => Readonly<Record<string, string>>;
    readonly code: number;
    readonly says: RegExp;
  }[] = [
    {
      what: 'the authority that is trusted is another than the server’s',
      change: () => ({ SLUICE_NATS_TLS_CA_FILE: stranger.caFile }),
      code: 69,
      says: /the certificate of the server is not signed by an authority of nats\.tls\.caFile/,
    },
    {
      what: 'no certificate is shown',
      change: () => ({ SLUICE_NATS_TLS_CERT_FILE: '', SLUICE_NATS_TLS_KEY_FILE: '' }),
      code: 69,
      says: /the server demands a certificate|or none was given/,
    },
    {
      what: 'the certificate is of an authority that the server does not know',
      change: () => shows(stranger.issue('client')),
      code: 69,
      says: /the server does not accept the certificate of nats\.tls\.certFile/,
    },
    {
      what: 'the certificate has expired',
      change: () => shows(servers.authority.issue('expired', { isExpired: true })),
      code: 78,
      says: /nats\.tls\.certFile: "[^"]+" must be valid; it expired on /,
    },
    {
      what: 'the key is that of another certificate',
      change: () => ({ SLUICE_NATS_TLS_KEY_FILE: servers.authority.issue('another').keyFile }),
      code: 78,
      says: /nats\.tls\.keyFile: "[^"]+" must be the key of the certificate in nats\.tls\.certFile/,
    },
    {
      what: 'the file of the certificate holds none',
      change: () => ({ SLUICE_NATS_TLS_CERT_FILE: servers.client.keyFile }),
      code: 78,
      says: /nats\.tls\.certFile: "[^"]+" must hold a certificate in PEM form/,
    },
    {
      what: 'the file of the key is not there',
      change: () => ({ SLUICE_NATS_TLS_KEY_FILE: join(servers.folder, 'nowhere.pem') }),
      code: 78,
      says: /nats\.tls\.keyFile: cannot be read: ENOENT/,
    },
  ];
  for (const { what, change, code, says } of refusals) {
    it(`is refused, and says why, when ${what}`, async () => {
      const ended = await sluice(change());
      assert.equal(ended.code, code, ended.stderr);
      assert.match(ended.stderr, says);
    });
  }

  it('is refused when the certificate of the server is for another address', async () => {
    const { certFile, keyFile } = servers.authority.issue('elsewhere', { names: 'IP:127.0.0.2,DNS:localhost' });
    const tls = `tls { cert_file: "${certFile}", key_file: "${keyFile}" }`;
    const server = await startNatsServer({ extraConfig: tls });
    try {
      const { code, stderr } = await sluice({ SLUICE_NATS_SERVERS: `tls://127.0.0.1:${server.port}` });
      assert.equal(code, 69, stderr);
      assert.match(stderr, /the certificate of the server is for another name than that of nats\.servers/);
    } finally {
      await server.stop();
    }
  });

  it('is refused when the certificate of the server has expired', async () => {
    const { certFile, keyFile } = servers.authority.issue('old-server', { isExpired: true });
    const server = await startNatsServer({ extraConfig: `tls { cert_file: "${certFile}", key_file: "${keyFile}" }` });
    try {
      const { code, stderr } = await sluice({ SLUICE_NATS_SERVERS: `tls://127.0.0.1:${server.port}` });
      assert.equal(code, 69, stderr);
      assert.match(stderr, /the certificate of the server has expired/);
    } finally {
      await server.stop();
    }
  });

  it('sends no password to a server that says it has no TLS, where the address or a certificate asks for it', async () => {
    const heard = await startEavesdropper();
    try {
      const { user, password, tls } = servers.options('demo-read');
      for (const [scheme, files] of [
        ['tls', undefined],
        ['nats', tls],
      ] as const) {
        const attempt = connect({
          servers: `${scheme}://127.0.0.1:${heard.port}`,
          // One attempt: it takes longer than that.
          ...{ user, password, connectWaitMs: 0.001 },
          ...(files === undefined ? {} : { tls: files }),
        });
        await assert.rejects(attempt, (error) => {
          assert.ok(isSluiceError(error, 'log-unavailable'));
          assert.match(error.message, /the server offers no TLS, and nats\.servers or nats\.tls demands it/);
          return true;
        });
      }
      assert.equal(heard.connections(), 2);
      assert.ok(!heard.text().includes(passwordOf('demo-read')), heard.text());
    } finally {
      heard.server.close();
    }
  });

  it('refuses a file of credentials that holds none, without showing what it holds', async () => {
    const file = join(servers.folder, 'some.creds');
    writeFileSync(file, 'SUAEXAMPLESECRET');
    const { code, stderr } = await sluice({
      SLUICE_NATS_USER: '',
      SLUICE_NATS_PASSWORD: '',
      SLUICE_NATS_CREDENTIALS_FILE: file,
    });
    assert.equal(code, 78, stderr);
    assert.match(stderr, /nats\.credentialsFile: "[^"]+" must hold a user JWT and its key/);
    assert.ok(!stderr.includes('SUAEXAMPLESECRET'));
  });
});

interface Eavesdropper {
  readonly server: Server;
  readonly port: number;
  connections(): number;
  text(): string;
}

/** Greets like a server without TLS, and keeps what it is sent. */
async function startEavesdropper(): Promise<Eavesdropper> {
  let text = '';
  let connections = 0;
  const server = createServer((socket: Socket) => {
    connections += 1;
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      text += chunk.toString();
      socket.write('PONG\r\n');
    });
    const info = { server_id: 'X', version: '2.14.2', proto: 1, headers: true, max_payload: 1_048_576 };
    socket.write(`INFO ${JSON.stringify(info)}\r\n`);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return { server, port: address.port, connections: () => connections, text: () => text };
}
