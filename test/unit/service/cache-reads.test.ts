/** Reading from a cache: from memory, with demands, from the log, from others; and listing its keys. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { Position } from '../../../src/events/record.ts';
import { bucketSubjects } from '../../../src/events/subjects.ts';
import { createMemoryLog } from '../../../src/log/memory-log.ts';
import { partitionOf } from '../../../src/placement/partition.ts';
import { createPartitionView } from '../../../src/replay/partition-view.ts';
import { createCache, type PartitionAccess } from '../../../src/service/cache.ts';
import type { CacheService, ReadOptions, ReadResult, RemoteReader } from '../../../src/service/cache-service.ts';
import { createFakeClock } from '../../../src/testing/fake-clock.ts';
import { createSeededRandom } from '../../../src/testing/seeded-random.ts';
import { bytesOf, textOf } from '../../support/entries.ts';
import {
  createPartitionWorld,
  defaultSettings,
  type PartitionWorld,
  type Process,
} from '../../support/partition-world.ts';
import { refusalOf } from '../../support/refusals.ts';

let world: PartitionWorld;
let a: Process;
beforeEach(async () => {
  world = createPartitionWorld();
  a = await world.process('a');
});
afterEach(() => world.stop());

const textIn = ({ found }: ReadResult): string | undefined => textOf(found?.value);
const read = async (process: Process, key: string, options?: ReadOptions): Promise<string | undefined> =>
  textIn(await process.cache.get(key, options));

describe('a local read', () => {
  it('answers from memory without asking anybody, with the position that it is as new as', async () => {
    await a.put('k', 'v');
    await world.clock.settle();
    a.log.isReachable = false;
    assert.equal(await read(a, 'k'), 'v');
    assert.deepEqual(await a.cache.get('absent'), { found: undefined, position: 1 });
  });

  it('asks the log for what memory had evicted, unless it is told not to', async () => {
    const small = await world.process('small', { store: { entriesMax: 1, bytesMax: 1_000_000 } });
    const deaf = await world.process('deaf', { store: { entriesMax: 1, bytesMax: 1_000_000 }, onMiss: 'none' });
    await world.stranger.put('k', 'v');
    await world.stranger.put('l', 'v');
    await world.clock.settle();
    assert.equal(await read(small, 'k'), 'v');
    assert.equal(await read(deaf, 'k'), undefined);
    small.log.isReachable = false;
    await refusalOf('log-unavailable', small.cache.get('l'));
    assert.equal(await read(small, 'k'), 'v');
  });

  it('refuses a bad key', async () => {
    await refusalOf('bad-key', a.cache.get(''));
  });

  it('never says that a key is absent which was only replaced by something still on its way', async () => {
    a.log.isReachable = false;
    for (const [key, value] of [
      ['k', 'first'],
      ['x', '1'],
      ['y', '1'],
      ['k', 'second'],
    ] as const)
      await world.stranger.put(key, value);
    a.log.hold();
    a.log.isReachable = true;
    await world.clock.advance(3_000);
    a.log.deliver(2);
    const { found, position } = await a.cache.get('k');
    assert.equal(textOf(found?.value), 'second');
    assert.equal(position, 4);
    assert.equal((await a.cache.get('x')).position, 2);
  });
});

describe('a read that demands a position', () => {
  it('waits until the copy has it (G3)', async () => {
    a.log.hold();
    const position = await world.stranger.put('k', 'v');
    await world.clock.settle();
    const answer = a.cache.get('k', { minPosition: position });
    await world.clock.advance(500);
    a.log.release();
    assert.deepEqual([textIn(await answer), (await answer).position], ['v', position]);
  });

  it('fails as stale after its wait, naming what it has and what was demanded', async () => {
    const refused = refusalOf('stale', a.cache.get('k', { minPosition: 7, waitMs: 200 }));
    await world.clock.advance(199);
    let isOver = false;
    void refused.finally(() => {
      isOver = true;
    });
    await world.clock.settle();
    assert.equal(isOver, false);
    await world.clock.advance(1);
    const { details } = await refused;
    assert.deepEqual([details['applied'], details['position']], [0, 7]);
  });

  it('waits as long as the cache allows when it says nothing itself', async () => {
    const refused = refusalOf('stale', a.cache.get('k', { minPosition: 7 }));
    await world.clock.advance(1_000);
    await refused;
  });

  it('is not satisfied by a value that was replaced below the position', async () => {
    // The log has this for ever, so its floor does not rise over what is held here.
    await a.put('anchor', 'v');
    await a.put('k', 'zeroth');
    await world.clock.settle();
    a.log.isReachable = false;
    const demanded = await world.stranger.put('k', 'first');
    await world.stranger.put('x', '1');
    await world.stranger.put('y', '1');
    await world.stranger.put('k', 'second');
    a.log.hold();
    a.log.isReachable = true;
    await world.clock.advance(3_000);
    a.log.deliver(2);
    assert.ok(a.view.follower.applied > demanded);
    assert.equal(a.get('k'), 'zeroth');
    const absent = await a.cache.get('never-there', { minPosition: demanded });
    assert.ok(absent.position >= demanded, `answered at ${absent.position}`);
    assert.equal(await read(a, 'k', { minPosition: demanded }), 'second');
  });

  it('ends with its signal', async () => {
    const controller = new AbortController();
    const refused = refusalOf('aborted', a.cache.get('k', { minPosition: 7, signal: controller.signal }));
    controller.abort();
    await refused;
  });
});

describe('a read of the latest', () => {
  it('sees every write that was acknowledged before it began', async () => {
    a.log.hold();
    await world.stranger.put('k', 'v');
    await world.clock.settle();
    const answer = a.cache.get('k', { consistency: 'latest' });
    await world.clock.settle();
    a.log.release();
    assert.equal(textIn(await answer), 'v');
  });

  it('fails when the log cannot say where it stands, and as stale when the copy does not get there', async () => {
    a.log.isReachable = false;
    await refusalOf('log-unavailable', a.cache.get('k', { consistency: 'latest' }));
    a.log.isReachable = true;
    await world.clock.advance(3_000);
    a.log.hold();
    await world.stranger.put('k', 'v');
    const refused = refusalOf('stale', a.cache.get('k', { consistency: 'latest', waitMs: 300 }));
    await world.clock.advance(300);
    await refused;
  });
});

describe('a read that bounds its staleness', () => {
  it('answers while the copy is young enough, and makes sure of it when it is not', async () => {
    await a.put('k', 'v');
    await world.clock.advance(2_000);
    assert.equal(await read(a, 'k', { maxStalenessMs: 1_000 }), 'v');
    world.log.silence();
    await world.clock.advance(600);
    assert.equal(await read(a, 'k', { maxStalenessMs: 500 }), 'v');
  });

  it('fails as stale, with the lag, when that cannot be shown', async () => {
    await a.put('k', 'v');
    await world.clock.advance(1_000);
    a.log.isReachable = false;
    await world.clock.advance(5_000);
    const error = await refusalOf('stale', a.cache.get('k', { maxStalenessMs: 500, waitMs: 100 }));
    assert.ok(Number(error.details['lagMs']) >= 5_000);
    assert.equal(await read(a, 'k'), 'v');
  });

  it('shares one bound of waiting with all other demands', async () => {
    a.log.hold();
    const position = await world.stranger.put('k', 'v');
    await world.clock.settle();
    const startedMs = world.clock.monotonic();
    let endedMs = 0;
    const refused = refusalOf(
      'stale',
      a.cache.get('k', { minPosition: position, consistency: 'latest', maxStalenessMs: 1, waitMs: 400 }),
    ).finally(() => {
      endedMs = world.clock.monotonic();
    });
    await world.clock.advance(300);
    a.log.deliver(1);
    await world.stranger.put('k', 'w');
    await world.clock.advance(2_000);
    await refused;
    assert.ok(endedMs - startedMs <= 400, `${endedMs - startedMs} ms`);
  });
});

describe('a partition that is not here, or not yet', () => {
  const remoteAnswer: ReadResult = { found: undefined, position: 77 };

  function createElsewhere(access: PartitionAccess, remote?: RemoteReader): CacheService {
    return createCache({
      name: 'demo',
      settings: defaultSettings,
      partitions: [access],
      clock: world.clock,
      origin: 'elsewhere',
      remote,
      onMiss: 'log',
      waitMs: 1_000,
      tombstoneHorizonMs: 1_000,
    });
  }
  const nowhere = (): PartitionAccess => ({ log: world.log, subjects: world.subjects, view: undefined });

  it('is read from another node, with all demands', async () => {
    const asked: unknown[] = [];
    const cache = createElsewhere(nowhere(), {
      get: async (...args) => {
        asked.push(args);
        return remoteAnswer;
      },
      list: async () => undefined,
    });
    assert.equal(await cache.get('k', { minPosition: 5 }), remoteAnswer);
    assert.deepEqual(asked, [[0, 'k', { minPosition: 5 }]]);
  });

  it('is not served from another node when its life was over before the answer came', async () => {
    const expiresAtMs = world.clock.now() + 1_000;
    const found = {
      ...{ value: bytesOf('v'), revision: 5, atMs: 0, tags: undefined, contentType: undefined },
      expiresAtMs,
    };
    const cache = createElsewhere(nowhere(), {
      get: async () => ({ found, position: 5 }),
      list: async () => undefined,
    });
    assert.equal(await read({ cache } as Process, 'k'), 'v');
    await world.clock.advance(1_000);
    assert.deepEqual(await cache.get('k'), { found: undefined, position: 5 });
  });

  it('is read from the log when there is no other node', async () => {
    const cache = createElsewhere(nowhere());
    const position = await world.stranger.put('k', 'v', { tags: ['t'] });
    assert.equal(textIn(await cache.get('k')), 'v');
    const demanded = await cache.get('k', { minPosition: position });
    assert.deepEqual([textIn(demanded), demanded.position], ['v', position]);
    await refusalOf('stale', cache.get('k', { minPosition: position + 1 }));
    await world.stranger.tag('t');
    assert.equal(textIn(await cache.get('k')), undefined);
    assert.equal(textIn(await cache.get('never', { consistency: 'latest' })), undefined);
  });

  it('is written and deleted all the same', async () => {
    const cache = createElsewhere(nowhere());
    const { revision } = await cache.put('k', bytesOf('v'));
    await cache.put('k', bytesOf('w'), { ifRevision: revision });
    assert.equal(textIn(await cache.get('k')), 'w');
    await cache.delete('k');
    assert.equal(textIn(await cache.get('k')), undefined);
  });

  it('is never answered for by a copy that is still replaying, or that is given up meanwhile', async () => {
    await world.stranger.put('k', 'v');
    const half = await world.process('half', { isAwaited: false });
    half.log.hold();
    await world.clock.settle();
    assert.equal(await read(half, 'k'), 'v');
    half.log.release();
    await world.clock.settle();

    const slot: { log: typeof a.log; subjects: typeof world.subjects; view: typeof a.view | undefined } = {
      log: a.log,
      subjects: world.subjects,
      view: a.view,
    };
    const cache = createElsewhere(slot, { get: async () => remoteAnswer, list: async () => undefined });
    const answer = cache.get('k', { minPosition: 1 });
    slot.view = undefined;
    await world.clock.settle();
    assert.equal(await answer, remoteAnswer);
  });

  it('cannot be listed while no node that holds it is ready', async () => {
    await refusalOf('not-ready', createElsewhere(nowhere()).list({ limit: 5 }));
  });
});

describe('listing', () => {
  const keysOf = (page: Awaited<ReturnType<CacheService['list']>>): string[] => page.keys.map(({ key }) => key);

  it('gives keys in order, page by page, with revision and size', async () => {
    for (const key of ['b', 'a', 'c', 'aa', 'd']) await a.put(key, key.repeat(3));
    await a.cache.delete('c');
    const first = await a.cache.list({ limit: 2 });
    assert.deepEqual(first.keys, [
      { key: 'a', revision: 2, bytes: 3 },
      { key: 'aa', revision: 4, bytes: 6 },
    ]);
    assert.equal(first.next, 'aa');
    const second = await a.cache.list({ limit: 2, after: 'aa' });
    assert.deepEqual([keysOf(second), second.next, second.isComplete], [['b', 'd'], undefined, true]);
    assert.deepEqual(keysOf(await a.cache.list({ limit: 10, prefix: 'a' })), ['a', 'aa']);
  });

  it('says when memory limits have removed keys that the log still has', async () => {
    const small = await world.process('small', { store: { entriesMax: 1, bytesMax: 1_000_000 } });
    await small.put('a', '1');
    await small.put('b', '1');
    assert.equal((await small.cache.list({ limit: 10 })).isComplete, false);
  });

  it('merges the partitions of a cache into one order', async () => {
    const clock = createFakeClock();
    const partitions = await Promise.all(
      [0, 1, 2].map(async (index) => {
        const log = createMemoryLog({ name: `KV_many-0${index}`, clock });
        const subjects = bucketSubjects('sluice', `many-0${index}`);
        const store = { entriesMax: 1_000, bytesMax: 1_000_000 };
        const view = createPartitionView({ log, subjects, clock, random: createSeededRandom(index), store });
        await view.start();
        return { log, subjects, view };
      }),
    );
    await clock.settle();
    const settings = { ...defaultSettings, partitions: 3 };
    const cache = createCache({
      name: 'many',
      settings,
      partitions,
      clock,
      origin: 'a',
      onMiss: 'log',
      waitMs: 1_000,
      tombstoneHorizonMs: 1_000,
    });
    const names = Array.from({ length: 50 }, (_, index) => `key ${String(index).padStart(2, '0')}`);
    const used = new Set<number>();
    for (const name of names) used.add((await cache.put(name, bytesOf(name))).partition);
    assert.deepEqual(used, new Set(names.map((name) => partitionOf(name, 3))));
    const told: string[] = [];
    let after: string | undefined;
    do {
      const page = await cache.list({ limit: 7, after });
      told.push(...keysOf(page));
      after = page.next;
    } while (after !== undefined);
    assert.deepEqual(told, names);
    const positions: ReadonlyMap<number, Position> = await cache.clear();
    assert.deepEqual([...positions.keys()].sort(), [0, 1, 2]);
    assert.deepEqual(keysOf(await cache.list({ limit: 7 })), []);
    await Promise.all(partitions.map(({ view }) => view.stop()));
  });
});
