/** What a store lets go when it is compared with the positions of its log. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { compareWithLog } from '../../../src/store/comparison.ts';
import { createEntryStore, type EntryStore } from '../../../src/store/entry-store.ts';
import { createFakeClock } from '../../../src/testing/fake-clock.ts';
import { keysOf, putOf } from '../../support/entries.ts';

const clock = createFakeClock();
const createStore = (): EntryStore => createEntryStore(clock, { entriesMax: 100_000, bytesMax: 1_000_000_000 });

describe('a store that is compared with its log', () => {
  it('lets exactly that go of which the log has no message any more', async () => {
    const positions = fc.uniqueArray(fc.integer({ min: 1, max: 40 }));
    await fc.assert(
      fc.asyncProperty(positions, positions, fc.integer({ min: 0, max: 45 }), async (held, there, through) => {
        const store = createStore();
        for (const position of held) store.put(putOf(`k${position}`), position, 0);
        let told = 0;
        const comparison = compareWithLog(store, clock, () => {
          told += 1;
        });
        for (const position of there.toSorted((a, b) => a - b)) if (position <= through) comparison.met(position);
        const kept = held.filter((position) => position > through || there.includes(position));
        const dropped = held.length - kept.length;
        assert.equal(await comparison.end(through), dropped);
        assert.deepEqual(keysOf(store), kept.map((position) => `k${position}`).toSorted());
        assert.equal(told, dropped > 0 ? 1 : 0);
      }),
    );
  });

  it('leaves alone what has changed meanwhile, and what came', async () => {
    const store = createStore();
    for (const [index, key] of ['a', 'b', 'c', 'd'].entries()) store.put(putOf(key), index + 1, 0);
    const comparison = compareWithLog(store, clock, () => undefined);
    store.put(putOf('a', 'newer'), 9, 0);
    store.remove('b', 10);
    store.putLocal(putOf('c'), 8, 0);
    store.put(putOf('late'), 10, 0);
    assert.equal(await comparison.end(8), 1);
    assert.deepEqual(keysOf(store), ['a', 'c', 'late']);
  });

  it('lets loaded values go that the log never had, and which something that has left no trace may have overtaken', async () => {
    const store = createStore();
    for (const [index, key] of ['before', 'at', 'after'].entries()) store.putLocal(putOf(key), 7 + index, 0);
    let told = 0;
    const comparison = compareWithLog(store, clock, () => {
      told += 1;
    });
    assert.equal(await comparison.end(8), 0);
    assert.deepEqual([keysOf(store), told], [['after', 'at'], 0]);
  });

  it('lets others have their turn, and judges what they leave', async () => {
    const store = createStore();
    for (let position = 1; position <= 25_000; position += 1) store.put(putOf(`k${position}`), position, 0);
    const comparison = compareWithLog(store, clock, () => undefined);
    for (let position = 2; position <= 25_000; position += 1) comparison.met(position);
    const ending = comparison.end(25_000);
    await clock.settle();
    assert.ok(clock.timers > 0);
    // Looked at last, and replaced before: the log has the new one.
    store.put(putOf('k1', 'newer'), 25_001, 0);
    await clock.advance(10);
    assert.equal(await ending, 0);
    assert.equal(store.size, 25_000);
  });
});
