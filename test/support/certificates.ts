/**
 * Certificates made by openssl for one test: authorities, and certificates that they sign. Keys are small elliptic ones, so a
 * whole set takes a moment.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface CertificateOptions {
  /** Names that the certificate is for, as openssl writes them. */
  readonly names?: string;
  readonly isExpired?: boolean;
}

export interface Authority {
  readonly caFile: string;
  issue(name: string, options?: CertificateOptions): CertificateFiles;
}

const run = (args: readonly string[]): void =>
  void execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });

const newKey = (path: string): void =>
  run(['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', path]);

/** An authority of its own; its files are `<folder>/<name>*.pem`. */
export function createAuthority(folder: string, name: string): Authority {
  const caFile = join(folder, `${name}.pem`);
  const caKey = join(folder, `${name}-key.pem`);
  newKey(caKey);
  run(['req', '-x509', '-new', '-key', caKey, '-subj', `/CN=${name}`, '-days', '2', '-out', caFile]);
  let serial = 0;
  return {
    caFile,
    issue(subject, { names = 'IP:127.0.0.1', isExpired = false } = {}) {
      serial += 1;
      const base = join(folder, `${name}-${subject}`);
      const files = { certFile: `${base}-cert.pem`, keyFile: `${base}-key.pem` };
      newKey(files.keyFile);
      run(['req', '-new', '-key', files.keyFile, '-subj', `/CN=${subject}`, '-out', `${base}.csr`]);
      writeFileSync(`${base}.ext`, `subjectAltName=${names}\nextendedKeyUsage=serverAuth,clientAuth\n`);
      run([
        ...['x509', '-req', '-in', `${base}.csr`, '-CA', caFile, '-CAkey', caKey, '-set_serial', String(serial)],
        ...['-days', isExpired ? '-1' : '2', '-extfile', `${base}.ext`, '-out', files.certFile],
      ]);
      return files;
    },
  };
}
