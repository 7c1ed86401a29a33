/** A disk of few bytes, which a test can fill: a tmpfs. Needs the right to mount; where that is missing there is none. */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmdirSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface SmallDisk {
  readonly folder: string;
  /** Takes all room that is left. */
  fill(): void;
  /** Gives it back. */
  drain(): void;
  unmount(): void;
}

const mounted = new Set<SmallDisk>();
process.once('exit', () => {
  for (const disk of mounted) disk.unmount();
});

/** Undefined when this machine, or this user, cannot mount. */
export function mountSmallDisk(bytes: number): SmallDisk | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-disk-'));
  const made = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'sluice-faults', folder]);
  if (made.status !== 0) {
    rmdirSync(folder);
    return undefined;
  }
  const ballast = join(folder, 'ballast');
  const disk: SmallDisk = {
    folder,
    fill() {
      const file = openSync(ballast, 'a');
      try {
        // Ever smaller pieces, so that not a page is left.
        for (let piece = 1024 * 1024; piece >= 1024; piece = writePiece(file, piece) ? piece : piece / 2);
      } finally {
        closeSync(file);
      }
    },
    drain: () => rmSync(ballast, { force: true }),
    unmount() {
      mounted.delete(disk);
      // Lazily: a process that has just been killed may hold a file for a moment.
      spawnSync('umount', ['-l', folder]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
  mounted.add(disk);
  return disk;
}

function writePiece(file: number, bytes: number): boolean {
  try {
    return writeSync(file, Buffer.alloc(bytes)) === bytes;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return false;
    throw error;
  }
}
