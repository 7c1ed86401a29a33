/**
 * How the programs end: one table of exit codes, and which of them each error code leads to. docs/cli.md shows the same
 * table; a test keeps them equal. Numbers from 64 on are those of sysexits.h.
 */
import type { ErrorCode } from '../errors.ts';
import { FileError } from './file-error.ts';
import { toKnownError } from './known-error.ts';

export interface ExitMeaning {
  readonly code: number;
  readonly meaning: string;
}

export const exitTable = {
  ok: { code: 0, meaning: 'done' },
  negative: {
    code: 1,
    meaning:
      'a clear no: the key or thing is not there, a compare-and-set was lost, some files could not be read, an audit found a copy that differs from the log; of cache-node: it had to stop, or a second signal cut its stop short',
  },
  usage: { code: 2, meaning: 'the command line, or a value given in it, breaks a rule' },
  data: { code: 65, meaning: 'a key or value is refused, or a cache has other settings that cannot change' },
  noInput: { code: 66, meaning: 'the cache, or a file or folder named on the command line, does not exist' },
  noNode: { code: 68, meaning: 'no member has that node id' },
  unavailable: {
    code: 69,
    meaning: 'NATS, a node, or a nats-server to run cannot be had; an audit could not look at everything',
  },
  defect: { code: 70, meaning: 'a defect of Sluice; please report it with what was printed' },
  inUse: { code: 73, meaning: 'a port or the data folder is in use by another process' },
  ioFailed: { code: 74, meaning: 'a file cannot be read or written' },
  temporary: { code: 75, meaning: 'the outcome of a write is unknown, or the same command may succeed later' },
  unsupported: { code: 76, meaning: 'the server or the bucket lacks what the command needs' },
  config: { code: 78, meaning: 'a setting is unknown, missing or out of range' },
  interrupted: { code: 130, meaning: 'ended by a signal before it was done' },
} as const satisfies Record<string, ExitMeaning>;

export type ExitName = keyof typeof exitTable;

/** The compiler refuses a missing row. */
const exitOfError: Readonly<Record<ErrorCode, ExitName>> = {
  'bad-request': 'usage',
  'bad-key': 'data',
  'bad-config': 'config',
  'cache-unknown': 'noInput',
  'settings-conflict': 'data',
  'too-large': 'data',
  'position-conflict': 'negative',
  'cas-unsupported': 'unsupported',
  unsupported: 'unsupported',
  'log-unavailable': 'unavailable',
  'outcome-unknown': 'temporary',
  'log-full': 'temporary',
  stale: 'temporary',
  'not-ready': 'temporary',
  'not-owner': 'temporary',
  'no-owner': 'unavailable',
  'node-unknown': 'noNode',
  'slow-consumer': 'temporary',
  'rate-limited': 'temporary',
  'in-use': 'inUse',
  'broker-unavailable': 'unavailable',
  'not-found': 'noInput',
  aborted: 'interrupted',
  closed: 'defect',
  internal: 'defect',
};

/** What was thrown without a code is a defect. */
export const exitNameOf = (error: unknown): ExitName =>
  error instanceof FileError ? 'ioFailed' : exitOfError[toKnownError(error).code];

export const exitCodeOf = (error: unknown): number => exitTable[exitNameOf(error)].code;
