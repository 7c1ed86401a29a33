/** Small shell scripts in the place of programs that a test must not run for real. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Writes an executable shell script and returns its path. */
export function writeProgram(folder: string, name: string, script: string): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** The script of a nats-server that can only say its version. */
export const sayVersion = (version: string): string => `[ "$1" = --version ] && echo "nats-server: v${version}"`;
