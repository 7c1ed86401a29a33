/**
 * Corpora: `test/fixtures/fuzz/<target>/`, a file per item. Those named `found-…` broke a promise once; they are run first for
 * ever after.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../support/project.ts';

const folderOf = (target: string): string => join(projectRoot, 'test', 'fixtures', 'fuzz', target);

/** All items in the order of their names, which is the same on every machine. */
export function loadCorpus(target: string): Buffer[] {
  const folder = folderOf(target);
  const names = readdirSync(folder).sort();
  if (names.length === 0) throw new Error(`${folder} is empty`);
  return names.map((name) => readFileSync(join(folder, name)));
}

/** Keeps the bytes; the path of the file. */
export function saveFound(target: string, bytes: Buffer): string {
  mkdirSync(folderOf(target), { recursive: true });
  const path = join(folderOf(target), `found-${createHash('sha256').update(bytes).digest('hex').slice(0, 12)}`);
  writeFileSync(path, bytes);
  return path;
}
