/** The in-process cache as its user has it: synchronous reads, writes that are read at once, changes, waits, and its end. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { bytes, type Codec, json, text } from '../../../src/library/codec.ts';
import type { CacheChange } from '../../../src/library/coherent-cache.ts';
import { bytesOf } from '../../support/entries.ts';
import { openIn } from '../../support/library-world.ts';
import { createPartitionWorld, type PartitionWorld } from '../../support/partition-world.ts';
import { refusalOf } from '../../support/refusals.ts';

let world: PartitionWorld;
beforeEach(() => {
  world = createPartitionWorld();
});
afterEach(() => world.stop());

interface User {
  readonly name: string;
  readonly age?: number;
}

/** A JSON codec that counts its work, and refuses what is not JSON. */
function countingCodec(): Codec<User> & { decodes: number } {
  const inner = json<User>();
  const codec = {
    decodes: 0,
    contentType: inner.contentType,
    encode: (value: User) => inner.encode(value),
    decode(encoded: Uint8Array) {
      codec.decodes += 1;
      return inner.decode(encoded);
    },
  };
  return codec;
}

describe('reading', () => {
  it('is synchronous, from memory, and of the codec’s type', async () => {
    const { cache, process } = await openIn<User>(world, 'a');
    await cache.put('ann', { name: 'Ann' }, { tags: ['t'], ttlMs: 1_000 });
    await cache.put('bob', { name: 'Bob' });
    process.log.isReachable = false;
    const ann: User | undefined = cache.get('ann');
    assert.deepEqual(ann, { name: 'Ann' });
    const { value, revision, tags, expiresAtMs } = cache.entry('ann') ?? {};
    assert.deepEqual([value, revision, tags, expiresAtMs], [{ name: 'Ann' }, 1, ['t'], world.clock.now() + 1_000]);
    assert.deepEqual([cache.has('ann'), cache.has('zoe'), cache.size], [true, false, 2]);
    assert.deepEqual([...cache.keys()].sort(), ['ann', 'bob']);
    assert.deepEqual(new Map(cache.entries()).get('bob'), { name: 'Bob' });
    assert.equal(cache.get('zoe'), undefined);
    assert.equal(cache.entry('zoe'), undefined);
  });

  it('decodes a value once per revision, whoever wrote it, also when the log repeats it', async () => {
    const codec = countingCodec();
    const { cache } = await openIn(world, 'a', codec);
    const first = await cache.put('k', { name: 'Ann' });
    assert.equal(cache.get('k'), cache.get('k'));
    await world.clock.settle();
    await cache.reached(first);
    assert.equal(cache.get('k'), cache.entry('k')?.value);
    assert.equal(codec.decodes, 1);
    await world.stranger.put('k', '{"name":"Bob"}');
    await world.clock.settle();
    assert.deepEqual(cache.get('k'), { name: 'Bob' });
    assert.ok(cache.has('k'));
    assert.equal([...cache.entries()].length, 1);
    assert.equal(codec.decodes, 2);
  });

  it('takes bytes that the codec refuses for absent, says so once, and writes over them', async () => {
    const codec = countingCodec();
    const { cache, notices } = await openIn(world, 'a', codec);
    await world.stranger.put('k', '{ not json');
    await world.clock.settle();
    for (let index = 0; index < 3; index += 1) assert.equal(cache.get('k'), undefined);
    assert.deepEqual([cache.entry('k'), cache.has('k'), [...cache.entries()]], [undefined, false, []]);
    assert.deepEqual([codec.decodes, cache.stats.undecodable, notices.length], [1, 1, 1]);
    assert.match(notices[0] ?? '', /"k" cannot be decoded/);
    await cache.put('k', { name: 'Ann' });
    assert.deepEqual(cache.get('k'), { name: 'Ann' });
  });

  it('gives each opened cache values of its own codec, over the same copy', async () => {
    const { cache, reopen } = await openIn<unknown>(world, 'a', json());
    const asText = reopen(text());
    const asBytes = reopen(bytes());
    await cache.put('k', { n: 1 });
    assert.deepEqual(cache.get('k'), { n: 1 });
    assert.equal(asText.get('k'), '{"n":1}');
    assert.deepEqual(asBytes.get('k'), bytesOf('{"n":1}'));
    assert.deepEqual(cache.get('k'), { n: 1 });
    await asText.put('l', 'not json');
    assert.equal(asText.get('l'), 'not json');
    assert.equal(cache.get('l'), undefined);
    assert.equal(asText.stats.undecodable, 0);
  });

  it('knows falsy values from absent ones', async () => {
    const { cache } = await openIn<unknown>(world, 'a');
    for (const value of [null, 0, '', false]) {
      await cache.put('k', value);
      assert.equal(cache.get('k'), value);
      assert.ok(cache.has('k'));
    }
  });
});

describe('writing', () => {
  it('uses the life of the opened cache, unless it says another', async () => {
    const { cache } = await openIn<string>(world, 'a', text(), { ttlMs: 1_000, settings: { ttlMs: 60_000 } });
    await cache.put('k', 'v');
    await cache.put('l', 'v', { ttlMs: 5_000 });
    await world.clock.advance(1_000);
    assert.deepEqual([cache.get('k'), cache.get('l')], [undefined, 'v']);
  });

  it('keeps nothing of a byte array that its caller goes on using', async () => {
    const { cache, process } = await openIn<Uint8Array>(world, 'a', bytes());
    process.log.holdAcks();
    const array = bytesOf('abc');
    const written = cache.put('k', array);
    array.fill(0);
    await world.clock.settle();
    process.log.releaseAcks();
    await written;
    assert.deepEqual(cache.get('k'), bytesOf('abc'));
  });

  it('rejects, and never throws, whatever is wrong', async () => {
    const { cache, process } = await openIn<unknown>(world, 'a');
    const circular: { self?: unknown } = {};
    circular.self = circular;
    await refusalOf('bad-request', cache.put('k', undefined));
    await refusalOf('bad-request', cache.put('k', circular));
    await refusalOf('bad-request', cache.put('k', 1n));
    await refusalOf('bad-key', cache.put('', 1));
    await refusalOf(
      'bad-key',
      cache.getOrLoad('', async () => 1),
    );
    await refusalOf('bad-request', cache.invalidateTags('red' as never));
    await refusalOf('too-large', cache.put('k', 'x'.repeat(200_000)));
    await refusalOf('bad-request', openedText(cache.put as never));
    process.log.isReachable = false;
    await refusalOf('log-unavailable', cache.put('k', 1));
    await refusalOf('log-unavailable', cache.delete('k'));
    await refusalOf('log-unavailable', cache.clear());
  });

  const openedText = async (_put: never): Promise<unknown> => text().encode(5 as never);

  it('with conditions fails with the present revision', async () => {
    const { cache } = await openIn<number>(world, 'a');
    const { revision } = await cache.put('k', 1, { ifAbsent: true });
    const error = await refusalOf('position-conflict', cache.put('k', 2, { ifAbsent: true }));
    assert.equal(error.details['current'], revision);
    await cache.put('k', 2, { ifRevision: revision });
    await refusalOf('position-conflict', cache.delete('k', { ifRevision: revision }));
    assert.equal(cache.get('k'), 2);
  });

  it('clears and invalidates everywhere', async () => {
    const { cache } = await openIn<number>(world, 'a');
    const other = await openIn<number>(world, 'b');
    await cache.put('a', 1, { tags: ['odd'] });
    await cache.put('b', 2);
    await world.clock.settle();
    await other.cache.invalidateTags(['odd']);
    await world.clock.settle();
    assert.deepEqual([...cache.keys()], ['b']);
    await other.cache.clear();
    await world.clock.settle();
    assert.equal(cache.size, 0);
  });
});

describe('changes', () => {
  it('come in log order from the call on, not from the first time somebody waits', async () => {
    const { cache } = await openIn<number>(world, 'a');
    const changes = cache.changes();
    await cache.put('k', 1);
    await cache.delete('k');
    await cache.invalidateTags(['t']);
    await cache.clear();
    await world.stranger.put('odd', 'not json');
    await world.clock.settle();
    const told: CacheChange<number>[] = [];
    for await (const change of changes) if (told.push(change) === 5) break;
    assert.deepEqual(told, [
      { type: 'put', key: 'k', value: 1, position: 1, partition: 0 },
      { type: 'delete', key: 'k', position: 2, partition: 0 },
      { type: 'tag', tag: 't', position: 3, partition: 0 },
      { type: 'clear', position: 4, partition: 0 },
      { type: 'put', key: 'odd', value: undefined, position: 5, partition: 0 },
    ]);
  });

  it('reach every listener, also when one of them throws, and that is told', async () => {
    const { cache, notices } = await openIn<number>(world, 'a');
    const told: string[] = [];
    cache.onChange(() => {
      throw new Error('a defect of its owner');
    });
    const stop = cache.onChange((change) => told.push(change.type));
    await cache.put('k', 1);
    await world.clock.settle();
    stop();
    await cache.put('k', 2);
    await world.clock.settle();
    assert.deepEqual(told, ['put']);
    assert.match(notices.join(), /a listener threw on put at 1: a defect of its owner/);
  });

  it('say when what was told is void', async () => {
    const { cache } = await openIn<number>(world, 'a');
    const told: string[] = [];
    cache.onChange((change) => told.push(change.type === 'reset' ? `reset: ${change.reason}` : change.type));
    await cache.put('k', 1);
    await world.clock.settle();
    world.log.recreate();
    await world.clock.advance(3_000);
    assert.deepEqual(told, ['put', 'reset: the log was deleted and made again']);
  });
});

describe('waiting', () => {
  it('for a write of any process ends when this one has it', async () => {
    const { cache, process } = await openIn<number>(world, 'a');
    const other = await openIn<number>(world, 'b');
    process.log.hold();
    const written = await other.cache.put('k', 1);
    await world.clock.settle();
    const reached = cache.reached(written);
    assert.equal(cache.get('k'), undefined);
    process.log.release();
    await reached;
    assert.equal(cache.get('k'), 1);
    await cache.reached(1);
  });

  it('fails as stale in time, with its signal, and for a partition that is not there', async () => {
    const { cache } = await openIn<number>(world, 'a');
    const late = refusalOf('stale', cache.reached(99, { waitMs: 100 }));
    await world.clock.advance(100);
    await late;
    const controller = new AbortController();
    const given = refusalOf('aborted', cache.reached(99, { signal: controller.signal }));
    controller.abort();
    await given;
    await refusalOf('bad-request', cache.reached({ revision: 1, partition: 3 }));
  });

  it('is not over while what it waits for was replaced by something still on its way', async () => {
    const { cache, process } = await openIn<number>(world, 'a');
    await world.stranger.put('anchor', '0');
    await world.stranger.put('k', '0');
    await world.clock.settle();
    process.log.isReachable = false;
    const demanded = await world.stranger.put('k', '1');
    await world.stranger.put('x', '1');
    await world.stranger.put('y', '1');
    await world.stranger.put('k', '2');
    process.log.hold();
    process.log.isReachable = true;
    await world.clock.advance(3_000);
    let isOver = false;
    const reached = cache.reached(demanded).then(() => {
      isOver = true;
    });
    process.log.deliver(2);
    await world.clock.settle();
    assert.deepEqual([process.view.follower.applied > demanded, isOver, cache.get('k')], [true, false, 0]);
    process.log.release();
    await reached;
    assert.equal(cache.get('k'), 2);
  });

  it('for the latest asks the log first', async () => {
    const { cache, process } = await openIn<number>(world, 'a');
    process.log.hold();
    await world.stranger.put('k', '7');
    await world.clock.settle();
    const latest = cache.latest('k');
    await world.clock.settle();
    process.log.release();
    assert.equal(await latest, 7);
    assert.equal(await cache.latest('never'), undefined);
    process.log.isReachable = false;
    await refusalOf('log-unavailable', cache.latest('k'));
  });

  it('for the latest finds what memory has no room for', async () => {
    const { cache } = await openIn<string>(world, 'a', text(), { store: { entriesMax: 10, bytesMax: 2_000 } });
    await world.stranger.put('k', 'x'.repeat(5_000));
    await world.clock.settle();
    assert.equal((await cache.latest('k'))?.length, 5_000);
  });

  it('for the latest does not take an own write for newer than a clear that the log has, while the copy begins anew', async () => {
    const { cache, process } = await openIn<number>(world, 'a');
    await world.stranger.put('other', '1');
    await world.clock.settle();
    process.log.hold();
    process.view.follower.rebuild('a test');
    await cache.put('k', 1);
    await world.stranger.clear();
    assert.deepEqual([cache.isReady, cache.get('k')], [false, 1]);
    assert.equal(await cache.latest('k'), undefined);
    process.log.release();
    await world.clock.advance(2_000);
    assert.deepEqual([cache.isReady, cache.get('k')], [true, undefined]);
  });

  it('for the latest asks anew, whoever asked before', async () => {
    const { process } = await openIn<string>(world, 'a', text(), { store: { entriesMax: 10, bytesMax: 2_000 } });
    await world.stranger.put('k', 'x'.repeat(4_000));
    await world.clock.settle();
    process.log.holdAnswers();
    const earlier = process.view.load('k');
    await world.clock.settle();
    process.log.hold();
    await world.stranger.put('k', 'y'.repeat(5_000));
    const latest = process.view.loadNow('k');
    process.log.releaseAnswers();
    assert.equal((await earlier)?.value.length, 4_000);
    assert.equal((await latest)?.value.length, 5_000);
  });

  it('to be ready takes as long as the replay', async () => {
    for (let index = 0; index < 10; index += 1) await world.stranger.put(`k${index}`, '1');
    const { cache, process } = await openIn<number>(world, 'a', json(), { isAwaited: false });
    process.log.hold();
    await world.clock.settle();
    assert.equal(cache.isReady, false);
    const late = refusalOf('not-ready', cache.ready({ waitMs: 100 }));
    await world.clock.advance(100);
    await late;
    const ready = cache.ready();
    process.log.release();
    await ready;
    assert.deepEqual([cache.isReady, cache.size], [true, 10]);
  });
});

describe('a process that loses the log', () => {
  it('goes on serving with a lag that grows and is declared, and heals by itself', async () => {
    const { cache, process } = await openIn<number>(world, 'a');
    await cache.put('k', 1);
    await world.clock.advance(1_000);
    assert.ok(cache.lag.ms <= 500);
    process.log.isReachable = false;
    await world.stranger.put('k', '2');
    await world.clock.advance(30_000);
    assert.equal(cache.get('k'), 1);
    assert.ok(cache.lag.ms >= 30_000);
    process.log.isReachable = true;
    await world.clock.advance(5_000);
    assert.equal(cache.get('k'), 2);
    assert.deepEqual([cache.lag.events, cache.lag.ms <= 1_000], [0, true]);
  });
});

describe('the end', () => {
  it('of the connection ends everything in order', async () => {
    const { cache, close } = await openIn<number>(world, 'a');
    await cache.put('k', 1);
    const changes = cache.changes();
    const next = changes.next();
    await close();
    assert.deepEqual(await next, { done: true, value: undefined });
    assert.deepEqual([cache.get('k'), cache.size, cache.isReady], [undefined, 0, false]);
    for (const call of [
      cache.put('k', 2),
      cache.delete('k'),
      cache.clear(),
      cache.getOrLoad('k', () => 1),
      cache.latest('k'),
      cache.reached(1),
      cache.ready(),
    ])
      assert.match((await refusalOf('closed', call)).message, /connection was closed/);
  });

  it('of a cache that was dropped leaves nothing of it to be read, and says what to do', async () => {
    const { cache, process } = await openIn<number>(world, 'a');
    await cache.put('k', 1);
    const changes = cache.changes();
    const next = changes.next();
    await process.view.stop();
    assert.match((await refusalOf('closed', next)).message, /dropped/);
    assert.equal(cache.get('k'), undefined);
    assert.match((await refusalOf('closed', cache.put('k', 2))).message, /dropped; open it again/);
  });
});
