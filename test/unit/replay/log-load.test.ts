/** Reading a key from the log's leader, while the follower, own writes and rebuilds go on beside it. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { isSluiceError, SluiceError } from '../../../src/errors.ts';
import type { Log } from '../../../src/log/log.ts';
import { readKeyState } from '../../../src/replay/log-read.ts';
import type { Entry } from '../../../src/store/entry-store.ts';
import { valueIn } from '../../support/entries.ts';
import { createPartitionWorld, type PartitionWorld, type Process } from '../../support/partition-world.ts';

let world: PartitionWorld;
beforeEach(() => {
  world = createPartitionWorld();
});
afterEach(() => world.stop());

/** A process that has just evicted `k`, which the log has. */
async function evicted(value = 'v', tags?: string[]): Promise<Process> {
  const a = await world.process('a', { store: { entriesMax: 2, bytesMax: 1_000_000 } });
  await world.stranger.put('k', value, tags === undefined ? {} : { tags });
  await world.stranger.put('x', '1');
  await world.stranger.put('y', '1');
  await world.clock.settle();
  assert.equal(a.get('k'), undefined);
  return a;
}

/** Starts a load whose answer waits; the returned function lets it through. */
async function begin(process: Process, key: string): Promise<() => Promise<Entry | undefined>> {
  process.log.holdAnswers();
  const loaded = process.view.load(key);
  await world.clock.settle();
  return async () => {
    process.log.releaseAnswers();
    return loaded;
  };
}

describe('a load', () => {
  it('brings back what memory had evicted, and keeps it', async () => {
    const a = await evicted();
    assert.equal(valueIn(await a.view.load('k')), 'v');
    assert.equal(a.get('k'), 'v');
    assert.equal(a.view.counters.logLoads, 1);
  });

  it('keeps nothing that a leader of the past has said, for the copy has forgotten what it knew better', async () => {
    const a = await evicted('old');
    const { latest, confirmHead } = a.log;
    const past = await latest(`${world.subjects.keyPrefix}k`);
    for (const key of ['k', 'x', 'y']) await world.stranger.put(key, 'new');
    await world.clock.settle();
    assert.equal(a.get('k'), undefined, 'evicted again');
    const asked: number[] = [];
    Object.assign(a.log, {
      latest: async () => past,
      confirmHead: async (head: number) => {
        asked.push(head);
        throw new SluiceError('log-unavailable', 'who answers has less');
      },
    });
    await assert.rejects(a.view.load('k'), (error) => isSluiceError(error, 'log-unavailable'));
    assert.deepEqual([asked, a.get('k')], [[6], undefined]);
    Object.assign(a.log, { latest, confirmHead });
    assert.equal(valueIn(await a.view.load('k')), 'new');
    assert.equal(a.get('k'), 'new');
  });

  it('is one question for all who ask at the same time', async () => {
    const a = await evicted();
    const found = await Promise.all([a.view.load('k'), a.view.load('k'), a.view.load('k')]);
    assert.deepEqual(found.map(valueIn), ['v', 'v', 'v']);
    assert.equal(a.view.counters.logLoads, 1);
  });

  it('finds nothing for a key that is absent, deleted, expired or below an invalidation', async () => {
    const a = await evicted('v', ['t']);
    assert.equal(await a.view.load('never'), undefined);
    await world.stranger.delete('x');
    await world.stranger.put('gone', 'v', { expiresAtMs: world.clock.now() - 1 });
    await world.stranger.tag('t');
    await world.clock.settle();
    assert.equal(await a.view.load('x'), undefined);
    assert.equal(await a.view.load('gone'), undefined);
    assert.equal(await a.view.load('k'), undefined);
    await world.stranger.put('late', 'v', { basis: 1 });
    await world.stranger.clear();
    await world.stranger.put('later', 'v', { basis: 1 });
    assert.equal(await a.view.load('late'), undefined);
    assert.equal(await a.view.load('later'), undefined);
  });

  it('believes the log, and not the copy, while the copy is in doubt about what it holds', async () => {
    world = createPartitionWorld({ honoursTtl: true });
    const { clock, log, stranger, subjects } = world;
    const a = await world.process('a');
    for (let index = 0; index < 20; index += 1) await stranger.put(index === 1 ? 'k' : `other${index}`, 'v');
    await clock.settle();
    // Nothing can be read again for now.
    const { open } = log;
    log.open = async (from, events, options) =>
      options?.withoutData === true ? { close: async () => undefined } : open(from, events, options);
    a.log.isReachable = false;
    await stranger.raw(`${subjects.keyPrefix}k`, 'Nats-TTL: 1s\r\n', 'brief');
    await clock.advance(3_000);
    a.log.isReachable = true;
    await clock.advance(1_000);
    assert.deepEqual([a.view.follower.applied, a.view.follower.doubtAbove], [21, 20]);
    assert.deepEqual([a.view.follower.isWhole, a.view.follower.wholeAt, a.view.isComplete], [false, 20, false]);
    // A plain read serves what is held, as old as it says; one with a demand asks.
    assert.equal(valueIn((await a.cache.get('k')).found), 'v');
    assert.equal((await a.cache.get('k')).position, 20);
    assert.equal((await a.cache.get('k', { minPosition: 21 })).found, undefined);
    assert.ok(a.view.follower.lagMs() >= 3_000);
    const changes: unknown[] = [];
    a.view.listen((change) => changes.push(change));
    log.open = open;
    await clock.advance(5_000);
    assert.deepEqual(
      [a.view.follower.isWhole, a.get('k'), a.get('other2'), a.view.isComplete],
      [true, undefined, 'v', true],
    );
    assert.deepEqual(changes, [
      { type: 'rebuilt', position: 21, reason: 'the log had removed entries without an event' },
    ]);
  });

  it('fails when the log cannot be asked, and can be asked again', async () => {
    const a = await evicted();
    a.log.isReachable = false;
    await assert.rejects(a.view.load('k'), (error) => isSluiceError(error, 'log-unavailable'));
    a.log.isReachable = true;
    assert.equal(valueIn(await a.view.load('k')), 'v');
  });

  it('gives a value that memory has no room for', async () => {
    const a = await world.process('a', { store: { entriesMax: 10, bytesMax: 2_000 } });
    await world.stranger.put('k', 'x'.repeat(5_000));
    await world.clock.settle();
    assert.equal((await a.view.load('k'))?.value.length, 5_000);
    assert.equal(a.get('k'), undefined);
    assert.equal(a.view.isComplete, false);
  });
});

describe('a load that is ahead of the follower', () => {
  it('is not undone by an older event on its way', async () => {
    const a = await evicted();
    a.log.hold();
    await world.stranger.put('k', 'older');
    await world.clock.settle();
    await world.stranger.put('k', 'newest');
    assert.equal(valueIn(await a.view.load('k')), 'newest');
    a.log.deliver(1);
    assert.equal(a.get('k'), 'newest');
    a.log.release();
    assert.equal(a.get('k'), 'newest');
  });

  it('remembers that a key was gone, so that an older put on its way does not show it again', async () => {
    const a = await evicted();
    a.log.hold();
    await world.stranger.put('k', 'older');
    await world.clock.settle();
    await world.stranger.delete('k');
    assert.equal(await a.view.load('k'), undefined);
    a.log.deliver(1);
    assert.equal(a.get('k'), undefined);
    a.log.release();
    assert.equal(a.get('k'), undefined);
  });
});

describe('a load of what was invalidated and removed from the log', () => {
  it('shows nothing, though the invalidation is on its way and an own write is held', async () => {
    const a = await world.process('a');
    a.log.hold();
    await a.put('k', 'mine', { tags: ['t'] });
    await world.stranger.tag('t');
    await world.log.purge({ subject: `${world.subjects.keyPrefix}k` });
    assert.equal(a.get('k'), 'mine');
    assert.equal(await a.view.load('k'), undefined);
    await a.put('k', 'again');
    assert.equal(valueIn(await a.view.load('k')), 'again');
  });
});

describe('a load that is overtaken', () => {
  it('by the follower’s newer put gives that', async () => {
    const a = await evicted();
    const finish = await begin(a, 'k');
    await world.stranger.put('k', 'newer');
    await world.clock.settle();
    assert.equal(valueIn(await finish()), 'newer');
    assert.equal(a.get('k'), 'newer');
  });

  it('by the follower’s delete gives nothing and brings nothing back', async () => {
    const a = await evicted();
    const finish = await begin(a, 'k');
    await world.stranger.delete('k');
    await world.clock.settle();
    assert.equal(await finish(), undefined);
    assert.equal(a.get('k'), undefined);
  });

  it('by its own process’s write gives that', async () => {
    const a = await evicted();
    a.log.hold();
    const finish = await begin(a, 'k');
    await a.put('k', 'mine');
    assert.equal(valueIn(await finish()), 'mine');
    await world.stranger.put('z', '1');
    const again = await begin(a, 'k');
    await a.cache.delete('k');
    assert.equal(await again(), undefined);
    a.log.release();
    assert.equal(a.get('k'), undefined);
  });

  it('by a clear or an invalidation gives nothing', async () => {
    for (const by of ['clear', 'tag', 'own clear', 'own tag'] as const) {
      const a = await evicted('v', ['t']);
      // The first question, for the key itself, is answered; the answer is on its way.
      const finish = await begin(a, 'k');
      if (by === 'clear') await world.stranger.clear();
      else if (by === 'tag') await world.stranger.tag('t');
      else if (by === 'own clear') await a.cache.clear();
      else await a.cache.invalidateTags(['t']);
      await world.clock.settle();
      assert.equal(await finish(), undefined, by);
      assert.equal(a.get('k'), undefined, by);
      await a.view.stop();
    }
  });

  it('by a put that memory has evicted again asks once more instead of saying that there is none', async () => {
    const a = await evicted();
    const finish = await begin(a, 'k');
    await world.stranger.put('k', 'newer');
    await world.stranger.put('x', '2');
    await world.stranger.put('y', '2');
    await world.clock.settle();
    assert.equal(a.get('k'), undefined);
    assert.equal(valueIn(await finish()), 'newer');
  });

  it('by a new life of the log brings nothing of the old one', async () => {
    const a = await evicted();
    const finish = await begin(a, 'k');
    world.log.recreate();
    await world.stranger.put('other', 'new life');
    await world.clock.advance(3_000);
    assert.equal(await finish(), undefined);
    assert.equal(a.get('k'), undefined);
    // Nor does its old position keep the new life's first events away.
    await world.stranger.put('k', 'new');
    await world.clock.settle();
    assert.equal(a.get('k'), 'new');
  });

  it('by the end of the copy still answers, and keeps nothing', async () => {
    const a = await evicted();
    const finish = await begin(a, 'k');
    await a.view.stop();
    assert.equal(valueIn(await finish()), 'v');
    assert.equal(a.view.store.size, 0);
  });
});

describe('the state of a key in the log', () => {
  it('has the position of whatever stands there, and the entry only when it is valid', async () => {
    const { stranger, subjects, clock } = world;
    const state = async (key: string): Promise<readonly [number, boolean]> => {
      const found = await readKeyState({ subjects, log: world.log }, key, clock);
      return [found.position, found.entry !== undefined];
    };
    assert.deepEqual(await state('k'), [0, false]);
    await stranger.put('k', 'v', { tags: ['t'] });
    assert.deepEqual(await state('k'), [1, true]);
    await stranger.tag('u');
    assert.deepEqual(await state('k'), [1, true]);
    await stranger.tag('t');
    assert.deepEqual(await state('k'), [1, false]);
    await stranger.delete('k');
    assert.deepEqual(await state('k'), [4, false]);
    await stranger.raw(`${subjects.keyPrefix}k`, 'Sluice-Expires: nonsense\r\n', 'v');
    assert.deepEqual(await state('k'), [5, false]);
  });

  it('is judged when the log has answered, not when it was asked', async () => {
    const { stranger, subjects, clock } = world;
    await stranger.put('k', 'v', { expiresAtMs: clock.now() + 1_000 });
    const late: Log = {
      ...world.log,
      async latest(subject) {
        const found = await world.log.latest(subject);
        await clock.advance(2_000);
        return found;
      },
    };
    const found = await readKeyState({ subjects, log: late }, 'k', clock);
    assert.deepEqual([found.position, found.entry], [1, undefined]);
  });

  it('is not saved from a clear by a basis above its own position', async () => {
    const { stranger, subjects, clock } = world;
    await stranger.put('k', 'v', { basis: 1_000_000 });
    await stranger.clear();
    const found = await readKeyState({ subjects, log: world.log }, 'k', clock);
    assert.equal(found.entry, undefined);
  });
});
