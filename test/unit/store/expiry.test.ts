/** An entry lives to its own time, to the millisecond, by whatever quick check it is decided. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createEntryStore, type EntryStore } from '../../../src/store/entry-store.ts';
import { createFakeClock, type FakeClock } from '../../../src/testing/fake-clock.ts';
import { keysOf, putOf } from '../../support/entries.ts';

function setUp(expiryToleranceMs = 0): { readonly clock: FakeClock; readonly store: EntryStore } {
  const clock = createFakeClock();
  return { clock, store: createEntryStore(clock, { entriesMax: 1_000, bytesMax: 10_000_000, expiryToleranceMs }) };
}

describe('an entry with an expiry', () => {
  it('is served up to the last millisecond and not at its expiry', async () => {
    for (const lifeMs of [1, 2, 999, 1_000, 1_023, 1_024, 1_025, 2_047, 2_048, 60_000, 3_600_000]) {
      const { clock, store } = setUp();
      store.put(putOf('a', 'v', { expiresAtMs: clock.now() + lifeMs }), 1, clock.now());
      await clock.advance(lifeMs - 1);
      assert.ok(store.read('a'), `${lifeMs} ms: alive 1 ms before its end`);
      await clock.advance(1);
      assert.equal(store.read('a'), undefined, `${lifeMs} ms: over at its end`);
      assert.equal(store.counters.expirations, 1);
      assert.equal(store.size, 0);
    }
  });

  it('is decided exactly, whenever the store was made and wherever its second begins', () => {
    return fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 5_000 }),
        fc.integer({ min: 1, max: 6_000 }),
        fc.integer({ min: 0, max: 6_000 }),
        fc.constantFrom(0, 250, 1_500),
        async (startMs, lifeMs, waitMs, toleranceMs) => {
          const clock = createFakeClock({ nowMs: 1_000_000_000_000 + startMs });
          const store = createEntryStore(clock, {
            entriesMax: 10,
            bytesMax: 10_000,
            expiryToleranceMs: toleranceMs,
          });
          store.put(putOf('a', 'v', { expiresAtMs: clock.now() + lifeMs }), 1, clock.now());
          store.read('a');
          await clock.advance(waitMs);
          assert.equal(store.read('a') !== undefined, waitMs < lifeMs + toleranceMs);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('is served for the tolerance longer, and no longer when the tolerance shrinks', async () => {
    const { clock, store } = setUp(500);
    store.put(putOf('a', 'v', { expiresAtMs: clock.now() + 100 }), 1, clock.now());
    await clock.advance(400);
    assert.ok(store.peek('a'));
    store.setLimits({ entriesMax: 1_000, bytesMax: 10_000_000 });
    assert.equal(store.peek('a'), undefined);
  });

  it('is not taken in when it is over already, and removes what it replaced', () => {
    const { clock, store } = setUp();
    store.put(putOf('a', 'old'), 1, clock.now());
    assert.equal(store.put(putOf('a', 'new', { expiresAtMs: clock.now() - 1 }), 2, clock.now()), false);
    assert.equal(store.read('a'), undefined);
    assert.equal(store.put(putOf('b', 'v', { expiresAtMs: clock.now() - 10_000_000 }), 3, clock.now()), false);
    assert.equal(store.size, 0);
  });

  it('lives for ever when its expiry is Infinity or centuries away', async () => {
    const { clock, store } = setUp();
    store.put(putOf('a', 'v', { expiresAtMs: Number.POSITIVE_INFINITY }), 1, 0);
    store.put(putOf('b', 'v', { expiresAtMs: clock.now() + 3e12 }), 2, 0);
    clock.jump(1e11);
    await clock.advance(10);
    assert.deepEqual(keysOf(store), ['a', 'b']);
  });

  it('follows the wall clock when that jumps, in both directions', async () => {
    const { clock, store } = setUp();
    store.put(putOf('a', 'v', { expiresAtMs: clock.now() + 5_000 }), 1, 0);
    store.put(putOf('b', 'v', { expiresAtMs: clock.now() + 60_000 }), 2, 0);
    clock.jump(-3_600_000);
    await clock.advance(10_000);
    assert.ok(store.peek('a'));
    clock.jump(3_600_000);
    await clock.advance(2);
    assert.equal(store.peek('a'), undefined);
    assert.ok(store.peek('b'));
  });

  it('is left out of a listing before it is removed', async () => {
    const { clock, store } = setUp();
    store.put(putOf('a', 'v', { expiresAtMs: clock.now() + 100 }), 1, 0);
    store.put(putOf('b'), 2, 0);
    await clock.advance(100);
    assert.deepEqual(keysOf(store), ['b']);
    assert.equal(store.size, 2);
  });
});

describe('sweeping', () => {
  it('removes what has expired without a read, in steps of the given size', async () => {
    const { clock, store } = setUp();
    for (let index = 0; index < 100; index += 1) {
      store.put(putOf(`short ${index}`, 'v', { expiresAtMs: clock.now() + 100, tags: ['t'] }), 1 + index, 0);
      store.put(putOf(`long ${index}`, 'v', { expiresAtMs: clock.now() + 100_000 }), 101 + index, 0);
    }
    await clock.advance(200);
    store.sweep(50);
    assert.equal(store.counters.expirations, 25);
    for (let round = 0; round < 10; round += 1) store.sweep(50);
    assert.equal(store.counters.expirations, 100);
    assert.equal(store.size, 100);
    assert.deepEqual(store.invalidateTag('t', 1_000), []);
  });

  it('comes round to entries that were added while it was under way', async () => {
    const { clock, store } = setUp();
    for (let round = 0; round < 20; round += 1) {
      for (let index = 0; index < 10; index += 1)
        store.put(putOf(`${round}/${index}`, 'v', { expiresAtMs: clock.now() + 50 }), 1 + round * 10 + index, 0);
      store.sweep(7);
      await clock.advance(10);
    }
    await clock.advance(100);
    for (let round = 0; round < 60; round += 1) store.sweep(7);
    assert.equal(store.size, 0);
    assert.equal(store.bytes, 0);
  });

  it('costs nothing for entries that never expire', () => {
    const { store } = setUp();
    for (let index = 0; index < 100; index += 1) store.put(putOf(`${index}`), 1 + index, 0);
    store.sweep(1_000);
    assert.equal(store.size, 100);
  });
});
