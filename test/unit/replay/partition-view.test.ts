/** One copy of one partition: what it tells, what it skips, when it may answer, and what it does when the log begins anew. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { Change } from '../../../src/replay/partition-view.ts';
import { keysOf, valueIn } from '../../support/entries.ts';
import { createPartitionWorld, type PartitionWorld, type Process } from '../../support/partition-world.ts';

let world: PartitionWorld;
beforeEach(() => {
  world = createPartitionWorld();
});
afterEach(() => world.stop());

/** `type position key-or-tag = value` of each change. */
function listenTo(process: Process): string[] {
  const told: string[] = [];
  process.view.listen((change) => told.push(say(change)));
  return told;
}

function say(change: Change): string {
  const what = 'key' in change ? ` ${change.key}` : change.type === 'tag' ? ` ${change.tag}` : '';
  const value = change.type === 'put' ? ` = ${valueIn(change.entry) ?? 'void'}` : '';
  return `${change.position} ${change.type}${what}${value}`;
}

describe('listeners of a copy', () => {
  it('hear every change in log order, also what memory or a newer write of its own keeps out', async () => {
    const a = await world.process('a', { store: { entriesMax: 10, bytesMax: 2_000 } });
    const told = listenTo(a);
    a.log.hold();
    await world.stranger.put('k', 'older');
    await world.clock.settle();
    await a.put('k', 'mine');
    await world.stranger.put('big', 'x'.repeat(3_000));
    await world.stranger.tag('t');
    await world.stranger.put('late', 'v', { tags: ['t'], basis: 1 });
    await world.stranger.put('short', 'v', { expiresAtMs: world.clock.now() - 1 });
    await world.stranger.delete('k');
    await world.stranger.clear();
    await world.clock.settle();
    a.log.release();
    assert.deepEqual(told, [
      '1 put k = older',
      '2 put k = mine',
      `3 put big = ${'x'.repeat(3_000)}`,
      '4 tag t',
      '5 put late = void',
      '6 put short = void',
      '7 delete k',
      '8 clear',
    ]);
  });

  it('are told by themselves: one that throws keeps no other from hearing it', async () => {
    const a = await world.process('a');
    a.view.listen(() => {
      throw new Error('a defect of its owner');
    });
    const told = listenTo(a);
    await world.stranger.put('k', 'v');
    await world.clock.settle();
    assert.deepEqual(told, ['1 put k = v']);
    assert.equal(a.get('k'), 'v');
    assert.equal(a.view.follower.counters.applyFailures, 1);
  });

  it('hear nothing any more once they stopped, even while an event is being told', async () => {
    const a = await world.process('a');
    const told: string[] = [];
    let stopSecond: () => void = () => undefined;
    const stopFirst = a.view.listen((change) => {
      told.push(`first ${change.position}`);
      stopSecond();
    });
    stopSecond = a.view.listen((change) => told.push(`second ${change.position}`));
    await world.stranger.put('k', 'v');
    await world.clock.settle();
    stopFirst();
    await world.stranger.put('k', 'w');
    await world.clock.settle();
    assert.deepEqual(told, ['first 1']);
  });

  it('hear once that the copy is given up, and nothing after it', async () => {
    const a = await world.process('a');
    const told = listenTo(a);
    let ends = 0;
    a.view.onStopped(() => {
      ends += 1;
    });
    await a.view.stop();
    await a.view.stop();
    await world.stranger.put('k', 'v');
    await world.clock.settle();
    assert.deepEqual([told, ends], [[], 1]);
  });
});

describe('what cannot be understood', () => {
  it('is counted with its first example, and an unreadable newest event makes the key absent', async () => {
    const a = await world.process('a');
    const { subjects, stranger, clock } = world;
    await stranger.put('k', 'v');
    await stranger.raw(`${subjects.keyPrefix}k`, 'KV-Operation: DANCE\r\n', 'v');
    await stranger.raw(`${subjects.keyPrefix}a=2`, '', 'fine');
    await stranger.raw('sluice.bucket.demo.weather', '', 'sunny');
    await stranger.raw(`${subjects.keyPrefix}=sha256-${'0'.repeat(64)}`, '', 'a hash without its key');
    await clock.settle();
    assert.equal(a.get('k'), undefined);
    assert.equal(a.get('a=2'), 'fine');
    assert.equal(a.view.counters.unreadable, 1);
    assert.equal(a.view.counters.foreign, 2);
    assert.match(a.view.firstProblem ?? '', /DANCE/);
    assert.equal(a.view.follower.applied, 5);
  });

  it('never stops the copy, whatever the headers are', async () => {
    const a = await world.process('a');
    const { subjects, stranger, clock } = world;
    const odd = [
      'Nats-TTL: x\r\n',
      'Sluice-Basis: -1\r\n',
      'Sluice-Tags: \u0001\r\n',
      'garbage',
      'Sluice-Type: \u00e9\r\n',
    ];
    for (const fields of odd) await stranger.raw(`${subjects.keyPrefix}odd`, fields, 'v');
    await stranger.put('k', 'v');
    await clock.settle();
    assert.equal(a.get('k'), 'v');
    assert.equal(a.view.follower.counters.applyFailures, 0);
  });
});

describe('a copy is complete', () => {
  it('from the moment it has replayed what was there, and not before', async () => {
    for (let index = 0; index < 20; index += 1) await world.stranger.put(`k${index}`, 'v');
    const a = await world.process('a', { isAwaited: false });
    a.log.hold();
    await world.clock.settle();
    a.log.deliver(5);
    assert.equal(a.view.isComplete, false);
    assert.equal(a.view.store.size, 5);
    a.log.release();
    assert.equal(a.view.isComplete, true);
  });

  it('until memory limits take something away', async () => {
    const a = await world.process('a', { store: { entriesMax: 2, bytesMax: 1_000_000 } });
    await a.put('a', '1');
    await a.put('b', '1');
    await world.clock.settle();
    assert.equal(a.view.isComplete, true);
    await a.put('c', '1');
    assert.equal(a.view.isComplete, false);
    a.view.setLimits({ entriesMax: 20, bytesMax: 1_000_000 });
    await a.cache.clear();
    await world.clock.settle();
    assert.equal(a.view.isComplete, true);
  });

  it('not while something was replaced by what is still on its way', async () => {
    const a = await world.process('a');
    a.log.isReachable = false;
    await world.stranger.put('k', 'first');
    await world.stranger.put('x', '1');
    await world.stranger.put('y', '1');
    await world.stranger.put('k', 'second');
    a.log.hold();
    a.log.isReachable = true;
    await world.clock.advance(3_000);
    // The first put of k is no longer in the log, the second is on its way.
    a.log.deliver(1);
    assert.equal(a.view.follower.applied, 2);
    assert.deepEqual([a.view.follower.isWhole, a.view.isComplete, a.view.follower.wholeAt], [false, false, 0]);
    a.log.deliver(1);
    assert.deepEqual([a.view.follower.isWhole, a.view.isComplete, a.view.follower.wholeAt], [false, false, 0]);
    a.log.release();
    assert.deepEqual([a.view.follower.isWhole, a.view.isComplete, a.view.follower.wholeAt], [true, true, 4]);
  });

  it('not while the reader passes over what was purged, and what replaced it is still on its way', async () => {
    const a = await world.process('a');
    await a.put('k', 'first');
    await world.clock.settle();
    a.log.hold();
    await world.stranger.put('k', 'second');
    await world.stranger.clear();
    await world.log.purge({ subject: `${world.subjects.keyPrefix}>`, below: 3 });
    // The first clear is no longer in the log, the second is on its way.
    await world.stranger.clear();
    a.log.skip(3);
    assert.equal(a.view.follower.applied, 3);
    assert.deepEqual([a.view.follower.isWhole, a.view.isComplete, a.view.follower.wholeAt], [false, false, 1]);
    assert.equal(await a.view.load('k'), undefined);
    a.log.release();
    await world.clock.settle();
    assert.deepEqual([a.get('k'), a.view.isComplete, a.view.follower.wholeAt], [undefined, true, 4]);
  });

  it('again once the reader has passed over what was purged, and nothing is on its way', async () => {
    const a = await world.process('a');
    a.log.hold();
    await world.stranger.put('k', 'v');
    await world.log.purge({ subject: `${world.subjects.keyPrefix}k` });
    a.log.skip(1);
    assert.deepEqual([a.view.follower.applied, a.view.isComplete], [1, false]);
    await world.clock.settle();
    assert.deepEqual([a.view.follower.isWhole, a.view.isComplete], [true, true]);
  });

  it('not while an entry has sunk below the floor whose successor is still on its way', async () => {
    const a = await world.process('a');
    for (const key of ['k', 'x', 'y']) await world.stranger.put(key, '1');
    await world.clock.settle();
    a.log.isReachable = false;
    await world.clock.settle();
    await world.stranger.put('k', '2');
    a.log.hold();
    a.log.isReachable = true;
    await world.clock.advance(3_000);
    // The log begins at 2, below what was applied: no message is missing, and yet the copy has no `k`.
    assert.equal(a.view.follower.applied, 3);
    assert.deepEqual([a.get('k'), a.view.isComplete], [undefined, false]);
    a.log.release();
    await world.clock.settle();
    assert.deepEqual([a.get('k'), a.view.isComplete], ['2', true]);
  });

  it('until it is stopped, and then it is empty', async () => {
    const a = await world.process('a');
    await a.put('k', 'v');
    await a.view.stop();
    assert.equal(a.view.isComplete, false);
    assert.equal(a.get('k'), undefined);
    a.view.wrote({ type: 'entry.deleted', key: 'k' }, 99);
    assert.equal(a.view.store.size, 0);
    assert.equal(world.clock.timers, 0);
    await a.view.start();
    assert.equal(world.clock.timers, 0);
  });
});

describe('a rebuild', () => {
  it('drops all and replays, and tells listeners first', async () => {
    const a = await world.process('a');
    await a.put('k', 'v');
    await world.clock.settle();
    const told = listenTo(a);
    a.view.follower.rebuild('an operator asked for it');
    assert.equal(a.get('k'), undefined);
    assert.equal(a.view.isComplete, false);
    await world.clock.advance(3_000);
    assert.equal(a.get('k'), 'v');
    assert.deepEqual(told, ['0 rebuilt', '1 put k = v']);
  });

  it('shows nothing of a log that was deleted and made again, whatever its positions', async () => {
    const a = await world.process('a');
    for (let index = 0; index < 10; index += 1) await a.put(`old${index}`, 'v');
    await a.cache.clear();
    await a.put('k', 'old', { tags: ['t'] });
    await a.cache.invalidateTags(['t']);
    await world.clock.settle();
    world.log.recreate();
    await world.stranger.put('k', 'new', { tags: ['t'] });
    await world.clock.advance(3_000);
    assert.deepEqual(keysOf(a.view.store), ['k']);
    assert.equal(a.get('k'), 'new');
  });
});

describe('the floor (G4)', () => {
  it('ends an old value whose update and successor were both dropped while the copy lagged', async () => {
    await world.stop();
    world = createPartitionWorld({ messagesMax: 3 });
    const a = await world.process('a');
    await world.stranger.put('k', 'v1');
    await world.clock.settle();
    assert.equal(a.get('k'), 'v1');
    a.log.isReachable = false;
    await world.clock.settle();
    await world.stranger.put('k', 'v2');
    await world.stranger.delete('k');
    for (const key of ['x', 'y', 'z']) await world.stranger.put(key, '1');
    assert.deepEqual(await world.messages(), ['4 entry.put x', '5 entry.put y', '6 entry.put z']);
    await world.clock.advance(10_000);
    assert.equal(a.get('k'), 'v1');
    assert.ok(a.view.follower.lagMs() >= 10_000);
    const told = listenTo(a);
    a.log.isReachable = true;
    await world.clock.advance(3_000);
    assert.equal(a.get('k'), undefined);
    assert.deepEqual(keysOf(a.view.store), ['x', 'y', 'z']);
    // Who keeps a picture of its own must look again.
    assert.deepEqual(told, ['3 rebuilt', '4 put x = 1', '5 put y = 1', '6 put z = 1']);
  });

  it('ends what a full log drops or an operator purges, within the periodic check', async () => {
    await world.stop();
    world = createPartitionWorld({ messagesMax: 3 });
    const a = await world.process('a');
    for (const key of ['k', 'l', 'm', 'n', 'o']) await world.stranger.put(key, '1');
    await world.clock.advance(60_000);
    assert.deepEqual(keysOf(a.view.store), ['m', 'n', 'o']);
    await world.log.purge();
    await world.clock.advance(60_000);
    assert.equal(a.view.store.size, 0);
    assert.equal(a.view.store.counters.floored, 5);
  });

  it('also ends what is ahead of the follower', async () => {
    await world.stop();
    world = createPartitionWorld({ messagesMax: 2 });
    const a = await world.process('a', { store: { entriesMax: 1, bytesMax: 1_000_000 } });
    a.log.hold();
    await a.put('k', 'v');
    await a.put('l', 'v');
    for (const key of ['x', 'y']) await world.stranger.put(key, '1');
    assert.equal(a.get('k'), 'v');
    // Asking for the newest state tells the floor as well.
    const asked = assert.rejects(a.view.follower.latest({ waitMs: 10 }));
    await world.clock.advance(10);
    await asked;
    assert.equal(a.get('k'), undefined);
    assert.equal(a.get('l'), undefined);
  });
});
