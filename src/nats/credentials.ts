/**
 * Credentials and certificates from files, as the driver wants them, and the demand for TLS. Their contents are never logged.
 *
 * Invariant: where TLS is asked for, by a certificate or by a `tls://` address, nothing secret is sent without it. The driver
 * by itself takes no notice of the scheme of an address: a server (or who sits between) that says "no TLS" would be believed.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { credsAuthenticator } from '@nats-io/nats-core';
import type { NodeConnectionOptions } from '@nats-io/transport-node';
import { messageOf, SluiceError } from '../errors.ts';

export interface CredentialFiles {
  readonly servers: readonly string[];
  readonly credentialsFile: string | null;
  readonly tls: { readonly caFile: string | null; readonly certFile: string | null; readonly keyFile: string | null };
}

export type Credentials = Pick<Partial<NodeConnectionOptions>, 'authenticator' | 'tls'>;

/** Throws `bad-config` naming the setting whose file cannot be read, is not what it should be, or has expired at `nowMs`. */
export function loadCredentials({ servers, credentialsFile, tls }: CredentialFiles, nowMs: number): Credentials {
  const credentials: Credentials = {};
  if (credentialsFile !== null) {
    const text = read('nats.credentialsFile', credentialsFile);
    if (!/BEGIN NATS USER JWT[\s\S]+BEGIN USER NKEY SEED/.test(text.toString('latin1')))
      refuse('nats.credentialsFile', credentialsFile, 'must hold a user JWT and its key, as made by nsc (.creds)');
    credentials.authenticator = credsAuthenticator(text);
  }
  const { caFile, certFile, keyFile } = tls;
  // Read here once, so that a wrong file is told by its setting; the driver reads them again at each connect.
  if (caFile !== null) checkCertificates('nats.tls.caFile', caFile);
  const certificate = certFile === null ? undefined : checkCertificates('nats.tls.certFile', certFile);
  if (certFile !== null && certificate !== undefined && Date.parse(certificate.validTo) <= nowMs)
    refuse('nats.tls.certFile', certFile, `must be valid; it expired on ${certificate.validTo}`);
  if (keyFile !== null) {
    const key = readKey('nats.tls.keyFile', keyFile);
    if (certificate !== undefined && !certificate.checkPrivateKey(key))
      refuse('nats.tls.keyFile', keyFile, 'must be the key of the certificate in nats.tls.certFile');
  }
  if (caFile !== null || certFile !== null || keyFile !== null || servers.some((one) => one.startsWith('tls://'))) {
    credentials.tls = {
      ...(caFile === null ? {} : { caFile }),
      ...(certFile === null ? {} : { certFile }),
      ...(keyFile === null ? {} : { keyFile }),
      // Node's own option, which the driver passes on and does not declare.
      ...({ checkServerIdentity: identityCheck(servers) } as object),
    };
  }
  return credentials;
}

/**
 * For an address without a name Node is told no name and would look for "localhost" in the certificate. Then it must be for one of the addresses
 * that were configured.
 */
export function identityCheck(
  servers: readonly string[],
): (name: string, certificate: PeerCertificate) => Error | undefined {
  const hosts = servers.map(hostOf);
  const addresses = hosts.filter((host) => isIP(host) > 0);
  return (name, certificate) => {
    const wrong = checkServerIdentity(name, certificate);
    if (wrong === undefined && (name !== 'localhost' || hosts.includes('localhost'))) return undefined;
    if (name !== 'localhost' || addresses.length === 0) return wrong;
    const results = addresses.map((address) => checkServerIdentity(address, certificate));
    return results.includes(undefined) ? undefined : results[0];
  };
}

/** `tls://nats-1.internal:4222` → `nats-1.internal`; `[::1]:4222` → `::1`. */
function hostOf(server: string): string {
  const [, bracketed, plain] = /^(?:\w+:\/\/)?(?:\[([^\]]+)\]|([^:/]*))/.exec(server) ?? [];
  return (bracketed ?? plain ?? '').toLowerCase();
}

function checkCertificates(setting: string, path: string): X509Certificate {
  const text = read(setting, path);
  try {
    return new X509Certificate(text);
  } catch {
    return refuse(setting, path, 'must hold a certificate in PEM form');
  }
}

function readKey(setting: string, path: string): KeyObject {
  const text = read(setting, path);
  try {
    return createPrivateKey(text);
  } catch {
    // The parser's own message says nothing that helps.
    return refuse(setting, path, 'must hold a private key in PEM form, without a passphrase');
  }
}

function read(setting: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new SluiceError('bad-config', `${setting}: cannot be read: ${messageOf(error)}`, {
      cause: error,
      details: { field: setting, value: path },
    });
  }
}

function refuse(setting: string, path: string, rule: string): never {
  throw new SluiceError('bad-config', `${setting}: ${JSON.stringify(path)} ${rule}`, {
    details: { field: setting, value: path, rule },
  });
}
