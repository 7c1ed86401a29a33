/** A copy of the compiled core, in which a mutation can be made and undone, and the simulation run against it in a process of its own. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '../support/project.ts';
import type { Mutation } from './mutations.ts';

export interface MutatedCore {
  /** The first seed that fails, or undefined when none does; throws when the mutation does not fit or the program breaks off. */
  run(mutation: Mutation | undefined, seeds: number): { readonly seed: number; readonly what: string } | undefined;
  remove(): void;
}

const limitMs = 240_000;

export function createMutatedCore(): MutatedCore {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-mutation-'));
  for (const part of ['dist/src', 'dist/test/simulation', 'dist/test/support/script-options.js', 'package.json'])
    cpSync(join(projectRoot, part), join(folder, part), { recursive: true });
  for (const part of ['node_modules', 'streams']) symlinkSync(join(projectRoot, part), join(folder, part));

  function simulate(seeds: number): { readonly seed: number; readonly what: string } | undefined {
    const program = join(folder, 'dist/test/simulation/simulate.js');
    const run = spawnSync(process.execPath, [program, '--seeds', String(seeds), '--no-shrink'], {
      encoding: 'utf8',
      timeout: limitMs,
    });
    const found = /^seed (\d+) at [\d.]+ ms: (.*)$/m.exec(run.stdout);
    if (found !== null) return { seed: Number(found[1]), what: found[2] ?? '' };
    if (run.status === 0) return undefined;
    throw new Error(`the simulation broke off (${run.status ?? run.signal}): ${run.stderr.slice(0, 2_000)}`);
  }

  return {
    run(mutation, seeds) {
      if (mutation === undefined) return simulate(seeds);
      const file = join(folder, 'dist/src', mutation.file);
      const text = readFileSync(file, 'utf8');
      const count = text.split(mutation.from).length - 1;
      if (count !== 1)
        throw new Error(`${mutation.name}: its text occurs ${count} times in ${mutation.file}, not once`);
      writeFileSync(
        file,
        text.replace(mutation.from, () => mutation.to),
      );
      try {
        return simulate(seeds);
      } finally {
        writeFileSync(file, text);
      }
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
