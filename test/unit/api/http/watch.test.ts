/** Watching over HTTP: every change once and in order, resumed from where a reader left off, and never a reader that costs memory. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { createFakeClock, type FakeClock } from '../../../../src/testing/fake-clock.ts';
import {
  type EventReader,
  openEvents,
  startDoor,
  type TestDoor,
  type TestDoorOptions,
} from '../../../support/http-door.ts';
import { waitUntil } from '../../../support/wait-until.ts';

const watch = '/v1/caches/demo/watch';

describe('a watch over HTTP', () => {
  let door: TestDoor;
  let clock: FakeClock;
  const readers: EventReader[] = [];

  async function start(options: TestDoorOptions = {}): Promise<void> {
    clock = createFakeClock();
    door = await startDoor({ doorClock: clock, ...options });
  }
  async function open(path = watch, headers: Record<string, string> = {}): Promise<EventReader> {
    const reader = await openEvents(door.port, path, headers);
    readers.push(reader);
    return reader;
  }
  const put = (key: string, value: string | Uint8Array = 'x', options = {}, cache = 'demo') =>
    door.node.cache(cache).service.put(key, Buffer.from(value), options);
  const lastId = (reader: EventReader): string =>
    reader.events.map(({ id }) => id).findLast((id) => id !== undefined) ?? '';
  const keysOf = (events: readonly Record<string, unknown>[]): unknown[] => events.map(({ key }) => key);

  beforeEach(() => start());
  afterEach(async () => {
    for (const reader of readers.splice(0)) reader.close();
    await door.stop();
  });

  it('tells each change from now on, with its position, in order', async () => {
    await put('before');
    const reader = await open();
    assert.equal(reader.status, 200);
    assert.equal(reader.headers['content-type'], 'text/event-stream');
    assert.equal(reader.headers['cache-control'], 'no-store');
    await put('a', 'value', { ttlMs: 60_000, tags: ['t'], contentType: 'text/plain' });
    await door.ask('DELETE', '/v1/caches/demo/keys/a');
    await door.ask('POST', '/v1/caches/demo/clear');
    await door.ask('POST', '/v1/caches/demo/invalidate', { body: '{"tags":["t"]}' });
    await reader.named('tag');
    const told = reader.events.filter(({ event }) => event !== undefined);
    assert.deepEqual(
      told.map(({ event, id }) => [event, id]),
      [
        ['put', '2'],
        ['delete', '3'],
        ['clear', '4'],
        ['tag', '5'],
      ],
    );
    const { expiresAt, ...data } = told[0]?.data ?? {};
    assert.deepEqual(data, { key: 'a', position: 2, contentType: 'text/plain', tags: ['t'] });
    assert.equal(typeof expiresAt, 'number');
    assert.deepEqual(
      told.slice(1).map((event) => event.data),
      [{ key: 'a', position: 3 }, { position: 4 }, { tag: 't', position: 5 }],
    );
  });

  it('gives values as base64 or as text, and says which', async () => {
    const none = await open();
    const base64 = await open(`${watch}?values=base64`);
    const text = await open(`${watch}?values=text`);
    await put('text', 'grüße\n\ndata: x');
    await put('bytes', Uint8Array.of(0xff, 0x00));
    const valuesOf = async (reader: EventReader) =>
      (await reader.named('put', 2)).map(({ value, encoding }) => [value, encoding]);
    assert.deepEqual(await valuesOf(none), [
      [undefined, undefined],
      [undefined, undefined],
    ]);
    assert.deepEqual(await valuesOf(base64), [
      [Buffer.from('grüße\n\ndata: x').toString('base64'), 'base64'],
      ['/wA=', 'base64'],
    ]);
    assert.deepEqual(await valuesOf(text), [
      ['grüße\n\ndata: x', 'text'],
      ['/wA=', 'base64'],
    ]);
  });

  it('shows only keys with the prefix, and every clear and tag', async () => {
    const reader = await open(`${watch}?prefix=user%2F`);
    await put('other');
    await put('user/1');
    await door.ask('POST', '/v1/caches/demo/clear');
    await reader.named('clear');
    assert.deepEqual(keysOf(await reader.named('put')), ['user/1']);
  });

  it('resumes after the last event id without a gap or a repetition', async () => {
    const first = await open();
    await put('a');
    await put('b');
    await first.named('put', 2);
    first.close();
    await put('c');
    await put('d');
    const second = await open(watch, { 'Last-Event-ID': lastId(first) });
    await put('e');
    assert.deepEqual(keysOf(await second.named('put', 3)), ['c', 'd', 'e']);
    const before = lastId(second);
    assert.deepEqual(keysOf(await (await open(`${watch}?from=0`)).named('put', 5)), ['a', 'b', 'c', 'd', 'e']);
    const both = await open(`${watch}?from=0`, { 'Last-Event-ID': before });
    await put('f');
    assert.deepEqual(keysOf(await both.named('put')), ['f']);
  });

  it('resumes each partition where it was', async () => {
    await door.node.declareCache('many', { partitions: 4 });
    const keys = Array.from({ length: 40 }, (_, index) => `k${index}`);
    for (const key of keys.slice(0, 10)) await put(key, 'x', {}, 'many');
    const first = await open('/v1/caches/many/watch');
    await waitUntil('the first id', () => /^[0-9a-z]+(\.[0-9a-z]+){3}$/.test(lastId(first)));
    for (const key of keys.slice(10, 20)) await put(key, 'x', {}, 'many');
    const events = await first.named('put', 10);
    assert.ok(events.every(({ partition }) => typeof partition === 'number'));
    first.close();
    for (const key of keys.slice(20, 30)) await put(key, 'x', {}, 'many');
    const second = await open('/v1/caches/many/watch', { 'Last-Event-ID': lastId(first) });
    for (const key of keys.slice(30)) await put(key, 'x', {}, 'many');
    assert.deepEqual(keysOf(await second.named('put', 20)).sort(), keys.slice(20).sort());
    const opened = await open('/v1/caches/many/watch', { 'Last-Event-ID': second.events[0]?.id ?? '' });
    assert.deepEqual(keysOf(await opened.named('put', 20)).sort(), keys.slice(20).sort());
  });

  it('can be resumed from its very beginning, before any event', async () => {
    await put('a');
    const first = await open();
    const id = await waitUntil('the first id', () => lastId(first) || undefined);
    first.close();
    await put('b');
    assert.deepEqual(keysOf(await (await open(watch, { 'Last-Event-ID': id })).named('put')), ['b']);
  });

  it('tells a reader to start over when it is too far behind, or ahead of the log', async () => {
    await door.stop();
    await start({ backlogMax: 5 });
    for (let index = 0; index < 10; index += 1) await put(`k${index}`);
    const behind = await open(`${watch}?from=1`);
    const [reset] = await behind.named('reset');
    assert.equal(reset?.['position'], 10);
    assert.equal(lastId(behind), '10');
    const ahead = await open(watch, { 'Last-Event-ID': '1000' });
    assert.match(String((await ahead.named('reset'))[0]?.['reason']), /recreated/);
    await put('next');
    assert.deepEqual(keysOf(await behind.named('put')), ['next']);
    assert.deepEqual(keysOf(await ahead.named('put')), ['next']);
  });

  it('is kept alive by comments that also tell how far it has got', async () => {
    const reader = await open(`${watch}?prefix=none`);
    await put('a');
    await put('b');
    await waitUntil('both applied', () => door.node.cache('demo').views[0]?.follower.applied === 2);
    await clock.advance(15_000);
    await waitUntil('a comment', () => reader.text.includes(': keep-alive'));
    assert.equal(lastId(reader), '2');
    await clock.advance(15_000);
    await waitUntil('another one', () => reader.text.split(': keep-alive').length === 3);
    assert.equal(reader.events.filter(({ id }) => id === '2').length, 1);
  });

  it('ends when its reader goes away, and leaves nothing behind', async () => {
    const reader = await open();
    assert.equal(door.node.openWatches, 1);
    reader.close();
    await waitUntil('no watch', () => door.node.openWatches === 0);
    assert.equal(clock.timers, 0);
  });

  it('stands a burst that is larger than its buffer', async () => {
    await door.stop();
    await start({ buffered: 10 });
    const reader = await open();
    await Promise.all(Array.from({ length: 5_000 }, (_, index) => put(`k${index}`)));
    assert.equal((await reader.named('put', 5_000)).length, 5_000);
    assert.equal(reader.isClosed, false);
  });

  describe('whose reader takes nothing', () => {
    const value = Buffer.alloc(64 * 1024, 97);

    /** Puts until the watch has been given up; the number of puts. */
    async function putUntilDropped(afterEach: () => Promise<unknown>): Promise<number> {
      for (let count = 1; count <= 1_000; count += 1) {
        await put(`k${count}`, value);
        await waitUntil('applied', () => door.node.cache('demo').views[0]?.follower.lagEvents === 0);
        await afterEach();
        if (door.node.openWatches === 0) return count;
      }
      return Number.POSITIVE_INFINITY;
    }

    it('is dropped with a reason once too many bytes wait, and can resume from what it got', async () => {
      const reader = await open(`${watch}?values=base64`);
      reader.pause();
      const count = await putUntilDropped(async () => undefined);
      assert.ok(count < 1_000, `${count} events of 64 KiB`);
      reader.resume();
      const [dropped] = await reader.named('dropped');
      assert.equal(dropped?.['code'], 'slow-consumer');
      await waitUntil('closed', () => reader.isClosed);
      const got = reader.events.filter(({ event }) => event === 'put').length;
      assert.equal(Number(lastId(reader)), got);
      await put('later');
      const resumed = await open(watch, { 'Last-Event-ID': lastId(reader) });
      const missed = await resumed.named('put', count - got + 1);
      assert.equal(missed.at(-1)?.['key'], 'later');
      assert.equal(missed[0]?.['position'], got + 1);
    });

    it('is dropped once too many events wait for a while', async () => {
      await door.stop();
      await start({ buffered: 3 });
      const reader = await open(`${watch}?values=base64`);
      reader.pause();
      const count = await putUntilDropped(() => clock.advance(600));
      assert.ok(count < 1_000, `${count} events`);
      reader.resume();
      assert.equal((await reader.named('dropped'))[0]?.['code'], 'slow-consumer');
      await waitUntil('closed', () => reader.isClosed);
    });

    it('is dropped when all readers together hold too much, and those that read are not', async () => {
      await door.stop();
      await start({ watchBytesMax: 1024 * 1024 });
      const deaf = await Promise.all(Array.from({ length: 8 }, () => open(`${watch}?values=base64`)));
      for (const reader of deaf) reader.pause();
      const good = await open(`${watch}?values=base64`);
      for (let count = 1; door.node.openWatches > 1; count += 1) {
        assert.ok(count < 1_000, 'nobody is dropped');
        await put(`k${count}`, value);
        await good.named('put', count);
      }
      assert.equal(good.isClosed, false);
      const [first] = deaf;
      first?.resume();
      assert.equal((await first?.named('dropped'))?.[0]?.['code'], 'slow-consumer');
      assert.equal(Number(lastId(first ?? good)), first?.events.filter(({ event }) => event === 'put').length);
    });

    it('is cut off when it does not even take the reason', async () => {
      const reader = await open(`${watch}?values=base64`);
      reader.pause();
      await putUntilDropped(async () => undefined);
      assert.equal(reader.isClosed, false);
      await clock.advance(1_000);
      assert.equal(clock.timers, 0);
      reader.resume();
      await waitUntil('closed', () => reader.isClosed);
      assert.equal(
        reader.events.some(({ event }) => event === 'dropped'),
        false,
      );
    });
  });

  it('is refused when its demands make no sense', async () => {
    await door.node.declareCache('many', { partitions: 4 });
    const bad: [string, Record<string, string>, number][] = [
      [`${watch}?values=hex`, {}, 400],
      [`${watch}?from=abc`, {}, 400],
      [`${watch}?from=-1`, {}, 400],
      [`${watch}?from=1.2`, {}, 400],
      [`${watch}?since=1`, {}, 400],
      [`${watch}?prefix=%ff`, {}, 400],
      [watch, { 'Last-Event-ID': 'x' }, 400],
      ['/v1/caches/many/watch?from=5', {}, 400],
      ['/v1/caches/many/watch?from=1.2.3', {}, 400],
      ['/v1/caches/many/watch?from=1.2.3.zzzzzzzzzzzz', {}, 400],
      ['/v1/caches/many/watch?from=1.2.3.-4', {}, 400],
      ['/v1/caches/none/watch', {}, 404],
      [watch, { Accept: 'application/json' }, 406],
    ];
    for (const [path, headers, status] of bad) {
      const reply = await door.ask('GET', path, { headers });
      assert.equal(reply.status, status, `${path} ${JSON.stringify(headers)}`);
      assert.equal(reply.headers['content-type'], 'application/problem+json');
    }
    assert.equal(door.node.openWatches, 0);
  });
});
