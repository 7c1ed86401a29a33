/**
 * What every `Log` promises. The same tests run against the log in memory and against real nats-servers, so that whatever
 * is proved with the one is true of the other.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { isSluiceError } from '../../src/errors.ts';
import { formatField, headerNames, headerText, readField } from '../../src/events/header.ts';
import type { LogRecord, LogWrite, Position } from '../../src/events/record.ts';
import type { Log, LogReader } from '../../src/log/log.ts';
import { type LogHarness, type LogSettings, type LogSource, put, putBriefly } from '../support/log-harness.ts';
import { waitUntil } from '../support/wait-until.ts';

interface Heard {
  readonly record: LogRecord;
  readonly pending: number;
}

interface Listening {
  readonly heard: Heard[];
  readonly idles: { provenAtMs: number; through: Position; heardBefore: number }[];
  readonly ends: string[];
  readonly reader: LogReader;
  readonly positions: () => Position[];
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const isCode = (code: Parameters<typeof isSluiceError>[1]) => (error: unknown) => isSluiceError(error, code);

async function listen(log: Log, from: Position): Promise<Listening> {
  const heard: Heard[] = [];
  const idles: Listening['idles'] = [];
  const ends: string[] = [];
  const reader = await log.open(from, {
    record: (record, pending) => void heard.push({ record: record.copy(), pending }),
    idle: (provenAtMs, through) => void idles.push({ provenAtMs, through, heardBefore: heard.length }),
    alive: () => undefined,
    ended: (reason) => void ends.push(reason),
  });
  return { heard, idles, ends, reader, positions: () => heard.map(({ record }) => record.position) };
}

export function describeLogContract(name: string, start: () => Promise<LogSource>): void {
  describe(`a log ${name}`, () => {
    let source: LogSource;
    before(async () => {
      source = await start();
    });
    after(() => source.stop());

    /** A fresh log for one test, which is gone afterwards. */
    const promises = (
      title: string,
      check: (harness: LogHarness) => Promise<void>,
      settings: LogSettings = {},
    ): void => {
      it(title, async () => {
        const harness = await source.create(settings);
        try {
          await check(harness);
        } finally {
          await harness.dispose();
        }
      });
    };
    const everything = { messagesPerSubject: Number.POSITIVE_INFINITY };

    promises('is empty when new: the head is 0 and the floor above it', async ({ log, subjectOf }) => {
      const { first, last, messages } = await log.bounds();
      assert.deepEqual({ first, last, messages }, { first: 1, last: 0, messages: 0 });
      assert.equal(await log.latest(subjectOf('a')), undefined);
    });

    promises(
      'gives ascending positions from 1, and knows its newest message of a subject',
      async ({ log, subjectOf }) => {
        const before = systemClock.now();
        for (const [index, key] of ['a', 'b', 'a'].entries()) {
          const appended = await log.append({ subject: subjectOf(key), fields: '', data: bytes(`${key}${index}`) });
          assert.deepEqual(appended, { position: index + 1, isDuplicate: false });
        }
        const { first, last, messages } = await log.bounds();
        assert.deepEqual({ first, last, messages }, { first: 2, last: 3, messages: 2 });
        const latest = await log.latest(subjectOf('a'));
        assert.equal(latest?.position, 3);
        await log.confirmHead(3);
        assert.equal(latest?.subject, subjectOf('a'));
        assert.deepEqual(Buffer.from(latest?.data ?? []).toString(), 'a2');
        assert.ok(latest !== undefined && latest.atMs >= before - 1_000 && latest.atMs <= systemClock.now() + 1_000);
        assert.ok(Number.isInteger(latest.atMs));
      },
    );

    promises(
      'keeps all messages of a subject when told to',
      async ({ log, subjectOf }) => {
        for (let index = 0; index < 3; index += 1) {
          await log.append({ subject: subjectOf('a'), fields: '', data: bytes('x') });
        }
        const { first, last, messages } = await log.bounds();
        assert.deepEqual({ first, last, messages }, { first: 1, last: 3, messages: 3 });
      },
      everything,
    );

    promises('stores body and headers byte by byte', async ({ log, subjectOf }) => {
      const all = Uint8Array.from({ length: 256 }, (_, byte) => byte);
      const big = randomBytes(512 * 1024);
      const fields = formatField('Sluice-Tags', 'größe,日本') + formatField('KV-Operation', 'PUT');
      await log.append({ subject: subjectOf('all'), fields, data: all });
      await log.append({ subject: subjectOf('none'), fields: '', data: new Uint8Array(0) });
      await log.append({ subject: subjectOf('big'), fields: '', data: big });
      const listening = await listen(log, 1);
      await waitUntil('three records', () => listening.heard.length === 3);
      await listening.reader.close();
      const read = [await log.latest(subjectOf('all')), listening.heard[0]?.record];
      for (const record of read) {
        assert.deepEqual(Uint8Array.from(record?.data ?? []), all);
        const text = headerText(record?.header ?? new Uint8Array());
        assert.equal(readField(text, 'Sluice-Tags'), 'größe,日本');
        assert.equal(readField(text, 'KV-Operation'), 'PUT');
      }
      assert.equal(read[0]?.atMs, read[1]?.atMs, 'both ways agree on when it was stored');
      assert.equal(listening.heard[1]?.record.data.length, 0);
      assert.ok(Buffer.from(listening.heard[2]?.record.data ?? []).equals(big));
    });

    promises('does not share bytes with those who write or read them', async ({ log, subjectOf }) => {
      const subject = subjectOf('a');
      for (const mine of [bytes('original'), Buffer.from('original')]) {
        const appending = log.append({ subject, fields: formatField('X', 'original'), data: mine });
        mine.fill(0);
        await appending;
        const first = await log.latest(subject);
        assert.equal(Buffer.from(first?.data ?? []).toString(), 'original');
        first?.data.fill(0);
        first?.header?.fill(0);
        const second = await log.latest(subject);
        assert.equal(Buffer.from(second?.data ?? []).toString(), 'original');
        assert.equal(readField(headerText(second?.header ?? bytes('')), 'X'), 'original');
      }
    });

    promises('stores a write of the same id once, and says so', async ({ log, subjectOf }) => {
      const write: LogWrite = { subject: subjectOf('a'), fields: '', data: bytes('1') };
      assert.deepEqual(await log.append(write, { id: 'one' }), { position: 1, isDuplicate: false });
      assert.deepEqual(await log.append(write, { id: 'one' }), { position: 1, isDuplicate: true });
      assert.deepEqual(await log.append(write, { id: 'two' }), { position: 2, isDuplicate: false });
      assert.deepEqual(await log.append(write), { position: 3, isDuplicate: false });
      assert.deepEqual(
        await log.append(write),
        { position: 4, isDuplicate: false },
        'without an id each write is its own',
      );
      assert.equal((await log.bounds()).last, 4);
      await log.append(write, { id: 'seen' });
      const header = (await log.latest(write.subject))?.header ?? bytes('');
      assert.equal(readField(headerText(header), headerNames.messageId), 'seen');
    });

    promises('creates by an expected position of 0, once', async ({ log, subjectOf }) => {
      const write: LogWrite = { subject: subjectOf('a'), fields: '', data: bytes('1') };
      assert.equal((await log.append(write, { expected: 0 })).position, 1);
      await assert.rejects(log.append(write, { expected: 0 }), isCode('position-conflict'));
      await log.append({ ...write, subject: subjectOf('b') }, { expected: 0 });
      assert.equal((await log.bounds()).last, 2);
      await log.purge({ subject: write.subject });
      assert.equal((await log.append(write, { expected: 0 })).position, 3, 'what was purged can be created again');
    });

    promises('compares and sets by position where that is safe, and refuses where not', async ({ log, subjectOf }) => {
      const write: LogWrite = { subject: subjectOf('a'), fields: '', data: bytes('1') };
      const { position } = await log.append(write);
      await log.append({ ...write, subject: subjectOf('other') });
      if (!log.isCompareAndSetSafe) {
        await assert.rejects(log.append(write, { expected: position }), isCode('cas-unsupported'));
        assert.equal((await log.bounds()).last, 2);
        return;
      }
      const next = await log.append(write, { expected: position });
      assert.equal(next.position, 3, 'writes of other subjects do not matter');
      for (const wrong of [0, position, 2, 99]) {
        await assert.rejects(log.append(write, { expected: wrong }), isCode('position-conflict'));
      }
      assert.equal((await log.bounds()).last, 3);
    });

    promises('lets exactly one of many writers win', async ({ log, direct, subjectOf }) => {
      const write: LogWrite = { subject: subjectOf('a'), fields: '', data: bytes('1') };
      let expected = 0;
      for (let round = 0; round < 10; round += 1) {
        const attempts = await Promise.allSettled(
          Array.from({ length: 8 }, (_, index) => (index % 2 === 0 ? log : direct).append(write, { expected })),
        );
        const won = attempts.flatMap((attempt) => (attempt.status === 'fulfilled' ? [attempt.value.position] : []));
        for (const attempt of attempts) {
          if (attempt.status === 'rejected')
            assert.ok(isSluiceError(attempt.reason, 'position-conflict'), `${attempt.reason}`);
        }
        assert.equal(won.length, 1, `round ${round}`);
        if (!log.isCompareAndSetSafe) return;
        expected = won[0] ?? 0;
      }
    });

    promises('answers a repeated compare-and-set with its first outcome', async ({ log, subjectOf }) => {
      const write: LogWrite = { subject: subjectOf('a'), fields: '', data: bytes('1') };
      const first = await log.append(write, { expected: 0, id: 'mine' });
      const again = await log.append(write, { expected: 0, id: 'mine' });
      assert.deepEqual(again, { position: first.position, isDuplicate: true });
    });

    promises(
      'purges by subject, below a position, and whole; positions are never used again',
      async ({ log, subjectOf }) => {
        for (const key of ['a', 'b', 'a', 'c', 'b', 'a']) {
          await log.append({ subject: subjectOf(key), fields: '', data: bytes(key) });
        }
        assert.equal(await log.purge({ subject: subjectOf('b') }), 2);
        assert.equal((await log.bounds()).messages, 4);
        assert.equal(await log.purge({ subject: subjectOf('a'), below: 3 }), 1);
        assert.equal((await log.bounds()).first, 3);
        assert.equal(await log.purge({ below: 4 }), 1);
        assert.equal((await log.bounds()).first, 4);
        assert.equal(await log.purge({ subject: subjectOf('nobody') }), 0);
        assert.equal(await log.purge(), 2);
        const { first, last, messages } = await log.bounds();
        assert.deepEqual({ first, last, messages }, { first: 7, last: 6, messages: 0 });
        assert.equal((await log.append({ subject: subjectOf('a'), fields: '', data: bytes('') })).position, 7);
      },
      everything,
    );

    promises(
      'delivers from any position in order, and counts what waits behind each',
      async ({ log, subjectOf }) => {
        for (let index = 1; index <= 10; index += 1) {
          await log.append({ subject: subjectOf(`${index}`), fields: '', data: bytes(`${index}`) });
        }
        await log.purge({ subject: subjectOf('4') });
        const cases: [from: Position, expected: Position[]][] = [
          [1, [1, 2, 3, 5, 6, 7, 8, 9, 10]],
          [3, [3, 5, 6, 7, 8, 9, 10]],
          [4, [5, 6, 7, 8, 9, 10]],
          [10, [10]],
        ];
        for (const [from, expected] of cases) {
          const { heard, positions, reader } = await listen(log, from);
          await waitUntil(`all from ${from}`, () => heard.length >= expected.length);
          assert.deepEqual(positions(), expected);
          assert.deepEqual(
            heard.map(({ pending }) => pending),
            expected.map((_, index) => expected.length - 1 - index),
          );
          assert.deepEqual(
            heard.map(({ record }) => record.subject),
            expected.map((position) => subjectOf(`${position}`)),
          );
          await reader.close();
        }
      },
      everything,
    );

    promises('follows: what is appended later is delivered once and in order', async ({ log, direct, subjectOf }) => {
      const fromStart = await listen(log, 1);
      const fromAbove = await listen(log, 11);
      for (let index = 1; index <= 20; index += 1) {
        await direct.append({ subject: subjectOf(`${index}`), fields: '', data: bytes('') });
      }
      const expected = Array.from({ length: 20 }, (_, index) => index + 1);
      for (const [{ heard, positions, reader, ends }, first] of [
        [fromStart, 1],
        [fromAbove, 11],
      ] as const) {
        await waitUntil(`the records from ${first}`, () => heard.at(-1)?.record.position === 20);
        await reader.close();
        assert.deepEqual(positions(), expected.slice(first - 1));
        assert.deepEqual(ends, []);
      }
    });

    promises('says when nothing is waiting, and never too early', async ({ log, direct, subjectOf }) => {
      const listening = await listen(log, 1);
      await waitUntil('idle on an empty log', () => listening.idles.length > 0);
      for (let round = 0; round < 15; round += 1) {
        const { position } = await direct.append({ subject: subjectOf(`${round}`), fields: '', data: bytes('') });
        const storedAtMs = systemClock.monotonic();
        await waitUntil('idle behind it', () => listening.idles.at(-1)?.through === position);
        for (const { provenAtMs, through, heardBefore } of listening.idles) {
          const heard = listening.heard.slice(0, heardBefore).at(-1)?.record.position ?? 0;
          assert.ok(through <= heard, `through ${through}, heard ${heard}`);
          if (provenAtMs >= storedAtMs)
            assert.ok(heard >= position, 'a proof of a moment after the write includes the write');
          assert.ok(provenAtMs <= systemClock.monotonic());
        }
      }
      await listening.reader.close();
    });

    promises('passes over messages that were removed from its end', async ({ log, direct, subjectOf }) => {
      for (const key of ['a', 'b', 'c', 'd'])
        await log.append({ subject: subjectOf(key), fields: '', data: bytes('') });
      await log.purge({ subject: subjectOf('c') });
      await log.purge({ subject: subjectOf('d') });
      // A replica may be behind with the removal, and deliver what it has not removed yet.
      const listening = await waitUntil('a reader of the removal', async () => {
        const opened = await listen(log, 1);
        await waitUntil('idle through the removed end', () => opened.idles.at(-1)?.through === 4);
        if (opened.positions().length === 2) return opened;
        await opened.reader.close();
        return undefined;
      });
      assert.deepEqual(listening.positions(), [1, 2]);
      await direct.append({ subject: subjectOf('e'), fields: '', data: bytes('') });
      await waitUntil('the next one', () => listening.heard.length === 3);
      assert.deepEqual(listening.positions(), [1, 2, 5]);
      await listening.reader.close();
    });

    promises(
      'delivers nothing more after close, which may be called twice, and leaves no reader behind',
      async (harness) => {
        const { log, direct, subjectOf } = harness;
        const listening = await listen(log, 1);
        const other = await listen(log, 1);
        assert.equal(await harness.readers(), 2);
        await Promise.all([listening.reader.close(), listening.reader.close()]);
        await listening.reader.close();
        assert.equal(await harness.readers(), 1);
        await direct.append({ subject: subjectOf('a'), fields: '', data: bytes('') });
        await waitUntil('the other reader', () => other.heard.length === 1 || other.ends.length > 0);
        assert.deepEqual(other.ends, []);
        assert.equal(listening.heard.length, 0);
        assert.deepEqual(listening.ends, []);
        await other.reader.close();
        assert.equal(await harness.readers(), 0);
      },
    );

    promises('ends its readers when it is deleted, and has another identity when it is made again', async (harness) => {
      const { log, subjectOf } = harness;
      await log.append({ subject: subjectOf('a'), fields: '', data: bytes('') });
      const { identity } = await log.bounds();
      await log.append({ subject: subjectOf('b'), fields: '', data: bytes('') });
      assert.equal((await log.bounds()).identity, identity);
      const listening = await listen(log, 1);
      await waitUntil('both records', () => listening.heard.length === 2);
      await harness.recreate();
      await waitUntil('the end of the reader', () => listening.ends.length > 0);
      await listening.reader.close();
      assert.equal(listening.ends.length, 1);
      const bounds = await log.bounds();
      assert.notEqual(bounds.identity, identity);
      assert.equal(bounds.last, 0);
      assert.equal((await log.append({ subject: subjectOf('a'), fields: '', data: bytes('') })).position, 1);
    });

    promises('ends its readers when the connection is lost', async (harness) => {
      const listening = await listen(harness.log, 1);
      await harness.disconnect();
      await waitUntil('the end of the reader', () => listening.ends.length > 0);
      await listening.reader.close();
      await waitUntil('no reader left', async () => (await harness.readers()) === 0);
    });

    promises('fails with log-unavailable while it cannot be reached, and works again afterwards', async (harness) => {
      const { log, subjectOf } = harness;
      const write: LogWrite = { subject: subjectOf('a'), fields: '', data: bytes('') };
      const end = await harness.outage();
      await Promise.all([
        assert.rejects(log.append(write, { deadlineMs: 300 }), isCode('log-unavailable')),
        assert.rejects(log.bounds(), isCode('log-unavailable')),
        assert.rejects(log.latest(write.subject), isCode('log-unavailable')),
        assert.rejects(listen(log, 1), isCode('log-unavailable')),
        assert.rejects(log.purge(), isCode('log-unavailable')),
      ]);
      await end();
      await waitUntil('the log again', () => log.bounds().catch(() => undefined));
      assert.equal((await log.append(write)).position, 1, 'what had failed was not written');
    });

    promises('fails with log-unavailable when it does not exist', async (harness) => {
      const { log, subjectOf } = harness;
      await harness.remove();
      await Promise.all([
        assert.rejects(
          log.append({ subject: subjectOf('a'), fields: '', data: bytes('') }, { deadlineMs: 300 }),
          isCode('log-unavailable'),
        ),
        assert.rejects(log.bounds(), isCode('log-unavailable')),
        assert.rejects(log.latest(subjectOf('a')), isCode('log-unavailable')),
        assert.rejects(listen(log, 1), isCode('log-unavailable')),
      ]);
    });

    promises('obeys a signal that has fired', async ({ log, subjectOf }) => {
      const signal = AbortSignal.abort();
      const write: LogWrite = { subject: subjectOf('a'), fields: '', data: bytes('') };
      await assert.rejects(log.append(write, { signal }), isCode('aborted'));
      await assert.rejects(log.bounds(signal), isCode('aborted'));
      await assert.rejects(log.latest(write.subject, signal), isCode('aborted'));
      assert.equal((await log.bounds()).last, 0);
    });

    promises('tells where its messages stand, without their data, on request', async ({ log, subjectOf }) => {
      for (const name of ['a', 'b', 'a']) await log.append({ subject: subjectOf(name), fields: '', data: bytes(name) });
      const positions: Position[] = [];
      const reader = await log.open(
        1,
        {
          record: ({ position }) => void positions.push(position),
          idle: () => undefined,
          alive: () => undefined,
          ended: () => undefined,
        },
        { withoutData: true },
      );
      await waitUntil('both of them', () => positions.length >= 2);
      await reader.close();
      assert.deepEqual(positions, [2, 3]);
    });

    promises('removes a message when its time is over, without a word, or keeps it', async (harness) => {
      const { log, subjectOf } = harness;
      await put(harness, 'other');
      const position = await putBriefly(harness, 'brief');
      const writtenMs = performance.now();
      const listening = await listen(log, 1);
      if (log.honoursTtl) await waitUntil('its end', async () => (await log.latest(subjectOf('brief'))) === undefined);
      else await waitUntil('twice its life', () => performance.now() > writtenMs + 2_000);
      const { first, last, messages } = await log.bounds();
      assert.deepEqual({ first, last, messages }, { first: 1, last: position, messages: log.honoursTtl ? 1 : 2 });
      await waitUntil('both of them', () => listening.heard.length >= 2);
      await listening.reader.close();
      assert.deepEqual([listening.positions(), listening.ends], [[1, position], []]);
    });

    promises(
      'drops the oldest when it is full',
      async ({ log, subjectOf }) => {
        for (let index = 1; index <= 8; index += 1) {
          await log.append({ subject: subjectOf(`${index}`), fields: '', data: bytes('') });
        }
        const { first, last, messages } = await log.bounds();
        assert.deepEqual({ first, last, messages }, { first: 4, last: 8, messages: 5 });
        assert.equal(await log.latest(subjectOf('3')), undefined);
      },
      { messagesMax: 5 },
    );

    promises(
      'refuses when it is full and set to, until there is room',
      async ({ log, subjectOf }) => {
        for (let index = 1; index <= 5; index += 1) {
          await log.append({ subject: subjectOf(`${index}`), fields: '', data: bytes('') });
        }
        await assert.rejects(log.append({ subject: subjectOf('6'), fields: '', data: bytes('') }), isCode('log-full'));
        await log.purge({ subject: subjectOf('1') });
        await log.append({ subject: subjectOf('6'), fields: '', data: bytes('') });
        const { first, messages } = await log.bounds();
        assert.deepEqual({ first, messages }, { first: 2, messages: 5 });
      },
      { messagesMax: 5, whenFull: 'refuse' },
    );

    promises(
      'takes thousands of writes at once, in the order of the calls',
      async ({ log, subjectOf }) => {
        const count = 3_000;
        const appended = await Promise.all(
          Array.from({ length: count }, (_, index) =>
            log.append({ subject: subjectOf(`${index % 7}`), fields: '', data: bytes(`${index}`) }),
          ),
        );
        assert.deepEqual(
          appended.map(({ position }) => position),
          Array.from({ length: count }, (_, index) => index + 1),
        );
        const listening = await listen(log, 1);
        await waitUntil('all of them', () => listening.heard.length >= count);
        await listening.reader.close();
        assert.deepEqual(
          listening.heard.map(({ record }) => Buffer.from(record.data).toString()),
          Array.from({ length: count }, (_, index) => `${index}`),
        );
      },
      everything,
    );
  });
}
