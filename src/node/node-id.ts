/** The node's id: configured, or made once and kept in the data folder, so that a restarted node is the same member. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Random } from '../base/random.ts';
import { SluiceError } from '../errors.ts';
import { idPattern } from '../events/subjects.ts';

export function loadNodeId(dataFolder: string, configured: string | null, random: Random): string {
  if (configured !== null) return configured;
  const path = join(dataFolder, 'node-id');
  const kept = readIfThere(path);
  if (kept !== undefined) {
    if (idPattern.test(kept)) return kept;
    throw new SluiceError(
      'bad-config',
      `${path}: ${JSON.stringify(kept.slice(0, 64))} is not a node id (${idPattern.source}); correct or remove the file`,
    );
  }
  const made = `node-${random.hex(4)}`;
  mkdirSync(dataFolder, { recursive: true });
  writeFileSync(`${path}.new`, `${made}\n`);
  renameSync(`${path}.new`, path);
  return made;
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
