/** Keys without values obey the rules of a copy with values. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createKeyIndex, type KeyIndex } from '../../../src/cluster/key-index.ts';
import { encodeClear, encodeDelete, encodePut, encodeTagInvalidation } from '../../../src/events/entry.ts';
import type { LogWrite } from '../../../src/events/record.ts';
import { bucketSubjects } from '../../../src/events/subjects.ts';
import { createMemoryLog, type MemoryLog } from '../../../src/log/memory-log.ts';
import { readEntry } from '../../../src/replay/log-read.ts';
import { createFakeClock } from '../../../src/testing/fake-clock.ts';

const subjects = bucketSubjects('sluice', 'demo');
const context = { subjects, log: { maxAgeMs: Number.POSITIVE_INFINITY } };
const names = ['a', 'b', 'c', 'd'] as const;

interface Step {
  readonly what: 'put' | 'delete' | 'clear' | 'tag';
  readonly key: string;
  readonly tag: string;
  /** How far behind the end of the log the writer of a loaded value had been; 0: not a loaded value. */
  readonly behind: number;
  readonly ttlMs: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  what: fc.constantFrom('put', 'put', 'put', 'delete', 'clear', 'tag'),
  key: fc.constantFrom(...names),
  tag: fc.constantFrom('red', 'blue'),
  behind: fc.nat({ max: 3 }),
  ttlMs: fc.constantFrom(Number.POSITIVE_INFINITY, 50, 5_000),
});

function writeOf({ what, key, tag, behind, ttlMs }: Step, last: number, nowMs: number): LogWrite {
  if (what === 'delete') return encodeDelete(subjects, key, 'test');
  if (what === 'clear') return encodeClear(subjects, 'test', false);
  if (what === 'tag') return encodeTagInvalidation(subjects, tag, 'test');
  return encodePut(subjects, key, Buffer.from(`${key} at ${last + 1}`), {
    expiresAtMs: nowMs + ttlMs,
    tags: behind % 2 === 0 ? [tag] : undefined,
    contentType: undefined,
    basis: behind === 0 ? undefined : Math.max(0, last - behind),
    origin: 'test',
    natsTtlMs: undefined,
  });
}

async function replay(log: MemoryLog, index: KeyIndex): Promise<void> {
  const { first } = await log.bounds();
  index.sink.floor(first);
  await new Promise<void>((resolve, reject) => {
    const reader = log.open(1, {
      record: (record) => index.sink.apply(record),
      idle: () => resolve(),
      alive: () => undefined,
      ended: reject,
    });
    reader.catch(reject);
  });
}

describe('the index of keys', () => {
  it('holds exactly what a read of each key from the log finds', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const clock = createFakeClock();
        const log = createMemoryLog({ name: 'KV_demo', clock });
        for (const [count, one] of steps.entries()) {
          await log.append(writeOf(one, count, clock.now()));
          await clock.advance(10);
        }
        const index = createKeyIndex(context);
        await replay(log, index);
        const listed = new Map([...index.entries(clock.now())].map((entry) => [entry.key, entry.revision]));
        const read = new Map<string, number>();
        for (const key of names) {
          const entry = await readEntry({ subjects, log }, key, clock);
          if (entry !== undefined) read.set(key, entry.position);
        }
        assert.deepEqual([...listed].sort(), [...read].sort());
      }),
    );
  });

  it('knows the keys whose value is void by a tag and still in the log, until they are written or deleted', async () => {
    const clock = createFakeClock();
    const log = createMemoryLog({ name: 'KV_demo', clock });
    const put = (key: string, behind = 0): Step => ({ what: 'put', key, tag: 'red', behind, ttlMs: 1e9 });
    const steps: Step[] = [put('a'), put('b'), put('c'), put('d'), { ...put(''), what: 'tag' }];
    // c is written again, d deleted, and b by a loader that had begun before the invalidation.
    steps.push(put('c'), { ...put('d'), what: 'delete' }, put('b', 2 + 2));
    for (const [count, one] of steps.entries()) await log.append(writeOf(one, count, clock.now()));
    const index = createKeyIndex(context);
    await replay(log, index);
    assert.deepEqual([...index.invalidated].sort(), [
      ['a', 1],
      ['b', 8],
    ]);
    assert.deepEqual(
      [...index.entries(clock.now())].map(({ key }) => key),
      ['c'],
    );
  });

  it('keeps what is known of an entry, and its size instead of its value', async () => {
    const clock = createFakeClock();
    const log = createMemoryLog({ name: 'KV_demo', clock });
    const fields = { expiresAtMs: 9e12, tags: ['red'], contentType: 'text/plain', basis: undefined };
    await log.append(
      encodePut(subjects, 'a', Buffer.from('12345'), { ...fields, origin: 'test', natsTtlMs: undefined }),
    );
    const index = createKeyIndex(context);
    await replay(log, index);
    const [{ basis: _, ...entry } = { basis: 0 }] = index.entries(clock.now()) as Iterable<{ basis?: number }>;
    const { expiresAtMs, tags, contentType } = fields;
    assert.deepEqual(entry, { key: 'a', revision: 1, atMs: clock.now(), bytes: 5, expiresAtMs, tags, contentType });
  });

  it('takes a basis above the message itself for the message: nobody is immune to what comes later', async () => {
    const clock = createFakeClock();
    const log = createMemoryLog({ name: 'KV_demo', clock });
    const fields = { expiresAtMs: 9e12, tags: undefined, contentType: undefined, basis: 1_000 };
    await log.append(encodePut(subjects, 'a', Buffer.from('1'), { ...fields, origin: 'test', natsTtlMs: undefined }));
    await log.append(encodeClear(subjects, 'test', false));
    const index = createKeyIndex(context);
    await replay(log, index);
    assert.equal(index.size, 0);
  });

  it('keeps only the keys that it is asked to keep, with a checksum where it makes one', async () => {
    const clock = createFakeClock();
    const log = createMemoryLog({ name: 'KV_demo', clock });
    const put = (key: string): Step => ({ what: 'put', key, tag: 'red', behind: 1, ttlMs: 1e9 });
    for (const [count, key] of names.entries()) await log.append(writeOf(put(key), count, clock.now()));
    const checksum = (_put: unknown, revision: number): string => `sum ${revision}`;
    const index = createKeyIndex(context, { keeps: (key) => key !== 'b', checksum });
    await replay(log, index);
    assert.deepEqual([index.size, index.get('a')?.checksum, index.get('b')], [3, 'sum 1', undefined]);
  });

  it('forgets entries below the floor, and everything when the log began anew', async () => {
    const clock = createFakeClock();
    const log = createMemoryLog({ name: 'KV_demo', clock });
    const put = (key: string): Step => ({ what: 'put', key, tag: 'red', behind: 1, ttlMs: 1e9 });
    for (const [count, key] of names.entries()) await log.append(writeOf(put(key), count, clock.now()));
    const index = createKeyIndex(context);
    await replay(log, index);
    index.sink.floor(3);
    assert.deepEqual(
      [...index.entries(clock.now())].map(({ key }) => key),
      ['c', 'd'],
    );
    index.sink.rebuild('test');
    assert.equal(index.size, 0);
  });
});
