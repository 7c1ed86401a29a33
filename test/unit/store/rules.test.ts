/** Which event counts: apply rule, clear, tags, basis, floor, local values. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createEntryStore, type EntryStore } from '../../../src/store/entry-store.ts';
import { createFakeClock } from '../../../src/testing/fake-clock.ts';
import { bytesOf, keysOf, putOf, valueIn } from '../../support/entries.ts';

function createStore(): EntryStore {
  return createEntryStore(createFakeClock(), { entriesMax: 1_000, bytesMax: 10_000_000 });
}

describe('the apply rule', () => {
  it('takes an event only above the revision of the entry', () => {
    const store = createStore();
    assert.ok(store.put(putOf('a', 'five'), 5, 0));
    assert.equal(store.put(putOf('a', 'four'), 4, 0), false);
    assert.equal(store.remove('a', 4), false);
    assert.equal(valueIn(store.read('a')), 'five');
    assert.ok(store.remove('a', 6));
    assert.equal(store.read('a'), undefined);
    assert.ok(store.remove('never there', 7));
  });

  it('keeps what was decoded when the log repeats the revision, and takes over the times that it states', async () => {
    const clock = createFakeClock();
    const store = createEntryStore(clock, { entriesMax: 10, bytesMax: 10_000 });
    store.put(putOf('a', 'v'), 5, 1_000);
    const entry = store.read('a');
    assert.ok(entry);
    entry.decoded = { seen: true };
    assert.ok(store.put(putOf('a', 'v', { expiresAtMs: clock.now() + 100 }), 5, 2_000));
    assert.equal(store.read('a'), entry);
    assert.deepEqual(entry.decoded, { seen: true });
    assert.equal(entry.atMs, 2_000);
    await clock.advance(100);
    assert.equal(store.read('a'), undefined);
    store.sweep(10);
    assert.equal(store.size, 0);
  });

  it('believes the log when it says something else at the same revision', () => {
    const store = createStore();
    store.put(putOf('a', 'what I wrote', { tags: ['t'] }), 5, 1_000);
    assert.ok(store.put(putOf('a', 'what is there'), 5, 2_000));
    assert.equal(valueIn(store.read('a')), 'what is there');
    assert.equal(store.read('a')?.decoded, undefined);
    assert.deepEqual(store.invalidateTag('t', 9), []);
    assert.ok(store.remove('a', 5));
    assert.equal(store.read('a'), undefined);
  });
});

describe('a clear', () => {
  it('ends everything below it, also what turns up later, and nothing above', () => {
    const store = createStore();
    store.put(putOf('before'), 1, 0);
    store.put(putOf('after'), 11, 0);
    store.clear(10);
    assert.equal(store.put(putOf('late'), 9, 0), false);
    assert.ok(store.put(putOf('new'), 12, 0));
    assert.deepEqual(keysOf(store), ['after', 'new']);
    assert.equal(store.clearedAt, 10);
    assert.equal(store.counters.invalidations, 1);
  });

  it('changes nothing when a later one is known', () => {
    const store = createStore();
    store.clear(10);
    store.put(putOf('a'), 11, 0);
    store.clear(5);
    assert.equal(store.clearedAt, 10);
    assert.deepEqual(keysOf(store), ['a']);
  });

  it('ends a loaded value that began before it, though its revision is above', () => {
    const store = createStore();
    store.clear(10);
    assert.equal(store.put(putOf('a', 'v', { basis: 9 }), 20, 0), false);
    assert.ok(store.put(putOf('a', 'v', { basis: 10 }), 21, 0));
    store.clear(15);
    assert.equal(store.read('a'), undefined);
  });

  it('cannot be escaped by a basis above the value’s own position', () => {
    const store = createStore();
    store.put(putOf('a', 'v', { basis: 1_000_000, tags: ['t'] }), 5, 0);
    store.put(putOf('b', 'v', { basis: 1_000_000, tags: ['t'] }), 6, 0);
    assert.deepEqual(
      store.invalidateTag('t', 6).map((entry) => entry.key),
      ['a'],
    );
    store.clear(7);
    assert.equal(store.size, 0);
  });
});

describe('a tag invalidation', () => {
  it('ends the entries below it that carry the tag, and tells which', () => {
    const store = createStore();
    store.put(putOf('a', 'v', { tags: ['red', 'round'] }), 1, 0);
    store.put(putOf('b', 'v', { tags: ['blue'] }), 2, 0);
    store.put(putOf('c', 'v', { tags: ['red'] }), 9, 0);
    const ended = store.invalidateTag('red', 5);
    assert.deepEqual(
      ended.map(({ key, revision }) => [key, revision]),
      [['a', 1]],
    );
    assert.deepEqual(keysOf(store), ['b', 'c']);
  });

  it('ends what turns up later with a lower revision or basis, and only with that tag', () => {
    const store = createStore();
    store.invalidateTag('red', 5);
    assert.equal(store.put(putOf('a', 'v', { tags: ['red'] }), 4, 0), false);
    assert.equal(store.put(putOf('b', 'v', { tags: ['blue', 'red'], basis: 4 }), 8, 0), false);
    assert.ok(store.put(putOf('c', 'v', { tags: ['blue'] }), 3, 0));
    assert.ok(store.put(putOf('d', 'v', { tags: ['red'], basis: 5 }), 9, 0));
    assert.deepEqual(keysOf(store), ['c', 'd']);
  });

  it('is not undone by an older one of the same tag', () => {
    const store = createStore();
    store.invalidateTag('red', 5);
    store.invalidateTag('red', 2);
    assert.ok(store.isInvalidated(4, ['red']));
    assert.equal(store.isInvalidated(5, ['red']), false);
    assert.equal(store.isInvalidated(0, undefined), false);
  });

  it('follows the tags of the entry as it is, not as it was', () => {
    const store = createStore();
    store.put(putOf('a', 'v', { tags: ['red'] }), 1, 0);
    store.put(putOf('a', 'v', { tags: ['blue'] }), 2, 0);
    assert.deepEqual(store.invalidateTag('red', 3), []);
    assert.equal(store.invalidateTag('blue', 4).length, 1);
  });

  it('is forgotten below a clear, which says the same and more', () => {
    const store = createStore();
    store.invalidateTag('red', 5);
    store.clear(10);
    assert.ok(store.isInvalidated(4, ['red']));
    assert.ok(store.isInvalidated(9, ['red']));
    assert.equal(store.isInvalidated(10, ['red']), false);
    assert.deepEqual(store.invalidateTag('red', 9), []);
    assert.equal(store.isInvalidated(10, ['red']), false);
  });
});

describe('the floor', () => {
  it('ends what the log no longer has, and takes in nothing below it', () => {
    const store = createStore();
    for (let position = 1; position <= 5; position += 1) store.put(putOf(`k${position}`), position, 0);
    store.raiseFloor(4);
    assert.deepEqual(keysOf(store), ['k4', 'k5']);
    assert.equal(store.read('k1'), undefined);
    assert.equal(store.peek('k2'), undefined);
    store.sweep(0);
    assert.equal(store.size, 2);
    assert.equal(store.counters.floored, 3);
    assert.equal(store.put(putOf('late'), 3, 0), false);
    store.raiseFloor(2);
    assert.equal(store.put(putOf('late'), 3, 0), false);
  });

  it('does not end a loaded value whose own message is still there', () => {
    const store = createStore();
    store.put(putOf('a', 'v', { basis: 1, tags: ['t'] }), 10, 0);
    store.raiseFloor(10);
    assert.deepEqual(keysOf(store), ['a']);
    // A copy that begins now sees the same.
    const fresh = createStore();
    fresh.raiseFloor(10);
    assert.ok(fresh.put(putOf('a', 'v', { basis: 1, tags: ['t'] }), 10, 0));
  });

  it('takes in a tagged value that was loaded while the log was empty', () => {
    const store = createStore();
    store.raiseFloor(1);
    assert.ok(store.put(putOf('a', 'v', { basis: 0, tags: ['t'] }), 1, 0));
    store.raiseFloor(101);
    assert.ok(store.put(putOf('b', 'v', { basis: 100, tags: ['t'] }), 101, 0));
  });

  it('keeps obeying a tag invalidation that the log has dropped, without remembering its name', () => {
    const store = createStore();
    store.invalidateTag('red', 5);
    store.raiseFloor(8);
    assert.equal(store.put(putOf('a', 'v', { basis: 4, tags: ['red'] }), 9, 0), false);
    assert.ok(store.put(putOf('b', 'v', { basis: 5, tags: ['red'] }), 10, 0));
    assert.ok(store.put(putOf('c', 'v', { basis: 4 }), 11, 0));
  });
});

describe('a value that only this process has', () => {
  it('counts as old as its basis, and gives way to every event above', () => {
    const store = createStore();
    assert.ok(store.putLocal(putOf('a', 'mine'), 5, 0));
    assert.equal(store.read('a')?.isLocal, true);
    assert.equal(store.put(putOf('a', 'older'), 5, 0), false);
    assert.equal(store.remove('a', 5), false);
    assert.equal(valueIn(store.read('a')), 'mine');
    assert.ok(store.put(putOf('a', 'newer'), 6, 0));
    assert.equal(store.read('a')?.isLocal, false);
  });

  it('gives way to the first event of an empty log', () => {
    const store = createStore();
    store.raiseFloor(1);
    assert.ok(store.putLocal(putOf('a', 'mine'), 0, 0));
    assert.ok(store.put(putOf('a', 'first'), 1, 0));
    assert.equal(valueIn(store.read('a')), 'first');
  });

  it('replaces what it was loaded for, again and again, while the log stands still', () => {
    const store = createStore();
    store.put(putOf('a', 'old'), 5, 0);
    assert.ok(store.putLocal(putOf('a', 'one'), 5, 0));
    assert.ok(store.putLocal(putOf('a', 'two'), 5, 0));
    assert.equal(valueIn(store.read('a')), 'two');
    assert.equal(store.putLocal(putOf('a', 'late'), 4, 0), false);
  });

  it('is ended by clear, tag and floor like any other', () => {
    const store = createStore();
    store.putLocal(putOf('a'), 5, 0);
    store.putLocal(putOf('b', 'v', { tags: ['t'] }), 5, 0);
    assert.equal(store.invalidateTag('t', 6).length, 1);
    store.clear(6);
    assert.equal(store.size, 0);
    store.putLocal(putOf('c'), 10, 0);
    store.raiseFloor(11);
    assert.deepEqual(keysOf(store), ['c']);
    store.raiseFloor(12);
    assert.deepEqual(keysOf(store), []);
  });
});

describe('a reset', () => {
  it('forgets entries, clears, tags and floor, as before a replay', () => {
    const store = createStore();
    store.put({ ...putOf('a'), value: bytesOf('v') }, 50, 0);
    store.clear(10);
    store.invalidateTag('t', 20);
    store.raiseFloor(30);
    store.reset();
    assert.equal(store.size, 0);
    assert.equal(store.clearedAt, 0);
    assert.ok(store.put(putOf('a', 'v', { tags: ['t'], basis: 0 }), 1, 0));
    assert.equal(valueIn(store.read('a')), 'v');
  });
});
