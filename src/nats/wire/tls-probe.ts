/**
 * Finds out why a server ends connections with TLS.
 *
 * With TLS 1.3 a client is done with its handshake before the server has looked at its certificate; the refusal comes as an
 * alert afterwards. The driver drops that error and knows only that the time is up. So after such a failure one connection of our own is made,
 * up to where the alert would come. Nothing secret is sent on it: no password, only the certificate that was configured.
 */
import { readFileSync } from 'node:fs';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import type { TlsOptions } from '@nats-io/nats-core';
import type { Clock } from '../../base/clock.ts';

const defaultPort = 4222;

/** The error with which TLS fails, or undefined when none came within `waitMs`. Never rejects. */
export function probeTls(server: string, tls: TlsOptions, clock: Clock, waitMs: number): Promise<Error | undefined> {
  const [, bracketed, plain = '', port = ''] = /^(?:\w+:\/\/)?(?:\[([^\]]+)\]|([^:/]*))(?::(\d+))?/.exec(server) ?? [];
  const host = bracketed ?? plain;
  return new Promise((resolve) => {
    const sockets: Socket[] = [];
    const end = (error?: Error): void => {
      timer.cancel();
      resolve(error);
      for (const socket of sockets) socket.destroy();
    };
    const timer = clock.timer(waitMs, () => end());
    const tcp = connectTcp(Number(port) || defaultPort, host);
    sockets.push(tcp);
    // Whoever is not there at all was told already.
    tcp.on('error', () => end());
    // The server speaks first, in plain text: INFO, one line.
    tcp.once('data', () => {
      tcp.removeAllListeners();
      try {
        const secured = connectTls({ ...connectionOptions(tls), socket: tcp, servername: isIP(host) > 0 ? '' : host });
        sockets.push(secured);
        secured.on('error', end);
        secured.resume();
      } catch (error) {
        end(error instanceof Error ? error : undefined);
      }
    });
  });
}

/** The driver names files; Node wants their contents. */
function connectionOptions({ caFile, certFile, keyFile, ...others }: TlsOptions): ConnectionOptions {
  return {
    ...(others as ConnectionOptions),
    ...(caFile === undefined ? {} : { ca: readFileSync(caFile) }),
    ...(certFile === undefined ? {} : { cert: readFileSync(certFile) }),
    ...(keyFile === undefined ? {} : { key: readFileSync(keyFile) }),
  };
}
