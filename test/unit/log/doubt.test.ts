/** When a hole in the positions raises a doubt, and how the doubt ends, to the millisecond. What holds for every log is in the contract. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { formatField, headerNames } from '../../../src/events/header.ts';
import { defaultFollowerLimits } from '../../../src/log/follower-options.ts';
import type { LogReader } from '../../../src/log/log.ts';
import { createMemoryLog, type MemoryLog } from '../../../src/log/memory-log.ts';
import { createFakeClock, type FakeClock } from '../../../src/testing/fake-clock.ts';
import { createSeededRandom } from '../../../src/testing/seeded-random.ts';
import { type Copy, makeCopy } from '../../contract/follower-contract.ts';

interface Scene {
  readonly clock: FakeClock;
  readonly log: MemoryLog;
  readonly copy: Copy;
  append(key: string, ttl?: string): Promise<number>;
  /** Cuts the copy off while `work` is done, and for so long after its last proof. */
  away(ms: number, work: () => Promise<unknown>): Promise<void>;
}

const copies: Copy[] = [];
afterEach(() => Promise.all(copies.splice(0).map(({ follower }) => follower.stop())));

async function begin(honoursTtl = true, wrap: (log: MemoryLog) => MemoryLog = (log) => log): Promise<Scene> {
  const clock = createFakeClock();
  const log = createMemoryLog({ name: 'log', clock, honoursTtl });
  const copy = makeCopy({ log: wrap(log) }, { clock, random: createSeededRandom(1), limits: defaultFollowerLimits });
  copies.push(copy);
  const append = async (key: string, ttl?: string): Promise<number> => {
    const fields = ttl === undefined ? '' : formatField(headerNames.ttl, ttl);
    return (await log.append({ subject: key, fields, data: Buffer.from(key) })).position;
  };
  // What is first in the log would be ended by the floor.
  for (const key of ['first', 'old']) await append(key);
  for (let index = 0; index < 20; index += 1) await append(`other${index}`);
  await copy.follower.start();
  await clock.advance(500);
  assert.deepEqual([copy.follower.isReady, copy.follower.lagMs()], [true, 0]);
  return {
    clock,
    log,
    copy,
    append,
    async away(ms, work) {
      log.disconnect();
      await work();
      log.isAvailable = false;
      await clock.advance(ms);
      log.isAvailable = true;
      await clock.advance(defaultFollowerLimits.retryMaxMs);
    },
  };
}

describe('a hole in the positions', () => {
  it('is a doubt after an absence in which a TTL can have ended, and none after a shorter one', async () => {
    for (const [ms, expected] of [
      [200, []],
      [1_000, [24]],
    ] as const) {
      const { away, append, copy } = await begin();
      // The first one is replaced: a hole, and harmless.
      await away(ms, async () => {
        await append('a');
        await append('a');
      });
      // The time until the next attempt counts too; it is drawn, and short at first.
      assert.deepEqual(copy.verified, expected, `${ms} ms`);
      assert.deepEqual([copy.follower.doubtAbove, copy.follower.counters.rebuilds], [undefined, 0]);
    }
  });

  it('is none where messages are not removed by a TTL', async () => {
    const { away, append, copy } = await begin(false);
    await away(60_000, async () => {
      await append('a');
      await append('a');
    });
    assert.deepEqual([copy.follower.applied, copy.verified], [24, []]);
  });

  it('is none when it was there before an empty copy began', async () => {
    const clock = createFakeClock();
    const log = createMemoryLog({ name: 'log', clock, honoursTtl: true });
    for (const subject of ['a', 'b', 'a', 'c', 'b']) await log.append({ subject, fields: '', data: new Uint8Array(0) });
    const copy = makeCopy({ log }, { clock, random: createSeededRandom(1), limits: defaultFollowerLimits });
    copies.push(copy);
    await copy.follower.start();
    await clock.advance(5_000);
    assert.deepEqual([copy.positions, copy.verified], [[3, 4, 5], []]);
  });

  it('is a doubt at the end of the log as well, where no message follows', async () => {
    const { away, append, copy, clock } = await begin();
    await away(3_000, () => append('old', '1s'));
    await clock.advance(1_000);
    assert.deepEqual([copy.follower.applied, copy.verified, copy.values.has('old')], [23, [23], false]);
  });
});

describe('a doubt', () => {
  /** Reading again fails, or says nothing, as often as told. */
  function failing(modes: ('refused' | 'silent')[]): (log: MemoryLog) => MemoryLog {
    return (log) => ({
      ...log,
      // Spreading would freeze them.
      append: (...given) => log.append(...given),
      bounds: (signal) => log.bounds(signal),
      latest: (subject, signal) => log.latest(subject, signal),
      async open(from, events, options): Promise<LogReader> {
        const mode = options?.withoutData === true ? modes.shift() : undefined;
        if (mode === 'refused') throw new Error('no reader can be had');
        if (mode === 'silent') return { close: async () => undefined };
        return log.open(from, events, options);
      },
    });
  }

  it('lasts until the log could be read again, and the copy is as old as before it meanwhile', async () => {
    const modes: ('refused' | 'silent')[] = Array.from({ length: 30 }, () => 'refused' as const);
    const { away, append, copy, clock } = await begin(true, failing(modes));
    await away(3_000, () => append('old', '1s'));
    const { follower } = copy;
    assert.deepEqual([follower.applied, follower.doubtAbove], [23, 22]);
    const lagMs = follower.lagMs();
    assert.ok(lagMs >= 3_000, `${lagMs} ms`);
    await clock.advance(2_000);
    assert.equal(follower.lagMs(), lagMs + 2_000);
    const refused = assert.rejects(follower.fresh(lagMs, { waitMs: 1 }), /may be \d+ ms old/);
    await clock.advance(1);
    await refused;
    await clock.advance(60_000);
    assert.deepEqual([modes, copy.values.has('old'), follower.doubtAbove], [[], false, undefined]);
    assert.ok(follower.lagMs() <= 500, `${follower.lagMs()} ms`);
    const failures = copy.notices.filter(({ what, reason }) => what === 'failed' && /read again/.test(reason));
    assert.equal(failures.length, 30);
  });

  it('is not settled by a reader that says nothing', async () => {
    const { away, append, copy, clock } = await begin(true, failing(['silent']));
    await away(3_000, () => append('old', '1s'));
    assert.deepEqual([copy.follower.doubtAbove, copy.values.has('old')], [22, true]);
    await clock.advance(10_000);
    assert.deepEqual([copy.follower.doubtAbove, copy.values.has('old')], [undefined, false]);
  });

  it('stays when the connection is lost again, and ends after the next one is there', async () => {
    const { away, append, copy, log, clock } = await begin(true, failing(['silent']));
    await away(3_000, () => append('old', '1s'));
    await away(500, () => append('other0'));
    assert.equal(log.openReaders, 1);
    await clock.advance(3_000);
    assert.deepEqual([copy.verified, copy.follower.doubtAbove, copy.values.has('old')], [[24], undefined, false]);
    assert.equal(log.openReaders, 1);
  });

  it('ends with the state that it is about', async () => {
    const { away, append, copy, clock } = await begin(true, failing(['silent']));
    await away(3_000, () => append('old', '1s'));
    assert.equal(copy.follower.doubtAbove, 22);
    copy.follower.rebuild('for a test');
    assert.equal(copy.follower.doubtAbove, undefined);
    await clock.advance(5_000);
    assert.deepEqual([copy.verified, copy.values.has('old'), copy.values.size], [[], false, 21]);
  });
});
