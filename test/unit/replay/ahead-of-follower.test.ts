/**
 * What a process knows before its follower does: its own acknowledged writes and what it read from the log. Nothing that is
 * still on its way may undo it, and reads in one process never go back.
 */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { entryBytes } from '../../../src/store/entry-store.ts';
import { valueIn } from '../../support/entries.ts';
import { createPartitionWorld, type PartitionWorld, type Process } from '../../support/partition-world.ts';
import { refusalOf } from '../../support/refusals.ts';

let world: PartitionWorld;
beforeEach(() => {
  world = createPartitionWorld();
});
afterEach(() => world.stop());

/** Its own put of `k` was ended by a delete, which the log has dropped; the floor of the log is not known yet. */
async function passedOver(): Promise<Process> {
  const { log, stranger } = world;
  const a = await world.process('a');
  a.log.hold();
  await a.put('k', 'mine');
  await stranger.delete('k');
  await stranger.put('other', 'newest');
  await log.purge({ below: 3 });
  const { bounds } = log;
  log.bounds = async (signal) => ({ ...(await bounds(signal)), first: 1 });
  a.log.skip(2);
  a.log.release();
  return a;
}

describe('a process’s own acknowledged write', () => {
  it('is read at once, and an older event of the key that arrives later does not undo it', async () => {
    const a = await world.process('a');
    a.log.hold();
    await world.stranger.put('k', 'older');
    await world.clock.settle();
    await a.put('k', 'mine');
    assert.equal(a.get('k'), 'mine');
    a.log.deliver(1);
    assert.equal(a.get('k'), 'mine');
    a.log.release();
    assert.equal(a.get('k'), 'mine');
    assert.equal(a.view.follower.applied, 2);
  });

  it('does not meet a demand once the follower has passed it without meeting it: then the log is asked', async () => {
    const a = await passedOver();
    assert.deepEqual([a.view.follower.applied, a.view.follower.isWhole, a.view.isPassedOver('k')], [3, true, true]);
    assert.equal(a.get('k'), 'mine', 'a plain read serves what is held, as old as it says');
    a.log.isReachable = false;
    await refusalOf('log-unavailable', a.cache.get('k', { minPosition: 3 }));
    assert.equal(a.view.isPassedOver('k'), true);
    a.log.isReachable = true;
    assert.equal((await a.cache.get('k', { minPosition: 3 })).found, undefined);
    assert.deepEqual([a.get('k'), a.view.isPassedOver('k')], [undefined, false]);
    assert.equal(a.get('other'), 'newest');
  });

  it('is settled for those who waited for a position and then read from memory', async () => {
    const a = await passedOver();
    a.log.isReachable = false;
    await refusalOf('log-unavailable', a.view.settled());
    a.log.isReachable = true;
    a.log.holdAnswers();
    const late = refusalOf('stale', a.view.settled({ waitMs: 100 }));
    await world.clock.advance(100);
    await late;
    const settled = a.view.settled();
    a.log.releaseAnswers();
    await settled;
    assert.deepEqual([a.get('k'), a.view.isPassedOver('k')], [undefined, false]);
    await a.view.settled();
  });

  it('gives way to a newer event of the key', async () => {
    const a = await world.process('a');
    a.log.hold();
    await a.put('k', 'mine');
    await world.stranger.put('k', 'newer');
    await world.clock.settle();
    a.log.release();
    assert.equal(a.get('k'), 'newer');
  });

  it('keeps a deleted key deleted while its older puts are on their way', async () => {
    const a = await world.process('a');
    a.log.hold();
    await world.stranger.put('k', 'older');
    await world.clock.settle();
    await a.cache.delete('k');
    a.log.deliver(1);
    assert.equal(a.get('k'), undefined);
    a.log.release();
    await world.clock.advance(5_000);
    assert.equal(a.get('k'), undefined);
  });

  it('changes nothing when its acknowledgement comes after newer events were applied', async () => {
    const a = await world.process('a');
    a.log.holdAcks();
    const written = a.put('k', 'mine');
    const removed = a.cache.delete('gone');
    await world.clock.settle();
    await world.stranger.put('k', 'newer');
    await world.stranger.put('gone', 'back');
    await world.clock.settle();
    a.log.releaseAcks();
    await Promise.all([written, removed]);
    assert.equal(a.get('k'), 'newer');
    assert.equal(a.get('gone'), 'back');
  });

  it('counts by its position when two acknowledgements come in the wrong order', async () => {
    const a = await world.process('a');
    a.log.hold();
    a.view.wrote({ type: 'entry.put', key: 'k', value: Buffer.from('second'), ...plain }, 2);
    a.view.wrote({ type: 'entry.put', key: 'k', value: Buffer.from('first'), ...plain }, 1);
    a.view.wrote({ type: 'entry.deleted', key: 'k' }, 1);
    assert.equal(a.get('k'), 'second');
  });

  it('is taken to be stored when the log says, not when this process thought so', async () => {
    const a = await world.process('a');
    a.log.hold();
    await a.put('k', 'mine');
    const entry = a.view.peek('k');
    assert.ok(entry);
    entry.decoded = 'decoded once';
    const storedAtMs = entry.atMs;
    // The clocks of process and log differ by an hour.
    const skewed = { ...(await world.log.latest(`${world.subjects.keyPrefix}k`)), atMs: storedAtMs - 3_600_000 };
    a.log.onDelivered = (record) => Object.assign(record, { atMs: skewed.atMs });
    await world.clock.settle();
    a.log.release();
    assert.equal(a.view.peek('k')?.atMs, storedAtMs - 3_600_000);
    assert.equal(a.view.peek('k')?.decoded, 'decoded once');
  });

  it('lives no longer than the log’s own limit of age, before the log has told of it and after', async () => {
    await world.stop();
    world = createPartitionWorld({ maxAgeMs: 60_000 });
    const a = await world.process('a');
    a.log.hold();
    await a.put('k', 'mine');
    assert.equal(a.view.peek('k')?.expiresAtMs, world.clock.now() + 60_000);
    await world.clock.settle();
    a.log.release();
    await world.clock.advance(60_000);
    assert.equal(a.get('k'), undefined);
  });
});

describe('between its own write and the follower', () => {
  it('a clear above the write ends it, whichever of both arrives first', async () => {
    for (const isOwnClear of [false, true]) {
      const a = await world.process(`a ${isOwnClear}`);
      a.log.hold();
      await a.put('k', 'mine', { tags: ['t'] });
      await (isOwnClear ? a.cache.clear() : world.stranger.clear());
      await world.clock.settle();
      if (isOwnClear) assert.equal(a.get('k'), undefined);
      a.log.release();
      assert.equal(a.get('k'), undefined);
    }
  });

  it('a clear below the write does not end it', async () => {
    const a = await world.process('a');
    a.log.hold();
    await world.stranger.put('old', 'x');
    await world.stranger.clear();
    await world.clock.settle();
    await a.put('k', 'mine');
    a.log.release();
    assert.equal(a.get('k'), 'mine');
    assert.equal(a.get('old'), undefined);
  });

  it('its own clear also ends what it learns of later from below', async () => {
    const a = await world.process('a');
    a.log.hold();
    await world.stranger.put('k', 'below');
    await world.clock.settle();
    a.log.holdAcks();
    const put = a.put('mine', 'below too');
    const clear = a.cache.clear();
    await world.clock.settle();
    a.log.releaseAcks();
    await Promise.all([put, clear]);
    a.log.deliver(1);
    assert.equal(a.get('k'), undefined);
    assert.equal(a.get('mine'), undefined);
    a.log.release();
    assert.equal(a.view.store.size, 0);
  });

  it('its own tag invalidation ends what it has written and what arrives later from below, with that tag alone', async () => {
    const a = await world.process('a');
    a.log.hold();
    await world.stranger.put('theirs', 'x', { tags: ['t'] });
    await world.stranger.put('other', 'x', { tags: ['u'] });
    await a.put('mine', 'x', { tags: ['t', 'u'] });
    await a.cache.invalidateTags(['t']);
    await world.clock.settle();
    assert.equal(a.get('mine'), undefined);
    a.log.release();
    assert.equal(a.get('theirs'), undefined);
    assert.equal(a.get('mine'), undefined);
    assert.equal(a.get('other'), 'x');
  });
});

describe('memory limits', () => {
  it('do not take away what is ahead of the follower', async () => {
    const a = await world.process('a', { store: { entriesMax: 2, bytesMax: 1_000_000 } });
    a.log.hold();
    for (const key of ['k1', 'k2', 'k3', 'k4']) await a.put(key, `value of ${key}`);
    for (const key of ['k1', 'k2', 'k3', 'k4']) assert.equal(a.get(key), `value of ${key}`);
    assert.equal(valueIn(a.view.peek('k1')), 'value of k1');
    assert.equal(a.view.store.size, 2);
    await world.clock.settle();
    a.log.release();
    await world.clock.advance(1_000);
    assert.equal([1, 2, 3, 4].filter((index) => a.get(`k${index}`) !== undefined).length, 2);
  });

  it('turn a value that can never fit into one to be asked of the log, not into an absent one', async () => {
    const a = await world.process('a', { store: { entriesMax: 10, bytesMax: entryBytes('k', 100) } });
    a.log.hold();
    await a.put('k', 'small');
    await a.put('k', 'x'.repeat(5_000));
    assert.equal(a.get('k'), undefined);
    assert.equal(a.view.isComplete, false);
    assert.equal((await a.cache.get('k')).found?.value.length, 5_000);
    await world.clock.settle();
    a.log.release();
    assert.equal((await a.cache.get('k')).found?.value.length, 5_000);
  });

  it('bound what is ahead by the bytes of the cache, and then the log is asked', async () => {
    const bytesMax = 4 * entryBytes('k00', 1_000);
    const a = await world.process('a', { store: { entriesMax: 100, bytesMax } });
    a.log.hold();
    for (let index = 10; index < 30; index += 1) await a.put(`k${index}`, 'x'.repeat(1_000));
    const held = Array.from({ length: 20 }, (_, index) => a.get(`k${10 + index}`)).filter((text) => text !== undefined);
    assert.ok(held.length >= 4 && held.length <= 8, `${held.length} held`);
    for (let index = 10; index < 30; index += 1)
      assert.ok((await a.cache.get(`k${index}`)).found, `k${index} is found all the same`);
    // The oldest event of a key that is not held any more must not come back either.
    await world.clock.settle();
    a.log.release();
    await world.clock.advance(1_000);
    for (let index = 10; index < 30; index += 1) assert.ok((await a.cache.get(`k${index}`)).found);
  });

  it('forget what the follower has passed', async () => {
    const a = await world.process('a', { store: { entriesMax: 1, bytesMax: 1_000_000 } });
    for (let index = 0; index < 50; index += 1) await a.put(`k${index}`, 'v');
    await world.clock.advance(2_000);
    assert.equal(a.get('k0'), undefined);
    assert.equal(a.get('k49'), 'v');
  });
});

describe('a log that lost what it had acknowledged', () => {
  it('is noticed when it is proven to hold less than this process was told', async () => {
    const a = await world.process('a');
    await a.put('x', 'first');
    await world.clock.settle();
    a.log.hold();
    await a.put('k', 'lost');
    assert.equal(a.get('k'), 'lost');
    world.log.rollBack(1);
    a.log.release();
    await world.clock.advance(5_000);
    assert.equal(a.get('k'), undefined);
    assert.equal(a.get('x'), 'first');
    assert.ok(a.notices.some(({ what, reason }) => what === 'rebuild' && reason.includes('rolled back')));
  });

  it('is believed when another message stands where this process’s own was', async () => {
    const a = await world.process('a');
    await a.put('k', 'first');
    await world.clock.settle();
    a.log.hold();
    await a.put('k', 'lost');
    world.log.rollBack(1);
    await world.stranger.put('k', 'in its place');
    a.log.release();
    await world.clock.advance(1_000);
    assert.equal(a.get('k'), 'in its place');
  });

  it('does not leave behind a value whose place another key’s message has taken', async () => {
    const a = await world.process('a');
    await a.put('x', 'first');
    await world.clock.settle();
    a.log.hold();
    await a.put('k', 'lost');
    world.log.rollBack(1);
    await world.stranger.put('other', 'in its place');
    a.log.release();
    await world.clock.advance(10_000);
    assert.equal(a.get('k'), undefined);
    assert.equal(a.get('other'), 'in its place');
  });

  it('has the value again that this process had deleted, when the delete is lost', async () => {
    // A log that has what was there before, as after a restore from a backup.
    const own = createPartitionWorld({ messagesPerSubject: 2 });
    const a = await own.process('a');
    a.log.hold();
    await own.stranger.put('k', 'kept');
    await a.cache.delete('k');
    own.log.rollBack(1);
    await own.stranger.put('other', 'in its place');
    a.log.release();
    await own.clock.advance(5_000);
    assert.equal(a.get('k'), 'kept');
    assert.equal(a.get('other'), 'in its place');
    await own.stop();
  });

  it('does not obey a clear or tag of this process that is lost', async () => {
    for (const lost of ['clear', 'tag'] as const) {
      const own = createPartitionWorld();
      const a = await own.process('a');
      a.log.hold();
      await own.stranger.put('k', 'kept', { tags: ['red'] });
      await own.clock.settle();
      a.log.holdAcks();
      const written = lost === 'clear' ? a.cache.clear() : a.cache.invalidateTags(['red']);
      await own.clock.settle();
      own.log.rollBack(1);
      a.log.releaseAcks();
      await written;
      await own.stranger.put('x', 'in its place');
      await own.stranger.put('y', 'later');
      a.log.release();
      await own.clock.advance(5_000);
      assert.equal(a.get('y'), 'later', lost);
      assert.equal(a.get('k'), 'kept', lost);
      await own.stop();
    }
  });
});

const plain = { expiresAtMs: Number.POSITIVE_INFINITY, tags: undefined, contentType: undefined, basis: undefined };
