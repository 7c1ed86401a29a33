/**
 * What a nats-server said last: the end of its log file and of its standard error. It explains a failed start, and
 * keeps the number of old log files bounded.
 */
import { closeSync, fstatSync, openSync, readdirSync, readSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { SluiceError } from '../../errors.ts';
import { describeExit, type ProcessExit } from '../process/child-life.ts';

const tailBytesMax = 32 * 1024;
const linesMax = 12;
const oldFilesKept = 3;

export interface PortConflict {
  readonly host: string;
  readonly port: number;
}

/** Bytes in the file now; what comes behind belongs to the next life of the server. */
export function measureLog(path: string): number {
  return readTail(path, 0).size;
}

/** The last lines that were written behind `fromBytes`, without the server's own prefix of pid and time. */
export function readLastLines(path: string, fromBytes: number): string[] {
  const { text } = readTail(path, fromBytes);
  return lastLines(text);
}

export function lastLines(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.replace(/^\[\d+\] \d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d\.\d+ /, '').trimEnd())
    .filter((line) => line !== '')
    .slice(-linesMax);
}

/** The address that the server could not listen on, when its lines say so. */
export function findPortConflict(lines: readonly string[]): PortConflict | undefined {
  for (const line of lines) {
    const match = /listen tcp\S* (\S+):(\d+): bind: address already in use/.exec(line);
    if (match !== null) return { host: (match[1] ?? '').replace(/^\[|\]$/g, ''), port: Number(match[2]) };
  }
  return undefined;
}

/** The error of a server that ended before it was up: `in-use` for a port conflict, else `broker-unavailable`. */
export function buildStartFailure(exit: ProcessExit, lines: readonly string[], logFile: string): SluiceError {
  const conflict = findPortConflict(lines);
  if (conflict !== undefined) {
    return new SluiceError(
      'in-use',
      `port ${conflict.port} on ${conflict.host} is in use by another process; stop it or choose another port`,
      { details: { host: conflict.host, port: conflict.port } },
    );
  }
  const said = lines.length === 0 ? 'it said nothing' : `its last lines:\n  ${lines.join('\n  ')}`;
  return new SluiceError('broker-unavailable', `nats-server ended at its start (${describeExit(exit)}); ${said}`, {
    details: { exitCode: exit.code, signal: exit.signal, logFile },
  });
}

/** Removes all but the newest of the files that the server renamed (`<log file>.<time>`) when they were full. */
export function pruneOldLogs(path: string): void {
  const folder = dirname(path);
  const old = readdirSync(folder)
    .filter((name) => name.startsWith(`${basename(path)}.`))
    .sort();
  for (const name of old.slice(0, -oldFilesKept)) rmSync(join(folder, name), { force: true });
}

function readTail(path: string, fromBytes: number): { size: number; text: string } {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return { size: 0, text: '' };
  }
  try {
    const { size } = fstatSync(file);
    // A file that shrank was renamed and begun again: all of it is new.
    const from = Math.max(size < fromBytes ? 0 : fromBytes, size - tailBytesMax);
    const bytes = Buffer.alloc(size - from);
    const count = readSync(file, bytes, 0, bytes.length, from);
    return { size, text: bytes.toString('utf8', 0, count) };
  } finally {
    closeSync(file);
  }
}
