/** Writing to a cache: what is stored, under which conditions, and what is refused. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { SluiceError } from '../../../src/errors.ts';
import type { AppendOptions, Log } from '../../../src/log/log.ts';
import { bytesOf, textOf } from '../../support/entries.ts';
import { createPartitionWorld, type PartitionWorld, type Process } from '../../support/partition-world.ts';
import { refusalOf } from '../../support/refusals.ts';

let world: PartitionWorld;
let a: Process;
beforeEach(async () => {
  world = createPartitionWorld();
  a = await world.process('a');
});
afterEach(() => world.stop());

const found = async (process: Process, key: string): Promise<string | undefined> =>
  textOf((await process.cache.get(key)).found?.value);

describe('a put', () => {
  it('is read by its process at once and by others when the log has brought it, with all that was said', async () => {
    const b = await world.process('b');
    const { revision, partition } = await a.cache.put('k', bytesOf('v'), {
      ttlMs: 5_000,
      tags: ['red', 'blue', 'red'],
      contentType: 'text/plain',
    });
    assert.deepEqual([revision, partition], [1, 0]);
    await world.clock.settle();
    for (const process of [a, b]) {
      const { found: entry, position } = await process.cache.get('k');
      assert.ok(entry);
      const { value, tags, contentType, expiresAtMs } = entry;
      assert.deepEqual(
        [textOf(value), entry.revision, position, tags, contentType, expiresAtMs],
        ['v', 1, 1, ['red', 'blue'], 'text/plain', world.clock.now() + 5_000],
      );
    }
  });

  it('lives as long as the cache says when it says nothing itself', async () => {
    const short = await world.process('short', { settings: { ttlMs: 1_000 } });
    await short.put('k', 'v');
    await short.put('long', 'v', { ttlMs: 10_000 });
    await world.clock.advance(1_000);
    assert.equal(await found(short, 'k'), undefined);
    assert.equal(await found(short, 'long'), 'v');
  });

  it('takes any key and any bytes, also none', async () => {
    for (const key of ['user:42', 'ключ', 'a.b', '=41', ' ', 'x'.repeat(1_024), '🗝', '_kv', '..']) {
      const { revision } = await a.cache.put(key, new Uint8Array(0));
      await world.clock.settle();
      assert.deepEqual((await a.cache.get(key)).found?.value, new Uint8Array(0));
      assert.equal((await a.cache.get(key)).found?.revision, revision);
    }
  });

  it('keeps nothing of the bytes that it was given', async () => {
    const bytes = bytesOf('abc');
    await a.cache.put('k', bytes);
    bytes.fill(0);
    assert.equal(await found(a, 'k'), 'abc');
  });
});

describe('what a put refuses', () => {
  const bad: readonly (readonly [string, (cache: Process['cache']) => Promise<unknown>, string, RegExp])[] = [
    ['an empty key', (cache) => cache.put('', bytesOf('v')), 'bad-key', /key/],
    ['a key above 1,024 bytes', (cache) => cache.put('é'.repeat(513), bytesOf('v')), 'bad-key', /1026 bytes/],
    ['half a character', (cache) => cache.put('\ud800', bytesOf('v')), 'bad-key', /surrogate/],
    ['a key that is no text', (cache) => cache.put(5 as never, bytesOf('v')), 'bad-key', /key/],
    ['a value that is no bytes', (cache) => cache.put('k', 'text' as never), 'bad-request', /value.*bytes/],
    ['a life of 0', (cache) => cache.put('k', bytesOf('v'), { ttlMs: 0 }), 'bad-request', /ttl/],
    ['a life below 0', (cache) => cache.put('k', bytesOf('v'), { ttlMs: -5 }), 'bad-request', /ttl/],
    ['a life that is no number', (cache) => cache.put('k', bytesOf('v'), { ttlMs: Number.NaN }), 'bad-request', /ttl/],
    ['a life for ever', (cache) => cache.put('k', bytesOf('v'), { ttlMs: Infinity }), 'bad-request', /ttl/],
    ['a life as text', (cache) => cache.put('k', bytesOf('v'), { ttlMs: '5' as never }), 'bad-request', /ttl/],
    ['tags as one text', (cache) => cache.put('k', bytesOf('v'), { tags: 'red' as never }), 'bad-request', /tags/],
    ['a tag that is no text', (cache) => cache.put('k', bytesOf('v'), { tags: [5 as never] }), 'bad-request', /tags/],
    ['a tag with a comma', (cache) => cache.put('k', bytesOf('v'), { tags: ['a,b'] }), 'bad-request', /tags/],
    ['a tag with a line end', (cache) => cache.put('k', bytesOf('v'), { tags: ['a\r\nX: y'] }), 'bad-request', /tags/],
    ['an empty tag', (cache) => cache.put('k', bytesOf('v'), { tags: [''] }), 'bad-request', /tags/],
    [
      'too many tags',
      (cache) => cache.put('k', bytesOf('v'), { tags: Array.from({ length: 65 }, (_, index) => `t${index}`) }),
      'bad-request',
      /tags.*64/,
    ],
    [
      'a type with a line end',
      (cache) => cache.put('k', bytesOf('v'), { contentType: 'a\r\nb' }),
      'bad-request',
      /contentType/,
    ],
    [
      'two conditions at once',
      (cache) => cache.put('k', bytesOf('v'), { ifAbsent: true, ifRevision: 1 }),
      'bad-request',
      /ifAbsent/,
    ],
    ['a revision below 0', (cache) => cache.put('k', bytesOf('v'), { ifRevision: -1 }), 'bad-request', /ifRevision/],
    ['half a revision', (cache) => cache.delete('k', { ifRevision: 1.5 }), 'bad-request', /ifRevision/],
    ['no tag to invalidate', (cache) => cache.invalidateTags([]), 'bad-request', /tags/],
    ['a text to invalidate', (cache) => cache.invalidateTags('red' as never), 'bad-request', /tags/],
    ['a page of nothing', (cache) => cache.list({ limit: 0 }), 'bad-request', /limit/],
    ['a page of a half', (cache) => cache.list({ limit: 0.5 }), 'bad-request', /limit/],
    ['a page without a limit', (cache) => cache.list({} as never), 'bad-request', /limit/],
  ];
  for (const [what, call, code, message] of bad) {
    it(`is ${what}, with a message that names it, and nothing is written`, async () => {
      const error = await refusalOf(code as 'bad-request', call(a.cache));
      assert.match(error.message, message);
      assert.equal((await world.log.bounds()).last, 0);
    });
  }

  it('is a value above the limit of the cache, naming both sizes', async () => {
    const small = await world.process('small', { settings: { valueBytesMax: 10 } });
    await small.put('k', '1234567890');
    const error = await refusalOf('too-large', small.put('k', '12345678901'));
    assert.deepEqual([error.details['bytes'], error.details['bytesMax']], [11, 10]);
  });

  it('is what a full log refuses', async () => {
    await world.stop();
    world = createPartitionWorld({ messagesMax: 1, whenFull: 'refuse' });
    const full = await world.process('full');
    await full.put('k', 'v');
    await refusalOf('log-full', full.put('other', 'v'));
    await full.put('k', 'again');
  });
});

describe('a delete', () => {
  it('removes the key, and succeeds where there is none', async () => {
    await a.put('k', 'v');
    await a.cache.delete('k');
    assert.equal(await found(a, 'k'), undefined);
    const { revision } = await a.cache.delete('never');
    assert.equal(revision, 3);
    await world.clock.settle();
    assert.deepEqual(await world.messages(), ['2 entry.deleted k', '3 entry.deleted never']);
  });

  it('under a revision removes exactly that', async () => {
    const first = await a.put('k', 'v1');
    const second = await a.put('k', 'v2');
    const error = await refusalOf('position-conflict', a.cache.delete('k', { ifRevision: first }));
    assert.equal(error.details['current'], second);
    await a.cache.delete('k', { ifRevision: second });
    assert.equal(await found(a, 'k'), undefined);
  });
});

describe('compare-and-set', () => {
  it('writes over the named revision, and tells the present one otherwise', async () => {
    const first = await a.put('k', 'v1');
    const second = await a.put('k', 'v2', { ifRevision: first });
    const error = await refusalOf('position-conflict', a.put('k', 'v3', { ifRevision: first }));
    assert.equal(error.details['current'], second);
    assert.equal(await found(a, 'k'), 'v2');
  });

  it('tells that there is no entry when the key was deleted, cleared or never there', async () => {
    const first = await a.put('k', 'v1');
    await a.cache.delete('k');
    const gone = await refusalOf('position-conflict', a.put('k', 'v2', { ifRevision: first }));
    assert.equal(gone.details['current'], null);
    assert.match(gone.message, /no entry/);
    const never = await refusalOf('position-conflict', a.put('never', 'v', { ifRevision: 7 }));
    assert.equal(never.details['current'], null);
    const other = await a.put('other', 'v');
    // Its message stays: this clear removes nothing.
    await world.stranger.clear();
    await world.clock.settle();
    const cleared = await refusalOf('position-conflict', a.put('other', 'w', { ifRevision: other }));
    assert.equal(cleared.details['current'], null);
  });

  it('is won by one of many at the same time (G6)', async () => {
    const first = await a.put('k', 'v');
    const b = await world.process('b');
    const results = await Promise.allSettled(
      [a, b, a, b, a, b].map((process, index) => process.put('k', `by ${index}`, { ifRevision: first })),
    );
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
  });

  it('is tried again when the log only says that another write is under way', async () => {
    let isBusy = true;
    const revision = await a.put('k', 'v');
    const append = world.log.append.bind(world.log);
    world.log.append = async (...args: Parameters<Log['append']>) => {
      if (!isBusy) return append(...args);
      throw new SluiceError('position-conflict', 'another write of the subject is under way');
    };
    const written = a.put('k', 'w', { ifRevision: revision });
    await world.clock.advance(20);
    isBusy = false;
    await world.clock.advance(100);
    assert.equal(await written, 2);
    isBusy = true;
    const refused = refusalOf('position-conflict', a.put('k', 'x', { ifRevision: 2 }));
    await world.clock.advance(10_000);
    assert.equal((await refused).details['current'], 2);
  });

  it('of an absent key is no conflict while nobody can say whether what is there is a tombstone', async () => {
    await a.put('k', 'v');
    await a.cache.delete('k');
    const latest = world.log.latest.bind(world.log);
    world.log.latest = () => Promise.reject(new SluiceError('log-unavailable', 'no leader'));
    const error = await refusalOf('log-unavailable', a.put('k', 'w', { ifAbsent: true }));
    assert.match(error.message, /could not be asked whether "k" exists, and nothing was written: no leader/);
    world.log.latest = latest;
    await a.put('k', 'w', { ifAbsent: true });
    assert.equal(await found(a, 'k'), 'w');
  });

  it('tries no longer than its deadline altogether, and hands it on', async () => {
    const deadlines: (number | undefined)[] = [];
    world.log.append = async (_write, options: AppendOptions = {}) => {
      deadlines.push(options.deadlineMs);
      await world.clock.advance(40);
      throw new SluiceError('position-conflict', 'another write of the subject is under way');
    };
    const refused = refusalOf('position-conflict', a.cache.put('k', bytesOf('v'), { ifAbsent: true, deadlineMs: 100 }));
    await world.clock.advance(1_000);
    await refused;
    assert.equal(deadlines[0], 100);
    assert.ok(deadlines.every((left, index) => index === 0 || (left ?? 0) < (deadlines[index - 1] ?? 0) || left === 1));
  });

  it('says that the present revision is not known when the log cannot be asked', async () => {
    const revision = await a.put('k', 'v1');
    await a.put('k', 'v2');
    const { latest } = world.log;
    world.log.latest = async () => {
      throw new SluiceError('log-unavailable', 'no leader');
    };
    const error = await refusalOf('position-conflict', a.put('k', 'v3', { ifRevision: revision }));
    assert.equal(error.details['current'], undefined);
    world.log.latest = latest;
  });
});

describe('create if absent', () => {
  it('writes where there is nothing, a tombstone, or an entry that is expired, cleared or invalidated', async () => {
    await a.put('new', 'v', { ifAbsent: true });
    await a.put('deleted', 'v');
    await a.cache.delete('deleted');
    await a.put('expired', 'v', { ttlMs: 100 });
    await a.put('tagged', 'v', { tags: ['t'] });
    await a.cache.invalidateTags(['t']);
    await world.clock.advance(100);
    for (const key of ['deleted', 'expired', 'tagged']) {
      await a.put(key, 'again', { ifAbsent: true });
      assert.equal(await found(a, key), 'again', key);
    }
    await a.put('cleared', 'v');
    // Its message stays: this clear removes nothing.
    await world.stranger.clear();
    await world.clock.settle();
    await a.put('cleared', 'again', { ifAbsent: true });
    assert.equal(await found(a, 'cleared'), 'again');
  });

  it('is refused where there is a valid entry, and tells its revision', async () => {
    const revision = await a.put('k', 'v');
    const error = await refusalOf('position-conflict', a.put('k', 'w', { ifAbsent: true }));
    assert.equal(error.details['current'], revision);
  });

  it('is won by one of many at the same time, over a tombstone too', async () => {
    await a.cache.delete('k');
    const b = await world.process('b');
    const results = await Promise.allSettled(
      [a, b, a, b].map((process, index) => process.put('k', `by ${index}`, { ifAbsent: true })),
    );
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
  });
});

describe('clear and tag invalidation', () => {
  it('clear empties the cache everywhere, and the log of it in the same step', async () => {
    const b = await world.process('b');
    await a.put('k', 'v');
    await b.put('l', 'v');
    const positions = await a.cache.clear();
    assert.deepEqual([...positions], [[0, 3]]);
    await world.clock.settle();
    assert.deepEqual([a.view.store.size, b.view.store.size], [0, 0]);
    assert.deepEqual(await world.messages(), ['3 cache.cleared']);
  });

  it('clear removes nothing from a log that others use as well, or that does not allow it', async () => {
    await world.stop();
    world = createPartitionWorld({ subjects: ['$KV.demo.>', 'sluice.bucket.demo.>', 'others.>'] });
    const shared = await world.process('shared');
    await shared.put('k', 'v');
    await shared.cache.clear();
    const refusing = await world.process('refusing', { log: { allowsRollup: false, subjects: world.subjects.all } });
    await refusing.cache.clear();
    assert.deepEqual(await world.messages(), ['1 entry.put k', '3 cache.cleared']);
    assert.deepEqual([shared.get('k'), refusing.get('k')], [undefined, undefined]);
  });

  it('invalidation ends what carries one of the tags everywhere, and deletes exactly that from the log', async () => {
    const b = await world.process('b');
    await a.put('red', 'v', { tags: ['red'] });
    await b.put('blue', 'v', { tags: ['blue'] });
    await a.put('none', 'v');
    await world.clock.settle();
    await a.cache.invalidateTags(['red', 'green']);
    await world.clock.settle();
    for (const process of [a, b]) assert.deepEqual([process.get('red'), process.get('blue')], [undefined, 'v']);
    assert.deepEqual(await world.messages(), [
      '2 entry.put blue',
      '3 entry.put none',
      '4 tag.invalidated red',
      '5 entry.deleted red',
      '6 tag.invalidated green',
    ]);
  });

  it('cleans up also when the echo of the invalidation is faster than its acknowledgement', async () => {
    await a.put('red', 'v', { tags: ['red'] });
    await world.clock.settle();
    a.log.holdAcks();
    const done = a.cache.invalidateTags(['red']);
    await world.clock.settle();
    assert.equal(a.view.follower.applied, 2);
    a.log.releaseAcks();
    await done;
    await world.clock.settle();
    assert.deepEqual(await world.messages(), ['2 tag.invalidated red', '3 entry.deleted red']);
  });

  it('never deletes what came after the entry that a tag has ended', async () => {
    await a.put('k', 'old', { tags: ['red'] });
    await world.clock.settle();
    a.log.hold();
    // The issuer does not know of this one yet, which is below the invalidation and does not carry the tag.
    await world.stranger.put('k', 'new');
    await a.cache.invalidateTags(['red']);
    await world.clock.settle();
    a.log.release();
    assert.deepEqual(await world.messages(), ['2 entry.put k', '3 tag.invalidated red']);
    assert.equal(a.get('k'), 'new');
    assert.deepEqual(a.problems, []);
  });

  it('leaves no copy that is behind with what the ended entry had replaced', async () => {
    const b = await world.process('b');
    await a.put('anchor', 'v');
    await a.put('k', 'without the tag');
    await world.clock.settle();
    b.log.isReachable = false;
    await a.put('k', 'with the tag', { tags: ['red'] });
    await a.cache.invalidateTags(['red']);
    await world.clock.settle();
    b.log.isReachable = true;
    await world.clock.advance(3_000);
    assert.equal(b.get('k'), undefined);
    assert.equal(b.get('anchor'), 'v');
  });

  it('remove nothing from a log that has lost the clear since', async () => {
    await a.put('k', 'kept');
    a.log.holdAcks();
    const cleared = a.cache.clear();
    await world.clock.settle();
    world.log.rollBack(1);
    await world.stranger.put('x', 'in its place');
    a.log.releaseAcks();
    await cleared;
    await world.clock.advance(5_000);
    assert.deepEqual(await world.messages(), ['1 entry.put k', '2 entry.put x']);
    assert.equal(a.get('k'), 'kept');
  });

  it('do not fail when the cleaning up does, and tell it', async () => {
    await a.put('k', 'v', { tags: ['t'] });
    const append = world.log.append.bind(world.log);
    world.log.append = async (write, options) => {
      if (write.fields.includes('KV-Operation: DEL')) throw new SluiceError('log-unavailable', 'no leader');
      return append(write, options);
    };
    await a.cache.invalidateTags(['t']);
    await world.clock.settle();
    assert.match(a.problems.join(), /clean-up of KV_demo.*no leader/);
    assert.equal(a.get('k'), undefined);
  });

  it('are refused for a bucket that has no place for their events', async () => {
    await world.stop();
    world = createPartitionWorld({ subjects: ['$KV.demo.>'] });
    const adopted = await world.process('adopted');
    await adopted.put('k', 'v');
    assert.match((await refusalOf('unsupported', adopted.cache.clear())).message, /not made by Sluice/);
    await refusalOf('unsupported', adopted.cache.invalidateTags(['t']));
    assert.equal(adopted.get('k'), 'v');
  });
});

describe('a write without the log', () => {
  it('fails with log-unavailable and changes nothing here', async () => {
    await a.put('k', 'v');
    a.log.isReachable = false;
    await refusalOf('log-unavailable', a.put('k', 'w'));
    await refusalOf('log-unavailable', a.cache.delete('k'));
    await refusalOf('log-unavailable', a.cache.clear());
    await refusalOf('log-unavailable', a.cache.invalidateTags(['t']));
    assert.equal(a.get('k'), 'v');
  });

  it('ends with the caller’s signal', async () => {
    const signal = AbortSignal.abort();
    await refusalOf('aborted', a.put('k', 'w', { signal }));
    await refusalOf('aborted', a.put('k', 'w', { signal, ifAbsent: true }));
  });
});
