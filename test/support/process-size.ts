/** How large a process is, from /proc: resident memory and open descriptors. */
import { readdirSync, readFileSync } from 'node:fs';

export interface ProcessSize {
  readonly residentBytes: number;
  readonly descriptors: number;
}

const pageBytes = 4_096;

/** Throws when the process is gone. */
export function processSize(pid: number): ProcessSize {
  const [, pages = ''] = readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ');
  return { residentBytes: Number(pages) * pageBytes, descriptors: readdirSync(`/proc/${pid}/fd`).length };
}

/** Looks every 50 ms until stopped, and gives the largest of each. */
export function watchSize(pid: number): () => ProcessSize {
  let largest = processSize(pid);
  const look = (): void => {
    const now = processSize(pid);
    largest = {
      residentBytes: Math.max(largest.residentBytes, now.residentBytes),
      descriptors: Math.max(largest.descriptors, now.descriptors),
    };
  };
  const timer = setInterval(look, 50);
  return () => {
    clearInterval(timer);
    look();
    return largest;
  };
}

/** The limit of open files of this process, from which its children inherit theirs. */
export function openFilesMax(): number {
  const line = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'latin1'));
  return line?.[1] === 'unlimited' ? Number.POSITIVE_INFINITY : Number(line?.[1]);
}
