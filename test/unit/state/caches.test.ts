/** Cache declarations: what may change, what may not, and that no two caches share a bucket. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { CacheDeclaration, ControlEvent } from '../../../src/events/control.ts';
import { bucketNames } from '../../../src/events/subjects.ts';
import {
  applyCaches,
  areSettingsEqual,
  type CachesState,
  cachesMax,
  decideDeclare,
  decideDrop,
  initCaches,
} from '../../../src/state/caches.ts';
import { specify } from '../../support/given-when-then.ts';

const spec = specify<CachesState, ControlEvent>({ init: initCaches, apply: applyCaches });

const settings: CacheDeclaration = {
  partitions: 1,
  replicas: 'all',
  logReplicas: 1,
  entriesMax: 1_000,
  bytesMax: 2_000,
  ttlMs: null,
  valueBytesMax: 3_000,
  logBytesMax: null,
  whenFull: 'drop-oldest',
};
const declared = (cache: string, changes: Partial<CacheDeclaration> = {}, by?: string): ControlEvent => ({
  type: 'cache.declared',
  cache,
  settings: { ...settings, ...changes },
  ...(by === undefined ? {} : { by }),
});
const dropped = (cache: string): ControlEvent => ({ type: 'cache.dropped', cache });

/** For each setting another value, and whether it is fixed. */
const changes: readonly (readonly [Partial<CacheDeclaration>, 'fixed' | 'free'])[] = [
  [{ partitions: 4 }, 'fixed'],
  [{ logReplicas: 3 }, 'fixed'],
  [{ logBytesMax: 9 }, 'fixed'],
  [{ whenFull: 'refuse' }, 'fixed'],
  [{ replicas: 2 }, 'free'],
  [{ entriesMax: 1 }, 'free'],
  [{ bytesMax: 1 }, 'free'],
  [{ ttlMs: 1 }, 'free'],
  [{ valueBytesMax: 1 }, 'free'],
];

describe('the caches of a log', () => {
  it('are those that were declared, with who did and where', () => {
    spec.given(declared('b'), declared('a', { partitions: 3 }, 'ann')).gives((state) => {
      assert.deepEqual(state.caches.get('a'), {
        settings: { ...settings, partitions: 3 },
        declaredAt: 2,
        changedAt: 2,
        by: 'ann',
      });
      assert.deepEqual(state.caches.get('b'), { settings, declaredAt: 1, changedAt: 1 });
    });
  });

  it('change when a later declaration changes what may change', () => {
    spec.given(declared('a', {}, 'ann'), declared('a', { ttlMs: 5 })).gives((state) => {
      assert.deepEqual(state.caches.get('a'), { settings: { ...settings, ttlMs: 5 }, declaredAt: 1, changedAt: 2 });
    });
  });

  it('stay as they are when the same is declared again', () => {
    spec.given(declared('a', {}, 'ann'), declared('a', {}, 'bob')).gives((state) => {
      assert.deepEqual(state.caches.get('a'), { settings, declaredAt: 1, changedAt: 1, by: 'ann' });
      assert.equal(state.ignored.declaredAgain, 1);
    });
  });

  it('keep their fixed settings against any later declaration: of two racing ones the first wins', () => {
    for (const [change, kind] of changes) {
      spec.given(declared('a'), declared('a', { ...change, entriesMax: 7 })).gives((state) => {
        assert.equal(state.caches.get('a')?.settings.entriesMax, kind === 'fixed' ? 1_000 : 7);
        assert.equal(state.ignored.declaredInConflict, kind === 'fixed' ? 1 : 0);
      });
    }
  });

  it('are gone when dropped, and may then be declared anew with other settings', () => {
    spec.given(declared('a'), dropped('a'), dropped('a')).gives((state) => {
      assert.equal(state.caches.size, 0);
      assert.equal(state.ignored.droppedUnknown, 1);
    });
    spec.given(declared('a'), dropped('a'), declared('a', { partitions: 2 })).gives((state) => {
      assert.deepEqual(state.caches.get('a'), {
        settings: { ...settings, partitions: 2 },
        declaredAt: 3,
        changedAt: 3,
      });
    });
  });

  it('never share a bucket: the one declared first keeps it', () => {
    for (const [first, second] of [
      [declared('a', { partitions: 4 }), declared('a-01')],
      [declared('a-01'), declared('a', { partitions: 4 })],
    ] as const) {
      spec.given(first, second).gives((state) => {
        assert.equal(state.caches.size, 1);
        assert.equal(state.ignored.declaredInConflict, 1);
      });
    }
    spec.given(declared('a', { partitions: 4 }), dropped('a'), declared('a-01')).gives((state) => {
      assert.deepEqual([...state.caches.keys()], ['a-01']);
    });
  });

  it('have a limit in number, below which known ones still change', () => {
    const crowd = Array.from({ length: cachesMax }, (_, index) => declared(`c${index}`));
    const situation = spec.given(...crowd, declared('late'), declared('c0', { ttlMs: 5 }));
    situation.gives((state) => {
      assert.equal(state.caches.size, cachesMax);
      assert.equal(state.caches.get('c0')?.settings.ttlMs, 5);
      assert.equal(state.ignored.declaredBeyondLimit, 1);
    });
    situation.when((state) => decideDeclare(state, { name: 'late', settings })).isRefused('rate-limited');
  });
});

describe('deciding to declare a cache', () => {
  it('gives the event of a new cache', () => {
    spec
      .given(declared('b'))
      .when((state) => decideDeclare(state, { name: 'a', settings, by: 'ann' }))
      .yields({ type: 'cache.declared', cache: 'a', settings, by: 'ann' });
    spec
      .given()
      .when((state) => decideDeclare(state, { name: 'a', settings }))
      .yields({ type: 'cache.declared', cache: 'a', settings });
  });

  it('gives nothing when the settings are in force, in whatever order they are written', () => {
    const reversed = Object.fromEntries(Object.entries(settings).reverse()) as CacheDeclaration;
    spec
      .given(declared('a'))
      .when((state) => decideDeclare(state, { name: 'a', settings: reversed, by: 'x' }))
      .isNothing();
  });

  it('gives the event for a change of what may change, and refuses the rest with the field and both values', () => {
    for (const [change, kind] of changes) {
      const wanted = { ...settings, ...change };
      const outcome = spec.given(declared('a')).when((state) => decideDeclare(state, { name: 'a', settings: wanted }));
      if (kind === 'free') {
        outcome.yields({ type: 'cache.declared', cache: 'a', settings: wanted });
        continue;
      }
      const [[field, value] = ['', undefined]] = Object.entries(change);
      assert.deepEqual(outcome.isRefused('settings-conflict').details, {
        cache: 'a',
        field,
        existing: settings[field as keyof CacheDeclaration],
        wanted: value,
      });
    }
  });

  it('refuses a cache that would share a bucket with another one', () => {
    const wide = { ...settings, partitions: 4 };
    const outer = spec.given(declared('a-01')).when((state) => decideDeclare(state, { name: 'a', settings: wide }));
    assert.deepEqual(outer.isRefused('settings-conflict').details, {
      cache: 'a',
      field: 'bucket',
      existing: 'a-01',
      wanted: 'a-01',
    });
    const inner = spec
      .given(declared('a', { partitions: 4 }))
      .when((state) => decideDeclare(state, { name: 'a-03', settings }));
    assert.deepEqual(inner.isRefused('settings-conflict').details, {
      cache: 'a-03',
      field: 'bucket',
      existing: 'a',
      wanted: 'a-03',
    });
  });

  it('allows names that only look like a bucket of another cache', () => {
    const history = [declared('a', { partitions: 4 }), declared('b')];
    for (const name of ['a-04', 'a-1', 'a-001', 'a-', 'a-x1', 'A-01', 'b-00', 'b-01', 'a01']) {
      const decided = spec
        .given(...history)
        .when((state) => decideDeclare(state, { name, settings }))
        .result();
      assert.equal(decided.length, 1, name);
    }
    const wide = spec
      .given(...history)
      .when((state) => decideDeclare(state, { name: 'a-01', settings: { ...settings, partitions: 2 } }));
    assert.equal(wide.result().length, 1, 'its buckets are a-01-00 and a-01-01');
  });

  it('finds shared buckets exactly as comparing all names does', () => {
    const cache = fc.record({
      name: fc.constantFrom('a', 'a-00', 'a-01', 'a-02', 'a-002', 'a-00-01', 'a-01-00', 'b', 'b-00', 'a-100', 'a-0100'),
      partitions: fc.constantFrom(1, 1, 2, 3, 101, 1_001),
    });
    fc.assert(
      fc.property(fc.array(cache, { maxLength: 5 }), cache, (existing, wanted) => {
        const { state } = spec.given(...existing.map(({ name, partitions }) => declared(name, { partitions })));
        const taken = new Set<string>();
        for (const [name, { settings: held }] of state.caches) {
          for (const bucket of bucketNames(name, held.partitions)) {
            assert.ok(!taken.has(bucket), `${bucket} is shared`);
            taken.add(bucket);
          }
        }
        if (state.caches.has(wanted.name)) return;
        const isShared = bucketNames(wanted.name, wanted.partitions).some((bucket) => taken.has(bucket));
        const outcome = spec
          .given(...existing.map(({ name, partitions }) => declared(name, { partitions })))
          .when((before) =>
            decideDeclare(before, { name: wanted.name, settings: { ...settings, partitions: wanted.partitions } }),
          );
        if (isShared) outcome.isRefused('settings-conflict');
        else assert.equal(outcome.result().length, 1);
      }),
      { numRuns: 500 },
    );
  });

  it('refuses the buckets that the cluster keeps for itself', () => {
    const reservedBuckets = ['sluice-checkpoint', 'x-01'];
    for (const [name, partitions] of [
      ['sluice-checkpoint', 1],
      ['x', 2],
      ['x-01', 1],
    ] as const) {
      const wanted = { name, settings: { ...settings, partitions }, reservedBuckets };
      spec
        .given()
        .when((state) => decideDeclare(state, wanted))
        .isRefused('bad-request');
    }
    const free = { name: 'x', settings, reservedBuckets };
    assert.equal(
      spec
        .given()
        .when((state) => decideDeclare(state, free))
        .result().length,
      1,
    );
  });
});

describe('deciding to drop a cache', () => {
  it('gives the event when it is declared, and nothing when not', () => {
    spec
      .given(declared('a'))
      .when((state) => decideDrop(state, { name: 'a', by: 'ann' }))
      .yields({ type: 'cache.dropped', cache: 'a', by: 'ann' });
    spec
      .given(declared('a'))
      .when((state) => decideDrop(state, { name: 'b' }))
      .isNothing();
    spec
      .given(declared('a'), dropped('a'))
      .when((state) => decideDrop(state, { name: 'a' }))
      .isNothing();
  });
});

describe('two declarations', () => {
  it('are equal when every setting is', () => {
    assert.ok(areSettingsEqual(settings, { ...settings }));
    for (const [change] of changes) assert.ok(!areSettingsEqual(settings, { ...settings, ...change }));
  });

  it('are compared in every setting there is', () => {
    assert.deepEqual(changes.map(([change]) => Object.keys(change)[0]).sort(), Object.keys(settings).sort());
  });
});
