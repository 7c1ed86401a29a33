/** What makes a run of the simulation a proof: it repeats to the byte, differs by its seed, and leaves no mishap out. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { projectRoot } from '../../support/project.ts';
import { generateScript } from '../generate.ts';
import { runScript } from '../run.ts';
import type { Step } from '../script.ts';

const program = join(projectRoot, 'dist/test/simulation/simulate.js');

describe('a simulated cluster', () => {
  it('does the same to the byte when it runs the same seed again, here and in another process', async () => {
    for (const seed of [3, 7, 12]) {
      const [one, other] = [await runScript(generateScript(seed), true), await runScript(generateScript(seed), true)];
      assert.ok(one.lines.length > 50, `${one.lines.length} lines`);
      assert.deepEqual(one.lines, other.lines);
      const elsewhere = spawnSync(process.execPath, [program, '--seed', String(seed)], { encoding: 'utf8' });
      assert.equal(elsewhere.status, 0, elsewhere.stderr);
      assert.equal(
        elsewhere.stdout.trim(),
        `${one.lines.join('\n')}\ndigest ${one.digest}, ${one.events} events in ${(one.virtualMs / 1_000).toFixed(1)} virtual seconds`,
      );
    }
  });

  it('does something else for another seed', async () => {
    const digests = await Promise.all([1, 2, 3].map(async (seed) => (await runScript(generateScript(seed))).digest));
    assert.equal(new Set(digests).size, 3);
  });

  it('goes through every mishap, every vice and every operation', () => {
    const done = new Set<string>();
    for (let seed = 1; seed <= 2_000; seed += 1) for (const step of generateScript(seed).steps) done.add(step.do);
    const expected: Step['do'][] = [
      ...(['put', 'create', 'replace', 'delete', 'delete-seen', 'clear', 'invalidate', 'watch', 'load'] as const),
      ...(['get', 'get-latest', 'get-written', 'get-fresh'] as const),
      ...(['crash', 'leave', 'reset', 'restart', 'pause', 'jump', 'slow', 'cut', 'server-restart'] as const),
      ...(['lose-acks', 'lose-writes', 'no-leader', 'deposed-leader', 'silence', 'recreate'] as const),
      ...(['freeze-replica', 'roll-back', 'purge', 'drop-oldest'] as const),
    ];
    assert.deepEqual([...done].sort(), expected.sort());
  });
});
