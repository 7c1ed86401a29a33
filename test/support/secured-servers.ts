/**
 * nats-servers that run with the files of `config/nats` as they are shipped: only addresses, folders and the certificates are
 * replaced, and the passwords are given in the environment, as an operator would.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, cpSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { type Authority, type CertificateFiles, createAuthority } from './certificates.ts';
import { findFreePorts, findTestBinary } from './nats-server.ts';
import { projectRoot } from './project.ts';
import { waitUntil } from './wait-until.ts';

export const shippedFolder: string = join(projectRoot, 'config', 'nats');

/** What the clients' accounts say instead of `$JS.API`. */
export const apiPrefix = 'JS.LOG.API';

/** Users of the shipped files, and of the caches that a test adds, with a password each. */
export const users = [
  'operator',
  'node',
  'controller',
  'demo-read',
  'demo-write',
  'other-read',
  'other-write',
  'late-read',
  'late-write',
] as const;
export type User = (typeof users)[number];
export const passwordOf = (user: User): string => `pw-of-${user}-4711`;

export interface SecuredServers {
  /** `tls://127.0.0.1:<port>` of each server. */
  readonly urls: readonly string[];
  readonly authority: Authority;
  /** A certificate that the servers accept. */
  readonly client: CertificateFiles;
  /** Folder of this test alone, removed at the end. */
  readonly folder: string;
  /** The environment of a program that connects as this user. */
  env(user: User): Record<string, string>;
  /** What a program of one's own needs to connect as this user, for `connect` of the library. */
  options(user: User): LibraryOptions;
  /** A connection of the driver alone, with which a user may try what the product never does. */
  connectAs(user: User): Promise<NatsConnection>;
  /** Adds a cache as `caches/demo.conf` says, with the passwords in the file, and reloads the servers twice. */
  addCache(name: 'late'): Promise<void>;
  /** Kills the server of that `server_name`: `nats-1` … */
  crash(name: string): Promise<void>;
  /** What the servers have written to their logs. */
  logs(): string;
  stop(): Promise<void>;
}

export interface LibraryOptions {
  readonly servers: readonly string[];
  readonly user: string;
  readonly password: string;
  readonly tls: CertificateFiles & { readonly caFile: string };
  readonly apiPrefix?: string;
}

const living = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

/** The variable of `accounts.conf` and `caches/*.conf` for a user's password. */
const variableOf = (user: User): string => `SLUICE_${user.replace('-', '_').toUpperCase()}_PASSWORD`;

export interface SecuredOptions {
  readonly count?: 1 | 3;
  /** Whether the servers log every message of the protocol. */
  readonly isTraced?: boolean;
}

/** One server with `server.conf`, or three with `cluster.conf`. The caches `demo` and `other` have accounts. */
export async function startSecuredServers({
  count = 1,
  isTraced = false,
}: SecuredOptions = {}): Promise<SecuredServers> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-secured-'));
  const children: ChildProcess[] = [];
  const connections: NatsConnection[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(connections.map((connection) => connection.close()));
    await Promise.all(children.map((child) => endChild(child)));
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 });
  };
  try {
    const authority = createAuthority(folder, 'ca');
    const files = writeFiles(folder, authority);
    const routes = count === 1 ? [] : await findFreePorts(count);
    const ports = await Promise.all(
      Array.from({ length: count }, async (_, index) => {
        const { child, port } = await startServer(files, { ordinal: index + 1, routes, isTraced });
        children[index] = child;
        return port;
      }),
    );
    const client = authority.issue('client');
    const urls = ports.map((port) => `tls://127.0.0.1:${port}`);
    const logs = (): string => ports.map((_, index) => readFileSync(logOf(folder, index + 1), 'utf8')).join('');
    const options = (user: User): LibraryOptions => ({
      servers: urls,
      user,
      password: passwordOf(user),
      tls: { caFile: authority.caFile, ...client },
      ...(user === 'operator' ? {} : { apiPrefix }),
    });
    return {
      urls,
      authority,
      client,
      folder,
      stop,
      options,
      async addCache(name) {
        writeCache(files.configFolder, name, (text) =>
          text.replace(/\$SLUICE_LATE_(READ|WRITE)_PASSWORD/g, (_, right: string) =>
            JSON.stringify(passwordOf(right === 'READ' ? 'late-read' : 'late-write')),
          ),
        );
        // The first time makes the accounts, the second time what they import is found.
        for (let round = 1; round <= 2; round += 1) {
          for (const child of children) child.kill('SIGHUP');
          await waitUntil('the servers reloaded', () => countOf(logs(), 'Reloaded server') === round * count);
        }
      },
      logs,
      async crash(name) {
        const child = children[Number(name.slice('nats-'.length)) - 1];
        if (child === undefined) throw new Error(`there is no server ${name}`);
        await endChild(child, 'SIGKILL');
      },
      async connectAs(user) {
        const { servers, tls } = options(user);
        const driver = { ...tls, checkServerIdentity: () => undefined };
        const connection = await connect({ servers: [...servers], user, pass: passwordOf(user), tls: driver });
        connections.push(connection);
        return connection;
      },
      env: (user) => ({
        SLUICE_NATS_SERVERS: urls.join(','),
        SLUICE_NATS_USER: user,
        SLUICE_NATS_PASSWORD: passwordOf(user),
        SLUICE_NATS_TLS_CA_FILE: authority.caFile,
        SLUICE_NATS_TLS_CERT_FILE: client.certFile,
        SLUICE_NATS_TLS_KEY_FILE: client.keyFile,
        ...(user === 'operator' ? {} : { SLUICE_NATS_API_PREFIX: apiPrefix }),
      }),
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface ConfigFiles {
  readonly folder: string;
  readonly configFolder: string;
  readonly server: CertificateFiles;
  readonly authority: Authority;
}

/** A copy of the shipped files, with a second cache added as `caches/demo.conf` says. */
function writeFiles(folder: string, authority: Authority): ConfigFiles {
  const configFolder = join(folder, 'nats');
  cpSync(shippedFolder, configFolder, { recursive: true });
  writeCache(configFolder, 'other', (text) => text);
  return { folder, configFolder, authority, server: authority.issue('server') };
}

/** A second cache, made from that of the first as `caches/demo.conf` says. */
function writeCache(configFolder: string, name: string, change: (text: string) => string): void {
  const demo = readFileSync(join(configFolder, 'caches', 'demo.conf'), 'utf8');
  const text = change(demo.replaceAll('demo', name).replaceAll('DEMO', name.toUpperCase()));
  writeFileSync(join(configFolder, 'caches', `${name}.conf`), text);
  edit(join(configFolder, 'accounts.conf'), [
    ['include "./caches/demo.conf"', `include "./caches/demo.conf"\n  include "./caches/${name}.conf"`],
  ]);
}

const countOf = (text: string, part: string): number => text.split(part).length - 1;

/** Replaces what must be there. */
function edit(path: string, changes: readonly (readonly [from: string, to: string])[]): void {
  let text = readFileSync(path, 'utf8');
  for (const [from, to] of changes) {
    if (!text.includes(from)) throw new Error(`${path} does not say ${from}`);
    text = text.replaceAll(from, to);
  }
  writeFileSync(path, text);
}

async function startServer(
  { folder, configFolder, server, authority }: ConfigFiles,
  { ordinal, routes, isTraced }: { ordinal: number; routes: readonly number[]; isTraced: boolean },
): Promise<{ child: ChildProcess; port: number }> {
  const name = routes.length === 0 ? 'server' : 'cluster';
  const path = join(configFolder, `${name}-${ordinal}.conf`);
  cpSync(join(configFolder, `${name}.conf`), path);
  edit(path, [
    ['0.0.0.0:4222', '127.0.0.1:-1'],
    ['/etc/sluice/nats/server-cert.pem', server.certFile],
    ['/etc/sluice/nats/server-key.pem', server.keyFile],
    ['/etc/sluice/nats/ca.pem', authority.caFile],
    ['/var/lib/sluice/nats', join(folder, `store-${ordinal}`)],
    ...routes.map((port, index) => [`nats-${index + 1}.internal:6222`, `127.0.0.1:${port}`] as const),
    ...(routes.length === 0
      ? []
      : ([
          ['0.0.0.0:6222', `127.0.0.1:${routes[ordinal - 1]}`],
          ['/etc/sluice/nats/route-cert.pem', server.certFile],
          ['/etc/sluice/nats/route-key.pem', server.keyFile],
          ['/etc/sluice/nats/route-ca.pem', authority.caFile],
        ] as const)),
  ]);
  const known = users.filter((user) => !user.startsWith('late'));
  const passwords = Object.fromEntries(known.map((user) => [variableOf(user), passwordOf(user)]));
  const portsFolder = mkdtempSync(join(folder, 'ports-'));
  const log = openSync(logOf(folder, ordinal), 'a');
  const args = ['-c', path, '--ports_file_dir', portsFolder, ...(isTraced ? ['-V'] : [])];
  const child = spawn(await findTestBinary(), args, {
    env: { ...process.env, ...passwords, SLUICE_NATS_NAME: `nats-${ordinal}` },
    stdio: ['ignore', 'ignore', log],
  });
  closeSync(log);
  living.add(child);
  const port = await waitUntil('a server with the shipped configuration', () => {
    if (child.exitCode !== null) {
      const said = readFileSync(logOf(folder, ordinal), 'utf8').slice(-4_000);
      throw new Error(`nats-server ended with ${child.exitCode}:\n${said}`);
    }
    return readPort(portsFolder);
  });
  return { child, port };
}

const logOf = (folder: string, ordinal: number): string => join(folder, `server-${ordinal}.log`);

function readPort(folder: string): number | undefined {
  const [file] = readdirSync(folder);
  if (file === undefined) return undefined;
  try {
    const { nats } = JSON.parse(readFileSync(join(folder, file), 'utf8')) as { nats: string[] };
    return Number(nats[0]?.split(':').pop());
  } catch {
    return undefined;
  }
}

async function endChild(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const closed = once(child, 'close');
    child.kill(signal);
    await closed;
  }
  living.delete(child);
}
