/** How programs end, and the page that says so. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { exitCodeOf, exitTable } from '../../../src/cli/exit-code.ts';
import { FileError, fileError } from '../../../src/cli/file-error.ts';
import { cacheCommands, commands, operations } from '../../../src/cli/program.ts';
import { type ErrorCode, errorTable, SluiceError } from '../../../src/errors.ts';
import { JetStreamError } from '../../../src/nats/stream-api.ts';
import { projectRoot } from '../../support/project.ts';

const page = readFileSync(join(projectRoot, 'docs', 'cli.md'), 'utf8');

describe('exit codes', () => {
  it('lead from each error code to a row of the table, and never to 0', () => {
    const known = new Set<number>(Object.values(exitTable).map(({ code }) => code));
    for (const code of Object.keys(errorTable) as ErrorCode[]) {
      const exit = exitCodeOf(new SluiceError(code, 'x'));
      assert.ok(known.has(exit) && exit !== 0, code);
    }
  });

  it('tell a defect, a missing file and a file that cannot be read apart', () => {
    assert.equal(exitCodeOf(new TypeError('x')), 70);
    assert.equal(exitCodeOf(fileError('--file', Object.assign(new Error('gone'), { code: 'ENOENT' }))), 66);
    const denied = fileError('--file', Object.assign(new Error('no'), { code: 'EACCES' }));
    assert.ok(denied instanceof FileError);
    assert.equal(exitCodeOf(denied), 74);
  });

  it('do not take the refusal of a server for a defect', () => {
    const answer = (code: number): JetStreamError => new JetStreamError('$JS.API.INFO', { code, description: 'x' });
    assert.deepEqual([exitCodeOf(answer(503)), exitCodeOf(answer(400))], [69, 76]);
  });

  it('are all different', () => {
    const codes = Object.values(exitTable).map(({ code }) => code);
    assert.equal(new Set(codes).size, codes.length);
  });

  it('stand in docs/cli.md as they are in the code, and no others', () => {
    const rows = [...page.matchAll(/^\| (\d+) \| (.+) \|$/gm)].map(([, code, meaning]) => [Number(code), meaning]);
    assert.deepEqual(
      rows,
      Object.values(exitTable).map(({ code, meaning }) => [code, meaning]),
    );
  });
});

describe('docs/cli.md', () => {
  const all = [
    ...[...commands, ...operations].map((spec) => ({ spec, usage: spec.usage })),
    ...cacheCommands.map((spec) => ({ spec, usage: `cache ${spec.usage}` })),
  ];

  it('has each command with its words', () => {
    for (const { usage } of all) assert.ok(page.includes(`\`sluice ${usage}`), usage);
  });

  it('has each option that a command shows', () => {
    for (const { spec, usage } of all) {
      const [name = ''] = usage.split(/ [<[]/);
      const start = page.indexOf(`\`sluice ${usage}`);
      const section = page.slice(start, page.indexOf('\n### ', start));
      for (const option of spec.options.filter(({ hidden }) => !hidden)) {
        const isCommon = page.includes(`| \`${option.flags}\``);
        assert.ok(isCommon || section.includes(`\`${option.flags}\``), `${name}: ${option.flags}`);
      }
    }
  });
});
