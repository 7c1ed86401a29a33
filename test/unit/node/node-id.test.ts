/** The node's id outlives the process, and a damaged one is told, not replaced. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { systemRandom } from '../../../src/base/random.ts';
import { isSluiceError } from '../../../src/errors.ts';
import { loadNodeId } from '../../../src/node/node-id.ts';

describe('the id of a node', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-id-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('is the configured one, and then nothing is written', () => {
    assert.equal(loadNodeId(folder, 'edge-1', systemRandom), 'edge-1');
    assert.throws(() => readFileSync(join(folder, 'node-id')));
  });

  it('is made once and is the same after each restart', () => {
    const made = loadNodeId(join(folder, 'deep', 'er'), null, systemRandom);
    assert.match(made, /^node-[0-9a-f]{8}$/);
    assert.equal(loadNodeId(join(folder, 'deep', 'er'), null, systemRandom), made);
  });

  it('is refused when the file was damaged, naming the file and the rule', () => {
    writeFileSync(join(folder, 'node-id'), 'no id!\n');
    assert.throws(
      () => loadNodeId(folder, null, systemRandom),
      (error) => isSluiceError(error, 'bad-config') && error.message.includes(join(folder, 'node-id')),
    );
  });
});
