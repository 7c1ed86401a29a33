/** Credentials and certificates from files, as the driver wants them. Their contents are never logged. */
import { readFileSync } from 'node:fs';
import { credsAuthenticator } from '@nats-io/nats-core';
import type { NodeConnectionOptions } from '@nats-io/transport-node';
import { messageOf, SluiceError } from '../errors.ts';

export interface CredentialFiles {
  readonly credentialsFile: string | null;
  readonly tls: { readonly caFile: string | null; readonly certFile: string | null; readonly keyFile: string | null };
}

export type Credentials = Pick<Partial<NodeConnectionOptions>, 'authenticator' | 'tls'>;

/** Throws `bad-config` naming the setting whose file cannot be read. */
export function loadCredentials({ credentialsFile, tls }: CredentialFiles): Credentials {
  const credentials: Credentials = {};
  if (credentialsFile !== null) {
    credentials.authenticator = credsAuthenticator(read('nats.credentialsFile', credentialsFile));
  }
  const files: readonly (readonly ['caFile' | 'certFile' | 'keyFile', string | null])[] = [
    ['caFile', tls.caFile],
    ['certFile', tls.certFile],
    ['keyFile', tls.keyFile],
  ];
  if (files.some(([, path]) => path !== null)) {
    // Read here once, so that a missing file is told by its setting; the driver reads it again at each connect.
    for (const [name, path] of files) if (path !== null) read(`nats.tls.${name}`, path);
    credentials.tls = Object.fromEntries(files.filter(([, path]) => path !== null));
  }
  return credentials;
}

function read(setting: string, path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new SluiceError('bad-config', `${setting}: cannot be read: ${messageOf(error)}`, {
      cause: error,
      details: { field: setting, value: path },
    });
  }
}
