/**
 * One owner per data folder. nats-server itself does not notice a second server on the same store and would damage it.
 *
 * Every contender announces itself by a file of its own in `<folder>/lock/` and looks for others only then; so of two
 * that come together at least one sees the other, and whoever sees another withdraws. File names are never used
 * twice, so removing the file of a dead process cannot hit a living one.
 *
 * The guard holds among processes of one machine (one process name space), not across a network file system.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Clock, pause } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import { messageOf, SluiceError } from '../../errors.ts';
import { readProcess } from '../process/process-facts.ts';
import { signalProcess, stayAlive } from '../process/process-ties.ts';

export interface FolderLock {
  /** True when the last owner died without leaving: what it had started may still be about to end. */
  readonly isTakenOver: boolean;
  /** Records the server that runs on the folder, so that the next owner can end it if we die without doing so. */
  recordChild(pid: number): void;
  release(): void;
}

export interface FolderLockOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** An orphan is ended only when its command line contains this. */
  readonly childMark: string;
  /** How long an orphan may take to stop after SIGTERM before it gets SIGKILL. */
  readonly stopLimitMs: number;
}

interface Claim {
  readonly pid: number;
  readonly identity: string;
  readonly isHeld: boolean;
  readonly child?: { readonly pid: number; readonly identity: string };
}

const contendersMax = 8;

/**
 * Takes the folder, creating it if need be. A claim of a dead process is taken over; a server that it left behind is
 * stopped first. Throws `in-use` when a living process holds the folder, `bad-config` when it cannot be written.
 */
export async function lockFolder(folder: string, options: FolderLockOptions): Promise<FolderLock> {
  const lockDir = join(folder, 'lock');
  const name = `${process.pid}-${options.random.hex(8)}.json`;
  const path = join(lockDir, name);
  const self = { pid: process.pid, identity: readProcess(process.pid)?.identity ?? '' };
  const release = (): void => {
    rmSync(path, { force: true });
    removeIfEmpty(lockDir);
  };

  for (let attempt = 1; attempt <= contendersMax; attempt += 1) {
    try {
      announce(path, { ...self, isHeld: false });
    } catch (error) {
      throw new SluiceError('bad-config', `cannot write to the data folder ${folder}: ${messageOf(error)}`, {
        cause: error,
        details: { folder },
      });
    }
    const others = readClaims(lockDir).filter((found) => found.name !== name);
    const living = others.filter(({ claim }) => claim !== undefined && isAlive(claim));
    if (living.length === 0) {
      try {
        writeClaim(path, { ...self, isHeld: true });
        for (const dead of others) {
          if (dead.claim?.child !== undefined) await endOrphan(folder, dead.claim.child, options);
          rmSync(join(lockDir, dead.name), { force: true });
        }
      } catch (error) {
        release();
        throw error;
      }
      return {
        isTakenOver: others.some(({ claim }) => claim?.isHeld === true),
        recordChild(pid) {
          const identity = readProcess(pid)?.identity;
          if (identity !== undefined) writeClaim(path, { ...self, isHeld: true, child: { pid, identity } });
        },
        release,
      };
    }
    release();
    const holder = living.find(({ claim }) => claim?.isHeld);
    if (holder !== undefined) throw inUse(folder, holder.claim?.pid);
    // Only contenders: all withdraw, and come back at different times.
    await pauseAlive(options.clock, 20 + options.random.fraction() * 100 * attempt);
  }
  throw inUse(folder, undefined);
}

function inUse(folder: string, pid: number | undefined): SluiceError {
  const who = pid === process.pid ? 'this process already' : pid === undefined ? 'other processes' : `process ${pid}`;
  return new SluiceError(
    'in-use',
    `the data folder ${folder} is in use by ${who}; stop it or choose another data folder`,
    {
      details: { folder, pid },
    },
  );
}

/** Whoever leaves takes the empty folder along, perhaps between the two steps of one who comes. */
function announce(path: string, claim: Claim): void {
  for (let attempt = 1; ; attempt += 1) {
    mkdirSync(dirname(path), { recursive: true });
    try {
      writeClaim(path, claim);
      return;
    } catch (error) {
      if (!isMissing(error) || attempt === contendersMax) throw error;
    }
  }
}

function removeIfEmpty(lockDir: string): void {
  try {
    rmdirSync(lockDir);
  } catch {
    // Others have their claims in it, or have removed it.
  }
}

const isMissing = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ENOENT';

/** By rename, so that no reader ever sees half a claim. */
function writeClaim(path: string, claim: Claim): void {
  const temporary = `${path}.tmp`;
  writeFileSync(temporary, JSON.stringify(claim));
  renameSync(temporary, path);
}

/** All claims; one that cannot be read (a machine that lost power while it was written) belongs to nobody alive. */
function readClaims(lockDir: string): { name: string; claim: Claim | undefined }[] {
  return readdirSync(lockDir)
    .filter((name) => name.endsWith('.json'))
    .map((name) => ({ name, claim: parseClaim(join(lockDir, name)) }));
}

function parseClaim(path: string): Claim | undefined {
  try {
    const claim: Partial<Claim> | null = JSON.parse(readFileSync(path, 'utf8'));
    const { pid, identity, isHeld, child } = claim ?? {};
    if (typeof pid !== 'number' || typeof identity !== 'string') return undefined;
    const hasChild = typeof child?.pid === 'number' && typeof child.identity === 'string';
    return { pid, identity, isHeld: isHeld === true, ...(hasChild ? { child } : {}) };
  } catch {
    return undefined;
  }
}

function isAlive(owner: { readonly pid: number; readonly identity: string }): boolean {
  return readProcess(owner.pid)?.identity === owner.identity;
}

/** Ends a server whose owner died, after making sure that this very process is that server. */
async function endOrphan(
  folder: string,
  child: { readonly pid: number; readonly identity: string },
  options: FolderLockOptions,
): Promise<void> {
  const isOurs = (): boolean => {
    const facts = readProcess(child.pid);
    return facts?.identity === child.identity && facts.commandLine.includes(options.childMark);
  };
  const steps = [
    { signal: 'SIGTERM', limitMs: options.stopLimitMs },
    { signal: 'SIGKILL', limitMs: 5_000 },
  ] as const;
  for (const { signal, limitMs } of steps) {
    if (!isOurs()) return;
    try {
      signalProcess(child.pid, signal);
      signalProcess(child.pid, 'SIGCONT');
    } catch (error) {
      throw new SluiceError(
        'in-use',
        `the data folder ${folder} is in use by nats-server ${child.pid}, which cannot be stopped: ${messageOf(error)}`,
        { cause: error, details: { folder, pid: child.pid } },
      );
    }
    const deadline = options.clock.monotonic() + limitMs;
    while (isOurs() && options.clock.monotonic() < deadline) await pauseAlive(options.clock, 10);
  }
  if (isOurs()) throw inUse(folder, child.pid);
}

async function pauseAlive(clock: Clock, delayMs: number): Promise<void> {
  const release = stayAlive();
  await pause(clock, delayMs);
  release();
}
