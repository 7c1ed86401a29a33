/**
 * The stories in `scripts/`, played on logs in memory with a clock that is moved by hand, through the code that is shipped. Each
 * must show exactly what its script says. `UPDATE_SCENARIOS=1` writes down what is shown instead, to be read before it is kept.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { projectRoot } from '../support/project.ts';
import { createCacheStage } from '../support/scenario/cache-stage.ts';
import { createMemberStage } from '../support/scenario/member-stage.ts';
import { readHead, runScript } from '../support/scenario/script.ts';

const folder = join(projectRoot, 'test', 'scenario', 'scripts');
const scripts = readdirSync(folder)
  .sort()
  .map((name) => {
    const path = join(folder, name);
    const text = readFileSync(path, 'utf8');
    return { name, path, text, ...readHead(text) };
  });

describe('a story', () => {
  for (const { name, path, text, title } of scripts) {
    it(`${title} (${name})`, async () => {
      const { stage, stop } = name.startsWith('members-') ? createMemberStage() : createCacheStage();
      try {
        const shown = await runScript(text, stage);
        if (process.env['UPDATE_SCENARIOS'] === '1') writeFileSync(path, shown);
        else assert.equal(shown, text);
      } finally {
        await stop();
      }
    });
  }

  it('is there for each of the nine guarantees', () => {
    const told = new Set(scripts.flatMap(({ guarantees }) => guarantees));
    assert.deepEqual(
      [...told].sort(),
      Array.from({ length: 9 }, (_, index) => `G${index + 1}`),
    );
  });
});

describe('a script', () => {
  it('fails at a step that nobody knows, and shows what differs', async () => {
    const { stage, stop } = createCacheStage();
    try {
      await assert.rejects(runScript('# a comment\na starts\na dances\n', stage), /^Error: line 3: a dances$/);
      assert.equal(await runScript('a reads k\n  something else\n', stage), 'a reads k\n  absent\n');
    } finally {
      await stop();
    }
  });
});
