/** Objects with getters on their prototype: they behave like literals, and the engine does not keep them as hash tables. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInThisContext } from 'node:vm';
import { systemClock } from '../../../src/base/clock.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { withGetters } from '../../../src/base/with-getters.ts';
import { bucketSubjects } from '../../../src/events/subjects.ts';
import { createMemoryLog } from '../../../src/log/memory-log.ts';
import { createPartitionView } from '../../../src/replay/partition-view.ts';

interface Counter {
  readonly count: number;
  readonly isZero: boolean;
  add(): void;
}

function createCounter(): Counter {
  let count = 0;
  const getters = { count: () => count, isZero: () => count === 0 };
  return withGetters<Counter, keyof typeof getters>(getters, {
    add() {
      count += 1;
    },
  });
}

/** A question to the engine that has no official form. */
function createFastCheck(): (object: object) => boolean {
  setFlagsFromString('--allow-natives-syntax');
  const isFast = runInThisContext('(object) => %HasFastProperties(object)');
  // A function is read at its first call.
  isFast({});
  setFlagsFromString('--no-allow-natives-syntax');
  return isFast;
}

describe('an object with getters', () => {
  const isFast = createFastCheck();

  it('shows what is true now', () => {
    const [one, other] = [createCounter(), createCounter()];
    assert.deepEqual([one.count, one.isZero], [0, true]);
    one.add();
    assert.deepEqual([one.count, one.isZero, other.count], [1, false, 0]);
  });

  it('cannot be set', () => {
    assert.throws(() => Object.assign(createCounter(), { count: 7 }), TypeError);
  });

  it('is of one kind with its like, and no hash table', () => {
    assert.equal(Object.getPrototypeOf(createCounter()), Object.getPrototypeOf(createCounter()));
    assert.equal(isFast(createCounter()), true);
    const literal = {
      get count() {
        return 0;
      },
    };
    assert.equal(isFast(literal), false, 'literals with getters are quick now: this file has no reason any more');
  });

  it('is what hits and events pass through', () => {
    const log = createMemoryLog({ name: 'KV_demo', clock: systemClock });
    const view = createPartitionView({
      log,
      subjects: bucketSubjects('sluice', 'demo'),
      clock: systemClock,
      random: systemRandom,
      store: { entriesMax: 10, bytesMax: 10_000 },
    });
    for (const object of [view, view.store, view.follower]) assert.equal(isFast(object), true);
  });
});
