/** How much a store keeps, what it lets go first, and what it says about that. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  createEntryStore,
  type EntryStore,
  entryBytes,
  entryOverheadBytes,
  tagOverheadBytes,
} from '../../../src/store/entry-store.ts';
import { createFakeClock } from '../../../src/testing/fake-clock.ts';
import { keysOf, putOf, valueIn } from '../../support/entries.ts';

const roomy = 1_000_000;

function createStore(entriesMax: number, bytesMax = roomy): EntryStore {
  return createEntryStore(createFakeClock(), { entriesMax, bytesMax });
}

function fill(store: EntryStore, keys: string, from = 1): void {
  for (const [index, key] of [...keys].entries()) store.put(putOf(key), from + index, 0);
}

describe('a store limited by entries', () => {
  it('keeps as many as allowed and lets the one go that was used longest ago', () => {
    const store = createStore(3);
    fill(store, 'abc');
    store.read('a');
    fill(store, 'd', 4);
    assert.deepEqual(keysOf(store), ['a', 'c', 'd']);
    assert.equal(store.size, 3);
    assert.equal(store.counters.evictedByEntries, 1);
    assert.equal(store.counters.evictedByBytes, 0);
  });

  it('counts a replacement as use, and a peek as none', () => {
    const store = createStore(3);
    fill(store, 'abc');
    store.put(putOf('a', 'again'), 4, 0);
    store.peek('b');
    fill(store, 'd', 5);
    assert.deepEqual(keysOf(store), ['a', 'c', 'd']);
    assert.equal(store.counters.hits, 0);
  });

  it('evicts the same as a list that is sorted by use, whatever is done', () => {
    const step = fc.tuple(fc.constantFrom('put', 'read', 'remove'), fc.constantFrom(...'abcdefgh'));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.integer({ min: 1, max: 5 }), (steps, entriesMax) => {
        const store = createStore(entriesMax);
        let order: string[] = [];
        for (const [index, [verb, key]] of steps.entries()) {
          const isHeld = order.includes(key);
          if (verb === 'put') store.put(putOf(key), index + 1, 0);
          else if (verb === 'read') assert.equal(store.read(key) !== undefined, isHeld);
          else store.remove(key, index + 1);
          const rest = order.filter((other) => other !== key);
          if (verb === 'put' || (verb === 'read' && isHeld)) order = [...rest, key].slice(-entriesMax);
          else order = rest;
          assert.deepEqual(keysOf(store), [...order].sort());
        }
      }),
    );
  });
});

describe('a store limited by bytes', () => {
  it('counts value, key, tags and a stated overhead', () => {
    assert.equal(entryBytes('key', 10), 10 + 2 * 3 + entryOverheadBytes);
    assert.equal(entryBytes('key', 10, ['ab', 'c']), entryBytes('key', 10) + 2 * 3 + 2 * tagOverheadBytes);
    const store = createStore(10);
    store.put(putOf('a', 'xyz', { tags: ['red'] }), 1, 0);
    assert.equal(store.bytes, entryBytes('a', 3, ['red']));
  });

  it('makes room by letting the oldest go, and never exceeds the limit', () => {
    const bytesMax = 3 * entryBytes('a', 100);
    const store = createStore(1_000, bytesMax);
    for (const [index, key] of [...'abcdef'].entries()) {
      store.put(putOf(key, 'x'.repeat(100)), index + 1, 0);
      assert.ok(store.bytes <= bytesMax);
    }
    assert.deepEqual(keysOf(store), ['d', 'e', 'f']);
    assert.equal(store.counters.evictedByBytes, 3);
    assert.equal(store.counters.evictedByEntries, 0);
  });

  it('does not keep a value that can never fit, drops what that replaced, and leaves the others alone', () => {
    const store = createStore(10, 2 * entryBytes('a', 5));
    fill(store, 'ab');
    assert.equal(store.put(putOf('a', 'x'.repeat(5_000)), 3, 0), false);
    assert.deepEqual(keysOf(store), ['b']);
    assert.ok(store.hasEvicted);
  });

  it('counts to exactly 0 when all is gone, whatever happened before', () => {
    const tags = fc.option(fc.uniqueArray(fc.constantFrom('red', 'blue', 'green'), { maxLength: 3 }), {
      nil: undefined,
    });
    const step = fc.tuple(
      fc.constantFrom('put', 'put', 'put', 'remove', 'tag', 'clear', 'floor', 'limits'),
      fc.constantFrom(...'abcdef'),
      fc.nat(900),
      tags,
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const store = createStore(4, 5_000);
        let position = 0;
        for (const [verb, key, size, tagged] of steps) {
          position += 1;
          if (verb === 'put') store.put(putOf(key, 'x'.repeat(size), { tags: tagged }), position, 0);
          if (verb === 'remove') store.remove(key, position);
          if (verb === 'tag') store.invalidateTag(tagged?.[0] ?? 'red', position);
          if (verb === 'clear') store.clear(position);
          if (verb === 'floor') store.raiseFloor(position - 3);
          if (verb === 'limits') store.setLimits({ entriesMax: 1 + (size % 5), bytesMax: 3_000 + size });
          store.sweep(0);
          const counted = [...store.entries()].reduce((sum, entry) => sum + entry.bytes, 0);
          assert.equal(store.bytes, counted);
        }
        for (const entry of [...store.entries()]) store.remove(entry.key, position + 1);
        assert.equal(store.bytes, 0);
        assert.equal(store.size, 0);
        // No entry is left in the index of tags either.
        for (const tag of ['red', 'blue', 'green']) assert.deepEqual(store.invalidateTag(tag, position + 2), []);
      }),
    );
  });
});

describe('what a store says of its evictions', () => {
  it('admits that a miss may not be the last word only once it had to let an entry go', () => {
    const store = createStore(2);
    fill(store, 'ab');
    store.remove('a', 3);
    assert.equal(store.hasEvicted, false);
    fill(store, 'cd', 4);
    assert.equal(store.hasEvicted, true);
  });

  it('is complete again after a clear that leaves nothing, and after a reset', () => {
    const store = createStore(2);
    fill(store, 'abc');
    store.clear(10);
    assert.equal(store.hasEvicted, false);
    fill(store, 'abc', 11);
    store.reset();
    assert.equal(store.hasEvicted, false);
    assert.equal(store.size, 0);
    assert.equal(store.bytes, 0);
  });

  it('stays incomplete after a clear below which something newer is held', () => {
    const store = createStore(2);
    fill(store, 'abc', 20);
    store.clear(10);
    assert.equal(store.hasEvicted, true);
    assert.deepEqual(keysOf(store), ['b', 'c']);
  });

  it('does not call it an eviction when an expired or a local entry makes room', async () => {
    const clock = createFakeClock();
    const store = createEntryStore(clock, { entriesMax: 2, bytesMax: roomy });
    store.put(putOf('a', '1', { expiresAtMs: clock.now() + 100 }), 1, 0);
    store.putLocal(putOf('b'), 1, 0);
    await clock.advance(200);
    fill(store, 'cd', 5);
    assert.deepEqual(keysOf(store), ['c', 'd']);
    assert.equal(store.hasEvicted, false);
    assert.equal(store.counters.expirations, 1);
    assert.equal(store.counters.evictedByEntries, 1);
  });

  it('takes over new limits at once, the oldest going first, and goes on with the same order of use', () => {
    const store = createStore(5);
    fill(store, 'abcde');
    store.read('a');
    store.setLimits({ entriesMax: 3, bytesMax: roomy });
    assert.deepEqual(keysOf(store), ['a', 'd', 'e']);
    assert.equal(store.counters.evictedByEntries, 2);
    store.setLimits({ entriesMax: 5, bytesMax: roomy });
    fill(store, 'fg', 6);
    assert.equal(store.size, 5);
    assert.ok(store.hasEvicted);
    store.setLimits({ entriesMax: 5, bytesMax: entryBytes('a', 5) });
    assert.deepEqual(keysOf(store), ['g']);
    assert.ok(store.counters.evictedByBytes > 0);
  });

  it('lets only the value go that is too large under new limits, when the others have room', () => {
    const store = createStore(5, 100_000);
    store.put(putOf('big', 'x'.repeat(10_000)), 1, 0);
    fill(store, 'ab', 2);
    store.read('big');
    store.setLimits({ entriesMax: 5, bytesMax: 5_000 });
    assert.deepEqual(keysOf(store), ['a', 'b']);
  });
});

describe('values in a store', () => {
  it('are copies: what their bringer does to its bytes later changes nothing', () => {
    for (const size of [3, 4_000]) {
      const store = createStore(5);
      const bytes = new Uint8Array(size).fill(7);
      store.put({ ...putOf('a'), value: bytes }, 1, 0);
      const entry = store.toEntry({ ...putOf('b'), value: bytes }, 2, 0);
      bytes.fill(9);
      assert.deepEqual(store.read('a')?.value, new Uint8Array(size).fill(7));
      assert.deepEqual(entry.value, new Uint8Array(size).fill(7));
    }
  });

  it('stay what they were for whoever holds the entry when it is replaced or removed', () => {
    const store = createStore(5);
    store.put(putOf('a', 'old'), 1, 0);
    const old = store.read('a');
    store.put(putOf('a', 'new'), 2, 0);
    for (let index = 0; index < 5_000; index += 1) store.put(putOf('b', `filler ${index}`), 3 + index, 0);
    assert.equal(valueIn(old), 'old');
    assert.equal(valueIn(store.read('a')), 'new');
  });
});
