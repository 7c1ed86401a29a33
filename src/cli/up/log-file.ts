/**
 * The whole output of a child process, in a file. A file that has grown large is put aside at the next start; a disk that is
 * full costs the log, never the cluster.
 */
import { createWriteStream, renameSync, statSync } from 'node:fs';

export interface LogFile {
  write(line: string): void;
  close(): Promise<void>;
}

/** Above this a file is renamed to `<path>.1`, which replaces the one before. */
export const logFileBytesMax = 8 * 1024 * 1024;

export function openLogFile(path: string, onProblem: (error: Error) => void): LogFile {
  putAside(path);
  const stream = createWriteStream(path, { flags: 'a' });
  let hasFailed = false;
  stream.on('error', (error) => {
    if (!hasFailed) onProblem(error);
    hasFailed = true;
  });
  return {
    write(line) {
      if (!hasFailed) stream.write(`${line}\n`);
    },
    close: () =>
      new Promise((resolve) => {
        if (hasFailed) resolve();
        else stream.once('error', () => resolve()).end(() => resolve());
      }),
  };
}

function putAside(path: string): void {
  try {
    if (statSync(path).size > logFileBytesMax) renameSync(path, `${path}.1`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
