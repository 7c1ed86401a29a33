/** The lock of a data folder: one owner, and no trace of it afterwards. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { systemClock } from '../../../src/base/clock.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { type FolderLock, lockFolder } from '../../../src/broker/server/folder-lock.ts';

const folder = mkdtempSync(join(tmpdir(), 'sluice-lock-'));
after(() => rmSync(folder, { recursive: true }));

const lock = (place: string): Promise<FolderLock> =>
  lockFolder(join(folder, place), { clock: systemClock, random: systemRandom, childMark: 'none', stopLimitMs: 1_000 });

describe('a folder lock', () => {
  it('leaves nothing behind when it is released', async () => {
    const held = await lock('one');
    assert.equal(existsSync(join(folder, 'one', 'lock')), true);
    held.release();
    assert.equal(existsSync(join(folder, 'one', 'lock')), false);
  });

  it('refuses a second owner, whose retreat leaves the first one its claim', async () => {
    const held = await lock('two');
    await assert.rejects(lock('two'), { code: 'in-use' });
    assert.equal(existsSync(join(folder, 'two', 'lock')), true);
    held.release();
    (await lock('two')).release();
  });

  it('tells the next owner that the last one died', async () => {
    mkdirSync(join(folder, 'dead', 'lock'), { recursive: true });
    const claim = { pid: process.pid, identity: 'of an earlier process', isHeld: true };
    writeFileSync(join(folder, 'dead', 'lock', 'dead.json'), JSON.stringify(claim));
    const heir = await lock('dead');
    assert.equal(heir.isTakenOver, true);
    heir.release();
    const next = await lock('dead');
    assert.equal(next.isTakenOver, false);
    next.release();
  });

  it('has one owner at a time, whoever comes and goes', async () => {
    let owners = 0;
    let taken = 0;
    const contend = async (): Promise<void> => {
      for (let round = 0; round < 10; round += 1) {
        try {
          const held = await lock('many');
          owners += 1;
          taken += 1;
          assert.equal(owners, 1);
          await systemClock.yield();
          owners -= 1;
          held.release();
        } catch (error) {
          assert.ok(error instanceof Error && 'code' in error && error.code === 'in-use', String(error));
        }
      }
    };
    await Promise.all([contend(), contend(), contend()]);
    assert.ok(taken > 0);
    assert.equal(existsSync(join(folder, 'many', 'lock')), false);
  });
});
