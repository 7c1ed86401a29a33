/** What followers tell, for a log that people read. */
import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { createFollowerNotices } from '../../../src/cluster/follower-notices.ts';
import type { FollowerNotice } from '../../../src/log/follower-options.ts';
import { createFakeClock, type FakeClock } from '../../../src/testing/fake-clock.ts';

describe('the notices of followers', () => {
  let clock: FakeClock;
  let isConnected: boolean;
  let lines: string[];
  let notice: (what: FollowerNotice['what'], reason?: string, log?: string) => void;

  beforeEach(() => {
    clock = createFakeClock();
    isConnected = true;
    lines = [];
    const tell = createFollowerNotices(
      clock,
      () => isConnected,
      (level, message) => level !== 'debug' && lines.push(`${level} ${message}`),
    );
    notice = (what, reason = '', log = 'A') => tell({ what, log, reason });
  });

  /** One failure a second. */
  async function fail(seconds: number, log?: string): Promise<void> {
    for (let passed = 0; passed < seconds; passed += 1) {
      notice('failed', 'stream not found', log);
      await clock.advance(1_000);
    }
  }

  it('say aloud what was lost or is ready, and nothing of single readers', () => {
    notice('opened', 'from 0');
    notice('ready', '3 events replayed in 2 ms');
    notice('ended', 'silent for 1300 ms');
    notice('rebuild', 'the log was rolled back');
    assert.deepEqual(lines, ['info A: ready, 3 events replayed in 2 ms', 'warn A: rebuild, the log was rolled back']);
  });

  it('tell once of a log that cannot be read for long, and when it is read again', async () => {
    await fail(10);
    assert.deepEqual(lines, []);
    await fail(20);
    assert.deepEqual(lines, ['warn A: could not be read for 10 s, and is tried again: stream not found']);
    notice('opened', 'from 7');
    assert.deepEqual(lines.slice(1), ['info A: is read again']);
    await fail(11);
    assert.equal(lines.length, 3, 'from the beginning');
  });

  it('are counted for each log by itself', async () => {
    await fail(6, 'A');
    await fail(6, 'B');
    notice('opened', '', 'B');
    await fail(6, 'A');
    assert.deepEqual(lines, ['warn A: could not be read for 12 s, and is tried again: stream not found']);
  });

  it('do not repeat for each log that the connection is lost', async () => {
    isConnected = false;
    await fail(60);
    isConnected = true;
    await fail(9);
    assert.deepEqual(lines, []);
  });
});
