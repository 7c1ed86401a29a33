/** Scripts that once showed a defect, and the page that lists what the simulation must find. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { projectRoot } from '../../support/project.ts';
import { mutations } from '../mutations.ts';
import { runScript } from '../run.ts';
import type { Script } from '../script.ts';

const folder = join(projectRoot, 'test/simulation/scripts');

describe('a script that once failed', () => {
  for (const name of readdirSync(folder))
    it(`passes: ${name}`, async () => {
      const { fault } = await runScript(JSON.parse(readFileSync(join(folder, name), 'utf8')) as Script);
      assert.equal(fault, undefined);
    });
});

describe('docs/simulation.md', () => {
  it('lists the errors that are to be found (UPDATE_DOCS=1 writes them)', () => {
    const page = join(projectRoot, 'docs/simulation.md');
    const rows = mutations.map(({ name, what, file, seeds }) => `| ${name} | ${what} | \`${file}\` | ${seeds} |`);
    const table = ['| error | what goes wrong | in | within seeds |', '| --- | --- | --- | --- |', ...rows].join('\n');
    const text = readFileSync(page, 'utf8');
    const expected = text.replace(
      /<!-- mutations -->[\s\S]*<!-- \/mutations -->/,
      () => `<!-- mutations -->\n${table}\n<!-- /mutations -->`,
    );
    if (process.env['UPDATE_DOCS'] === '1') writeFileSync(page, expected);
    else assert.equal(text, expected);
  });
});
