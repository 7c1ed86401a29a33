/**
 * How a starting nats-server is known to be up: it writes a ports file once it listens, and greets a new connection
 * with INFO. Nothing here starts or stops a server.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';

/** What we read of the greeting. */
export interface ServerInfo {
  readonly version: string;
  readonly serverName: string;
}

const greetingBytesMax = 64 * 1024;

/** The client port from the ports file of that process, or undefined while there is none or only half of it. */
export function readClientPort(portsFolder: string, pid: number): number | undefined {
  const name = readdirSync(portsFolder).find((file) => file.endsWith(`_${pid}.ports`));
  if (name === undefined) return undefined;
  try {
    const ports: { nats?: unknown } | null = JSON.parse(readFileSync(join(portsFolder, name), 'utf8'));
    const address: unknown = Array.isArray(ports?.nats) ? ports.nats[0] : undefined;
    return typeof address === 'string' ? Number(new URL(address).port) : undefined;
  } catch {
    return undefined;
  }
}

/** The greeting of the server at that address; undefined when it refuses, says something else or takes too long. */
export function readServerInfo(
  address: { readonly host: string; readonly port: number },
  clock: Clock,
  limitMs: number,
): Promise<ServerInfo | undefined> {
  return new Promise((resolve) => {
    const socket = connect(address.port, address.host);
    let text = '';
    const end = (info: ServerInfo | undefined): void => {
      timer.cancel();
      socket.destroy();
      resolve(info);
    };
    const timer = clock.timer(limitMs, () => end(undefined));
    socket.setEncoding('utf8');
    socket.on('error', () => end(undefined));
    socket.on('close', () => end(undefined));
    socket.on('data', (chunk: string) => {
      text += chunk;
      const lineEnd = text.indexOf('\r\n');
      if (lineEnd >= 0) end(parseGreeting(text.slice(0, lineEnd)));
      else if (text.length > greetingBytesMax) end(undefined);
    });
  });
}

/** Parses `INFO {…}`. */
export function parseGreeting(line: string): ServerInfo | undefined {
  if (!line.startsWith('INFO ')) return undefined;
  try {
    const info: { version?: unknown; server_name?: unknown } | null = JSON.parse(line.slice('INFO '.length));
    if (typeof info?.version !== 'string') return undefined;
    return { version: info.version, serverName: typeof info.server_name === 'string' ? info.server_name : '' };
  } catch {
    return undefined;
  }
}
