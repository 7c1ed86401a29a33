/** Changes one by one: none lost, none waited for in vain, and never without bound. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SluiceError } from '../../../src/errors.ts';
import { iterateChanges } from '../../../src/library/change-iterator.ts';
import { refusalOf } from '../../support/refusals.ts';

function setUp(signal?: AbortSignal) {
  const source = {
    tell: (_item: number): void => undefined,
    fail: (_error: SluiceError): void => undefined,
    listeners: 0,
  };
  const controller = new AbortController();
  const iterator = iterateChanges<number>({
    listen(onItem, onEnd) {
      source.listeners += 1;
      source.tell = onItem;
      source.fail = onEnd;
      return () => {
        source.listeners -= 1;
      };
    },
    signal: signal ?? controller.signal,
  });
  return { source, iterator, abort: () => controller.abort() };
}

const done = { done: true, value: undefined };

describe('an iteration of changes', () => {
  it('gives what came before anybody asked, and then what comes, in order', async () => {
    const { source, iterator } = setUp();
    source.tell(1);
    source.tell(2);
    assert.deepEqual(await iterator.next(), { done: false, value: 1 });
    assert.deepEqual(await iterator.next(), { done: false, value: 2 });
    const [third, fourth] = [iterator.next(), iterator.next()];
    source.tell(3);
    source.tell(4);
    assert.deepEqual([(await third).value, (await fourth).value], [3, 4]);
  });

  it('ends by `return` even while somebody waits, and stops listening', async () => {
    const { source, iterator } = setUp();
    const waiting = iterator.next();
    assert.deepEqual(await iterator.return?.(), done);
    assert.deepEqual(await waiting, done);
    assert.equal(source.listeners, 0);
    source.tell(1);
    assert.deepEqual(await iterator.next(), done);
  });

  it('ends when a loop is left', async () => {
    const { source, iterator } = setUp();
    source.tell(1);
    for await (const _change of iterator) break;
    assert.equal(source.listeners, 0);
  });

  it('ends with its signal, also one that has fired already', async () => {
    const { source, iterator, abort } = setUp();
    const waiting = iterator.next();
    abort();
    assert.deepEqual(await waiting, done);
    assert.equal(source.listeners, 0);
    const late = setUp(AbortSignal.abort());
    assert.deepEqual(await late.iterator.next(), done);
    assert.equal(late.source.listeners, 0);
  });

  it('fails once, after what was waiting, when too much waits to be taken', async () => {
    const { source, iterator } = setUp();
    for (let index = 0; index < 20_000; index += 1) source.tell(index);
    assert.equal(source.listeners, 0);
    for (let index = 0; index < 10_000; index += 1) assert.equal((await iterator.next()).value, index);
    await refusalOf('slow-consumer', iterator.next());
    assert.deepEqual(await iterator.next(), done);
  });

  it('hands the end of its source to who waits, or to who asks next', async () => {
    const first = setUp();
    const [waiting, other] = [first.iterator.next(), first.iterator.next()];
    first.source.fail(new SluiceError('closed', 'dropped'));
    await refusalOf('closed', waiting);
    assert.deepEqual(await other, done);
    const second = setUp();
    second.source.tell(1);
    second.source.fail(new SluiceError('closed', 'dropped'));
    assert.equal((await second.iterator.next()).value, 1);
    await refusalOf('closed', second.iterator.next());
    assert.deepEqual(await second.iterator.next(), done);
  });

  it('of a source that has ended already fails for who asks first', async () => {
    let listeners = 0;
    const iterator = iterateChanges<number>({
      listen(_, onEnd) {
        listeners += 1;
        onEnd(new SluiceError('closed', 'dropped'));
        return () => {
          listeners -= 1;
        };
      },
      signal: new AbortController().signal,
    });
    assert.equal(listeners, 0);
    await refusalOf('closed', iterator.next());
    assert.deepEqual(await iterator.next(), done);
  });
});
