/** Values that are shown without a look at their entry: never for longer than the entry is valid. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createEntryStore, type EntryStore } from '../../../src/store/entry-store.ts';
import { createFakeClock, type FakeClock } from '../../../src/testing/fake-clock.ts';
import { putOf } from '../../support/entries.ts';

interface World {
  readonly clock: FakeClock;
  readonly store: EntryStore;
}

function createWorld(entriesMax = 1_000, bytesMax = 1_000_000): World {
  const clock = createFakeClock();
  return { clock, store: createEntryStore(clock, { entriesMax, bytesMax }) };
}

/** Shows the entry itself as the value of each key, as far as the store goes along. */
function show(store: EntryStore, ...keys: string[]): void {
  for (const key of keys) {
    const entry = store.read(key);
    if (entry !== undefined) store.show(entry, entry);
  }
}

const shownKeys = (store: EntryStore): string[] =>
  [...store.shown.keys()].filter((key) => store.shown.get(key) !== undefined).sort();

describe('a shown value', () => {
  it('is there until its key is put or removed', () => {
    const { store } = createWorld();
    for (const [index, key] of [...'abc'].entries()) store.put(putOf(key), index + 1, 0);
    show(store, 'a', 'b', 'c');
    assert.deepEqual(shownKeys(store), ['a', 'b', 'c']);
    store.put(putOf('a', 'again'), 4, 0);
    store.remove('b', 5);
    assert.deepEqual(shownKeys(store), ['c']);
  });

  it('is gone after a clear, an invalidation of its tag, a reset', () => {
    const { store } = createWorld();
    store.put(putOf('a'), 1, 0);
    store.put(putOf('b', 'value', { tags: ['t'] }), 2, 0);
    show(store, 'a', 'b');
    store.invalidateTag('t', 3);
    assert.deepEqual(shownKeys(store), ['a']);
    store.clear(4);
    assert.deepEqual(shownKeys(store), []);
    store.put(putOf('a'), 5, 0);
    show(store, 'a');
    assert.deepEqual(shownKeys(store), ['a']);
    store.reset();
    assert.deepEqual(shownKeys(store), []);
  });

  it('is gone some seconds before its life ends, and read in the store from then on', async () => {
    const { clock, store } = createWorld();
    store.put(putOf('a', 'value', { expiresAtMs: clock.now() + 10_000 }), 1, 0);
    store.put(putOf('b'), 2, 0);
    show(store, 'a', 'b');
    await clock.advance(6_000);
    assert.deepEqual(shownKeys(store), ['a', 'b']);
    await clock.advance(3_990);
    assert.deepEqual(shownKeys(store), ['b']);
    assert.ok(store.read('a'));
    show(store, 'a');
    assert.deepEqual(shownKeys(store), ['b']);
    await clock.advance(10);
    assert.equal(store.read('a'), undefined);
  });

  it('wakes nobody where nothing expires', () => {
    const { clock, store } = createWorld();
    const { timers } = clock;
    store.put(putOf('a'), 1, 0);
    show(store, 'a');
    assert.deepEqual([shownKeys(store), clock.timers - timers], [['a'], 0]);
  });

  it('takes over a new life that the log gives its entry', async () => {
    const { clock, store } = createWorld();
    const long = { expiresAtMs: clock.now() + 1_000_000 };
    store.put(putOf('a', 'value', long), 1, 0);
    show(store, 'a');
    store.put(putOf('a', 'value', { expiresAtMs: clock.now() + 5_000 }), 1, 0);
    show(store, 'a');
    await clock.advance(5_000);
    assert.deepEqual(shownKeys(store), []);
    assert.equal(store.read('a'), undefined);
  });

  it('is gone before the floor passes its entry', () => {
    const { store } = createWorld();
    for (let position = 1; position <= 320; position += 1) store.put(putOf(`key ${position}`), position, 0);
    for (let position = 1; position <= 320; position += 1) show(store, `key ${position}`);
    assert.equal(store.shown.size, 320);
    store.raiseFloor(2);
    // With a sixteenth of the log above the floor, so that it need not be looked for again soon.
    assert.equal(store.shown.size, 320 - 21);
    assert.ok(store.read('key 2'));
    show(store, 'key 2');
    assert.equal(store.shown.has('key 2'), false);
    store.raiseFloor(200);
    for (let position = 1; position < 200; position += 1) assert.equal(store.shown.has(`key ${position}`), false);
    assert.equal(store.shown.has('key 320'), true);
  });

  it('is never one that only this process has', () => {
    const { store } = createWorld();
    store.putLocal(putOf('a'), 7, 0);
    show(store, 'a');
    assert.deepEqual(shownKeys(store), []);
  });

  it('is left out when the entry is not the one that the store holds', () => {
    const { store } = createWorld();
    store.put(putOf('a'), 1, 0);
    const old = store.read('a');
    store.put(putOf('a', 'newer'), 2, 0);
    assert.ok(old);
    store.show(old, 'old');
    assert.deepEqual(shownKeys(store), []);
  });
});

describe('a store that is half full', () => {
  it('shows nothing, and so learns again what is used before anything has to go', () => {
    const { store } = createWorld(8);
    for (const [index, key] of [...'abcd'].entries()) store.put(putOf(key), index + 1, 0);
    show(store, 'a', 'b', 'c', 'd');
    assert.deepEqual(shownKeys(store), ['a', 'b', 'c', 'd']);
    store.put(putOf('e'), 5, 0);
    assert.deepEqual(shownKeys(store), []);
    show(store, 'a');
    assert.deepEqual(shownKeys(store), []);
    for (const [index, key] of [...'fghij'].entries()) store.put(putOf(key), index + 6, 0);
    assert.ok(store.peek('a'), 'was used');
    assert.equal(store.peek('b'), undefined);
  });

  it('shows again when it is a quarter full', () => {
    const { store } = createWorld(8);
    for (const [index, key] of [...'abcde'].entries()) store.put(putOf(key), index + 1, 0);
    store.remove('a', 6);
    store.remove('b', 7);
    show(store, 'c');
    assert.deepEqual(shownKeys(store), []);
    store.remove('d', 8);
    show(store, 'c', 'e');
    assert.deepEqual(shownKeys(store), ['c', 'e']);
  });

  it('counts bytes as well', () => {
    const { store } = createWorld(1_000, 4_000);
    store.put(putOf('a'), 1, 0);
    show(store, 'a');
    store.put(putOf('b', 'x'.repeat(1_500)), 2, 0);
    assert.deepEqual(shownKeys(store), []);
  });

  it('begins to show when its limits are widened', () => {
    const { store } = createWorld(2);
    for (const [index, key] of [...'ab'].entries()) store.put(putOf(key), index + 1, 0);
    show(store, 'a');
    assert.deepEqual(shownKeys(store), []);
    store.setLimits({ entriesMax: 100, bytesMax: 1_000_000 });
    show(store, 'a');
    assert.deepEqual(shownKeys(store), ['a']);
  });
});

const key = fc.constantFrom(...'abcdefgh');
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('show' as const), key }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('put' as const),
      key,
      lifeMs: fc.constantFrom(Number.POSITIVE_INFINITY, 500, 3_000, 20_000),
      tags: fc.constantFrom(undefined, ['t'], ['u']),
      isAgain: fc.boolean(),
    }),
  },
  fc.record({ do: fc.constant('putLocal' as const), key }),
  fc.record({ do: fc.constant('remove' as const), key }),
  fc.record({ do: fc.constant('clear' as const) }),
  fc.record({ do: fc.constant('invalidate' as const), tag: fc.constantFrom('t', 'u') }),
  fc.record({ do: fc.constant('floor' as const), below: fc.nat(12) }),
  fc.record({ do: fc.constant('advance' as const), ms: fc.constantFrom(1, 400, 1_024, 7_000) }),
  fc.record({
    do: fc.constant('limits' as const),
    entriesMax: fc.constantFrom(4, 12, 100),
    toleranceMs: fc.nat(2_000),
  }),
);

describe('whatever happens', () => {
  it('a shown value is the value of an entry that is valid now', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const { clock, store } = createWorld(100);
        let last = 0;
        for (const now of steps) {
          if (now.do === 'show') show(store, now.key);
          if (now.do === 'put') {
            if (!now.isAgain || last === 0) last += 1;
            store.put(
              putOf(now.key, 'v', { expiresAtMs: clock.now() + now.lifeMs, tags: now.tags }),
              last,
              clock.now(),
            );
          }
          if (now.do === 'putLocal') store.putLocal(putOf(now.key), last, clock.now());
          if (now.do === 'remove') store.remove(now.key, ++last);
          if (now.do === 'clear') store.clear(++last);
          if (now.do === 'invalidate') store.invalidateTag(now.tag, ++last);
          if (now.do === 'floor') store.raiseFloor(Math.max(0, last - now.below));
          if (now.do === 'advance') await clock.advance(now.ms);
          if (now.do === 'limits')
            store.setLimits({
              entriesMax: now.entriesMax,
              bytesMax: 1_000_000,
              expiryToleranceMs: now.toleranceMs,
            });
          assert.ok(store.shown.size <= store.size, 'no place is kept for what is not held');
          for (const [shownKey, value] of [...store.shown])
            if (value !== undefined) assert.equal(store.peek(shownKey), value, now.do);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
