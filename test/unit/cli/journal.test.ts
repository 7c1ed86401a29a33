/** The journal: where a time is, what is shown, and who did it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { describeControl } from '../../../src/cli/journal/describe-control.ts';
import { describeEntry } from '../../../src/cli/journal/describe-entry.ts';
import { readJournal } from '../../../src/cli/journal/journal.ts';
import { formatLine, lineJson } from '../../../src/cli/journal/journal-line.ts';
import { findPosition } from '../../../src/cli/journal/start-position.ts';
import { encodeControlEvent, type WritableControlEvent } from '../../../src/events/control.ts';
import { encodeDelete, encodePut, encodeTagInvalidation } from '../../../src/events/entry.ts';
import { encodeHeader } from '../../../src/events/header.ts';
import { type LogRecord, type LogWrite, recordOf } from '../../../src/events/record.ts';
import { bucketSubjects } from '../../../src/events/subjects.ts';
import { createMemoryLog, type MemoryLog } from '../../../src/log/memory-log.ts';
import { createFakeClock, type FakeClock } from '../../../src/testing/fake-clock.ts';
import { createSeededRandom } from '../../../src/testing/seeded-random.ts';

const never = new AbortController().signal;
const write = (subject: string): LogWrite => ({ subject, fields: '', data: Buffer.from('x') });
const subjects = bucketSubjects('sluice', 'demo');

function storedAs({ subject, fields, data }: LogWrite): LogRecord {
  const header = fields === '' ? undefined : encodeHeader(fields);
  return recordOf({ position: 17, atMs: Date.UTC(2026, 6, 31, 10, 11, 12), subject, header, data });
}

/** Time moves while a call that waits for timers is under way. */
async function settled<Result>(clock: FakeClock, work: Promise<Result>): Promise<Result> {
  let isDone = false;
  const finish = (): void => {
    isDone = true;
  };
  work.then(finish, finish);
  for (let round = 0; !isDone && round < 1_000; round += 1) await clock.advance(10);
  return work;
}

describe('the position of a time', () => {
  it('is that of the first message at or after it, whatever was removed from the log', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ subject: fc.nat({ max: 5 }), pauseMs: fc.nat({ max: 300 }) }), { maxLength: 25 }),
        fc.nat({ max: 4_000 }),
        async (messages, sinceMs) => {
          const clock = createFakeClock({ nowMs: 0 });
          const log = createMemoryLog({ name: 'log', clock });
          const times: number[] = [];
          for (const { subject, pauseMs } of messages) {
            await clock.advance(pauseMs);
            await log.append(write(`s.${subject}`));
            times.push(clock.now());
          }
          const found = await settled(clock, findPosition(log, clock, sinceMs, never));
          // What is there decides: the newest message of each subject.
          const newest = new Set(new Map(messages.map(({ subject }, index) => [subject, index + 1])).values());
          const expected = times.findIndex((atMs, index) => atMs >= sinceMs && newest.has(index + 1));
          const from = [...newest].filter((position) => position >= found);
          const wanted = expected < 0 ? [] : [...newest].filter((position) => position >= expected + 1);
          assert.deepEqual(from, wanted);
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe('reading a journal', () => {
  async function filled(count: number): Promise<{ clock: FakeClock; log: MemoryLog }> {
    const clock = createFakeClock();
    const log = createMemoryLog({ name: 'log', clock, messagesPerSubject: Number.POSITIVE_INFINITY });
    for (let index = 1; index <= count; index += 1) await log.append(write('s'));
    return { clock, log };
  }

  function read({ clock, log }: { clock: FakeClock; log: MemoryLog }, from: number, follow?: AbortSignal) {
    const seen: number[] = [];
    const remarks: string[] = [];
    let ends = 0;
    const done = readJournal(
      { clock, random: createSeededRandom(1), signal: never },
      {
        log,
        from,
        follow,
        onRecord: ({ position }) => seen.push(position),
        onRemark: (remark) => remarks.push(remark),
        onEnd: () => {
          ends += 1;
        },
      },
    );
    return { seen, remarks, done, ends: () => ends };
  }

  it('shows each message from the position to the end, and ends', async () => {
    const source = await filled(5);
    const reading = read(source, 3);
    await settled(source.clock, reading.done);
    assert.deepEqual([reading.seen, reading.ends()], [[3, 4, 5], 1]);
    assert.equal(source.log.openReaders, 0);
  });

  it('has nothing to show of an empty log, and nothing behind the end', async () => {
    for (const [count, from] of [
      [0, 1],
      [5, 6],
      [5, 99],
    ] as const) {
      const source = await filled(count);
      const reading = read(source, from);
      await settled(source.clock, reading.done);
      assert.deepEqual([reading.seen, reading.remarks, reading.ends()], [[], [], 1]);
    }
  });

  it('follows: what comes later is shown, from a position ahead of the end too, until it is told to stop', async () => {
    const source = await filled(2);
    const stop = new AbortController();
    const ahead = read(source, 4, stop.signal);
    const all = read(source, 1, stop.signal);
    await source.clock.advance(1_000);
    assert.deepEqual([all.seen, all.ends()], [[1, 2], 1]);
    for (let index = 0; index < 3; index += 1) await source.log.append(write('s'));
    await source.clock.advance(1_000);
    stop.abort();
    await settled(source.clock, Promise.all([ahead.done, all.done]));
    assert.deepEqual(
      [all.seen, ahead.seen],
      [
        [1, 2, 3, 4, 5],
        [4, 5],
      ],
    );
    assert.equal(source.log.openReaders, 0);
  });

  it('says that the log began anew, and goes on with it', async () => {
    const source = await filled(3);
    const stop = new AbortController();
    const reading = read(source, 1, stop.signal);
    await source.clock.advance(1_000);
    source.log.recreate();
    await source.log.append(write('s'));
    await source.clock.advance(10_000);
    stop.abort();
    await settled(source.clock, reading.done);
    assert.deepEqual(reading.seen, [1, 2, 3, 1]);
    assert.equal(reading.remarks.length, 1);
    assert.match(reading.remarks[0] ?? '', /^log: the log was deleted and made again/);
  });
});

describe('lines of the control log', () => {
  const life = { node: 'node-1', incarnation: 'a1' };
  const settings = {
    partitions: 1,
    replicas: 'all',
    logReplicas: 1,
    entriesMax: 10,
    bytesMax: 100,
    ttlMs: null,
    valueBytesMax: 10,
    logBytesMax: null,
    whenFull: 'drop-oldest',
  } as const;
  const cases: readonly [event: WritableControlEvent, by: string | undefined, what: RegExp][] = [
    [
      { type: 'member.joined', ...life, http: 'http://h:1', version: '1.0', pid: 7 },
      'node-1',
      /^node-1 {2}incarnation a1 {2}at http:\/\/h:1 {2}version 1.0 {2}pid 7$/,
    ],
    [{ type: 'member.left', ...life, reason: 'timeout', by: 'node-2' }, 'node-2', /^node-1 .*reason timeout$/],
    [{ type: 'cache.declared', cache: 'demo', settings, by: 'me' }, 'me', /^demo {2}partitions=1 .*ttlMs=none/],
    [{ type: 'cache.dropped', cache: 'demo' }, undefined, /^demo$/],
    [{ type: 'lease.held', role: 'controller', epoch: 3, holder: 'c1', durationMs: 9 }, 'c1', /^controller {2}epoch 3/],
    [
      { type: 'command.issued', verb: 'start', body: { expr: 'a\u001b' } },
      undefined,
      /^start {2}\{"expr":"a\\u001b"\}$/,
    ],
    [
      { type: 'outcome.reported', node: 'n', command: 4, ok: false, code: 'x', message: 'y' },
      'n',
      /^of 4 {2}failed {2}x {2}y$/,
    ],
  ];

  it('say who did what', () => {
    for (const [event, by, what] of cases) {
      const line = describeControl('sluice', storedAs(encodeControlEvent('sluice', event)));
      assert.deepEqual([line.type, line.by, line.position], [event.type, by, 17]);
      assert.match(line.what, what);
    }
  });

  it('show what cannot be read as what it is', () => {
    const broken = { subject: 'sluice.cache.demo.declared', fields: '', data: Buffer.from('{') };
    const line = describeControl('sluice', storedAs(broken));
    assert.deepEqual([line.type, line.what], ['control.unreadable', 'sluice.cache.demo.declared  body: is not JSON']);
    const later = describeControl('sluice', storedAs({ ...broken, subject: 'sluice.later.thing' }));
    assert.deepEqual([later.type, later.what], ['control.unknown', 'sluice.later.thing']);
  });
});

describe('lines of a cache', () => {
  const style = {
    context: { subjects, log: { maxAgeMs: Number.POSITIVE_INFINITY } },
    bucket: undefined,
    hasValues: true,
  };
  const fields = { expiresAtMs: 9e12, tags: ['red'], contentType: 'text/plain', basis: 4, natsTtlMs: undefined };
  const put = encodePut(subjects, 'a key', Buffer.from('hi'), { ...fields, origin: 'me' });

  it('say who wrote what', () => {
    const line = describeEntry(style, storedAs(put));
    assert.deepEqual(
      [line.by, line.what],
      ['me', 'a key  2 bytes  "hi"  text/plain  tags red  expires 2255-03-14T16:00:00.000Z  loaded as of 4'],
    );
    assert.equal(
      formatLine(line, undefined),
      `      17  2026-07-31T10:11:12.000Z  me            entry.put         ${line.what}`,
    );
    assert.deepEqual(lineJson(line), {
      position: 17,
      at: '2026-07-31T10:11:12.000Z',
      by: 'me',
      type: 'entry.put',
      key: 'a key',
      bytes: 2,
      contentType: 'text/plain',
      tags: ['red'],
      expires: '2255-03-14T16:00:00.000Z',
      basis: 4,
      encoding: 'text',
      value: 'hi',
    });
  });

  it('leave values out unless asked for them', () => {
    const line = describeEntry({ ...style, hasValues: false }, storedAs(put));
    assert.doesNotMatch(line.what + JSON.stringify(lineJson(line)), /"hi"/);
  });

  it('name the bucket where there are several', () => {
    const line = describeEntry({ ...style, bucket: 'demo-01' }, storedAs(put));
    assert.match(formatLine(line, 'demo-01'), / demo-01 {2}me /);
    assert.equal(lineJson(line)['bucket'], 'demo-01');
  });

  it('have a dash for a writer of whom nothing is known', () => {
    const line = describeEntry(style, storedAs({ subject: '$KV.demo.x', fields: '', data: Buffer.from('1') }));
    assert.equal(line.by, undefined);
    assert.match(formatLine(line, undefined), / {2}- {13}entry\.put /);
  });

  it('show deletes, tags and what is foreign', () => {
    const lines = [
      encodeDelete(subjects, 'gone', 'me'),
      encodeTagInvalidation(subjects, 'red', 'me'),
      { subject: 'else', fields: '', data: Buffer.from('') },
      { subject: '$KV.demo.x', fields: 'Sluice-Expires: soon\r\n', data: Buffer.from('') },
    ].map((one) => describeEntry(style, storedAs(one)));
    assert.deepEqual(
      lines.map(({ type, what }) => `${type} ${what}`),
      ['entry.deleted gone', 'tag.invalidated tag red', 'foreign else  subject', 'entry.unreadable x  Sluice-Expires'],
    );
  });
});
