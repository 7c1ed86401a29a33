/**
 * What a follower promises, whatever log it follows: a gap-free copy, honest about its age, that heals by itself. Time is
 * real here, with short limits; what depends on exact times is tested with a fake clock in `unit/log`.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { isSluiceError } from '../../src/errors.ts';
import type { LogRecord, Position } from '../../src/events/record.ts';
import { createFollower, type Follower } from '../../src/log/follower.ts';
import type { FollowerLimits, FollowerNotice, FollowerOptions } from '../../src/log/follower-options.ts';
import { type LogHarness, type LogSettings, type LogSource, put, putBriefly } from '../support/log-harness.ts';
import { waitUntil } from '../support/wait-until.ts';

/** A copy as plain as can be: the newest body by subject, and everything that was said to it. */
export interface Copy {
  readonly follower: Follower;
  readonly positions: Position[];
  readonly values: Map<string, { body: string; position: Position }>;
  readonly rebuilds: string[];
  readonly floors: Position[];
  /** Up to where it was compared with the log, each time. */
  readonly verified: Position[];
  readonly notices: FollowerNotice[];
  /** Called with each record before it is applied. */
  onApply: ((record: LogRecord) => void) | undefined;
}

export const quickLimits: FollowerLimits = {
  silenceMs: 500,
  floorCheckMs: 200,
  horizonMs: 3_600_000,
  retryFirstMs: 20,
  retryMaxMs: 200,
};

export function makeCopy(harness: Pick<LogHarness, 'log'>, options: Partial<FollowerOptions> = {}): Copy {
  const copy: Omit<Copy, 'follower'> = {
    positions: [],
    values: new Map(),
    rebuilds: [],
    floors: [],
    verified: [],
    notices: [],
    onApply: undefined,
  };
  const follower = createFollower({
    log: harness.log,
    clock: systemClock,
    random: systemRandom,
    onNotice: (notice) => void copy.notices.push(notice),
    ...options,
    limits: { ...quickLimits, ...options.limits },
    sink: {
      apply(record) {
        whole.onApply?.(record);
        copy.positions.push(record.position);
        const body = Buffer.from(record.data).toString();
        copy.values.set(record.subject.slice(record.subject.lastIndexOf('.') + 1), { body, position: record.position });
      },
      rebuild(reason) {
        copy.rebuilds.push(reason);
        copy.positions.length = 0;
        copy.values.clear();
      },
      floor(first) {
        copy.floors.push(first);
        for (const [key, { position }] of copy.values) if (position < first) copy.values.delete(key);
      },
      verify() {
        const held = new Map([...copy.values].map(([key, { position }]) => [position, key]));
        return {
          met: (position) => void held.delete(position),
          async end(through) {
            copy.verified.push(through);
            const gone = [...held].filter(
              ([position, key]) => position <= through && copy.values.get(key)?.position === position,
            );
            for (const [, key] of gone) copy.values.delete(key);
            return gone.length;
          },
        };
      },
    },
  });
  const whole: Copy = Object.assign(copy, { follower });
  return whole;
}

const isCode = (code: Parameters<typeof isSluiceError>[1]) => (error: unknown) => isSluiceError(error, code);
const soon = { waitMs: 10_000 };

export function describeFollowerContract(name: string, start: () => Promise<LogSource>): void {
  describe(`a follower of a log ${name}`, () => {
    let source: LogSource;
    before(async () => {
      source = await start();
    });
    after(() => source.stop());

    const promises = (
      title: string,
      check: (harness: LogHarness, copy: (options?: Partial<FollowerOptions>) => Copy) => Promise<void>,
      settings: LogSettings = {},
    ): void => {
      it(title, async () => {
        const harness = await source.create(settings);
        const copies: Copy[] = [];
        try {
          await check(harness, (options) => {
            const copy = makeCopy(harness, options);
            copies.push(copy);
            return copy;
          });
        } finally {
          await Promise.all(copies.map(({ follower }) => follower.stop()));
          await harness.dispose();
        }
      });
    };
    const everything = { messagesPerSubject: Number.POSITIVE_INFINITY };

    promises('is ready on an empty log, and knows that it misses nothing', async (_, copyOf) => {
      const { follower, positions, notices } = copyOf();
      assert.equal(follower.isReady, false);
      assert.equal(follower.lagMs(), Number.POSITIVE_INFINITY);
      await follower.start();
      await follower.ready(soon);
      assert.deepEqual([follower.applied, follower.head, follower.lagEvents], [0, 0, 0]);
      assert.ok(follower.lagMs() < 10_000);
      assert.deepEqual(positions, []);
      assert.equal(notices.filter(({ what }) => what === 'ready').length, 1);
    });

    promises(
      'replays what is there, is ready then, and follows without gap or repetition',
      async (harness, copyOf) => {
        for (let index = 0; index < 50; index += 1) await put(harness, `key${index % 10}`, `${index}`);
        const { follower, positions } = copyOf();
        await follower.start();
        await follower.ready(soon);
        assert.equal(follower.applied, 50);
        assert.equal(follower.counters.replayRecords, 50);
        for (let index = 50; index < 80; index += 1) await put(harness, `key${index % 10}`, `${index}`);
        await follower.reached(80, soon);
        assert.deepEqual(
          positions,
          Array.from({ length: 80 }, (_, index) => index + 1),
        );
        assert.equal(follower.counters.replayRecords, 50, 'replay is what came before it was ready');
        assert.equal(follower.counters.records, 80);
        assert.equal(follower.counters.rebuilds, 0);
        assert.equal(follower.counters.reopened, 0);
      },
      everything,
    );

    promises('waits for a position within limits', async (harness, copyOf) => {
      const { follower } = copyOf();
      await follower.start();
      await follower.ready(soon);
      await follower.reached(0);
      const waiting = follower.reached(2, soon);
      await put(harness, 'a');
      await put(harness, 'b');
      await waiting;
      assert.equal(follower.applied, 2);
      await assert.rejects(follower.reached(3, { waitMs: 30 }), (error) => {
        assert.ok(isSluiceError(error, 'stale'));
        assert.equal(error.details['position'], 3);
        assert.equal(error.details['applied'], 2);
        assert.equal(typeof error.details['lagMs'], 'number');
        return true;
      });
      const controller = new AbortController();
      const aborted = follower.reached(3, { signal: controller.signal });
      controller.abort();
      await assert.rejects(aborted, isCode('aborted'));
      await assert.rejects(follower.reached(3, { signal: AbortSignal.abort() }), isCode('aborted'));
      await follower.reached(3, { waitMs: 0 }).catch(() => undefined);
      await follower.reached(2, { signal: AbortSignal.abort() });
    });

    promises('shows, when asked for the latest, every write that was acknowledged before', async (harness, copyOf) => {
      const { follower, values } = copyOf();
      await follower.start();
      for (let round = 0; round < 40; round += 1) {
        const position = await put(harness, 'key', `${round}`);
        const heads = await Promise.all([follower.latest(soon), follower.latest(soon), follower.latest(soon)]);
        for (const head of heads) assert.ok(head >= position);
        assert.equal(values.get('key')?.body, `${round}`);
      }
    });

    promises('is as fresh as demanded, or says that it is not', async (harness, copyOf) => {
      const { follower, values } = copyOf();
      await follower.start();
      await follower.ready(soon);
      await follower.fresh(60_000);
      for (let round = 0; round < 10; round += 1) {
        await put(harness, 'key', `${round}`);
        await follower.fresh(0, soon);
        assert.equal(values.get('key')?.body, `${round}`);
      }
      const controller = new AbortController();
      controller.abort();
      await assert.rejects(follower.fresh(0, { signal: controller.signal }), isCode('aborted'));
      const end = await harness.outage();
      const startedMs = systemClock.monotonic();
      await assert.rejects(follower.fresh(0, { waitMs: 100 }), (error) => {
        assert.ok(isSluiceError(error, 'stale'));
        assert.equal(error.details['maxStalenessMs'], 0);
        return true;
      });
      await assert.rejects(follower.latest({ waitMs: 100 }), isSluiceError);
      assert.ok(systemClock.monotonic() - startedMs < 5_000, 'a wait is bounded by its own limit');
      await follower.fresh(60_000);
      await end();
      await waitUntil('a fresh copy', () =>
        follower.fresh(0, soon).then(
          () => true,
          () => false,
        ),
      );
    });

    promises('grows old while the log cannot be reached, and young again', async (harness, copyOf) => {
      const { follower, values } = copyOf();
      await follower.start();
      await follower.ready(soon);
      await put(harness, 'key', 'before');
      await follower.latest(soon);
      const end = await harness.outage();
      const cutAtMs = systemClock.monotonic();
      await put(harness, 'key', 'behind its back');
      for (let sample = 0; sample < 20; sample += 1) {
        await systemClock.yield();
        const outageMs = systemClock.monotonic() - cutAtMs;
        assert.ok(follower.lagMs() >= outageMs - 0.01, 'never younger than the outage');
      }
      assert.equal(values.get('key')?.body, 'before');
      assert.equal(follower.isReady, true, 'an old copy is still a copy');
      await waitUntil('old', () => follower.lagMs() > 700);
      await end();
      await waitUntil('young', () => follower.lagMs() < 700);
      assert.equal(values.get('key')?.body, 'behind its back');
      assert.equal(follower.counters.rebuilds, 0);
    });

    promises('is ready although the end of the log was removed before it came', async (harness, copyOf) => {
      for (const key of ['a', 'b', 'c', 'd']) await put(harness, key);
      await harness.direct.purge({ subject: harness.subjectOf('c') });
      await harness.direct.purge({ subject: harness.subjectOf('d') });
      const { follower, positions } = copyOf();
      await follower.start();
      await follower.ready(soon);
      assert.deepEqual(positions, [1, 2]);
      assert.equal(follower.applied, 4);
      await follower.reached(4, soon);
      await follower.fresh(0, soon);
    });

    promises('reaches a position whose message was removed before it could be delivered', async (harness, copyOf) => {
      const { follower, positions } = copyOf();
      await follower.start();
      await put(harness, 'a');
      await follower.reached(1, soon);
      const end = await harness.outage();
      await put(harness, 'b');
      const gone = await put(harness, 'c');
      await harness.direct.purge({ subject: harness.subjectOf('c') });
      const reached = follower.reached(gone, soon);
      await end();
      await reached;
      assert.deepEqual(positions, [1, 2]);
      const next = await put(harness, 'd');
      await follower.reached(next, soon);
      assert.deepEqual(positions, [1, 2, 4]);
      assert.equal(follower.counters.rebuilds, 0);
    });

    promises('reaches the end of a log that was emptied', async (harness, copyOf) => {
      const { follower, floors, values } = copyOf();
      await follower.start();
      await put(harness, 'a');
      await follower.reached(1, soon);
      const end = await harness.outage();
      await put(harness, 'b');
      await harness.direct.purge();
      const reached = follower.reached(2, soon);
      await end();
      await reached;
      assert.equal(floors.at(-1), 3);
      assert.equal(values.size, 0);
      assert.equal(follower.counters.rebuilds, 0);
    });

    promises('starts anew when the log was deleted and made again', async (harness, copyOf) => {
      const { follower, values, rebuilds } = copyOf();
      await follower.start();
      for (const key of ['a', 'b', 'c']) await put(harness, key);
      await follower.reached(3, soon);
      const hopeless = assert.rejects(follower.reached(100), isCode('stale'));
      await harness.recreate();
      await put(harness, 'a', 'new');
      await waitUntil('the new life', () => values.get('a')?.body === 'new');
      await hopeless;
      await follower.ready(soon);
      assert.deepEqual([...values.keys()], ['a'], 'no ghosts');
      assert.equal(rebuilds.length, 1);
      assert.equal(follower.applied, 1);
      await follower.fresh(0, soon);
    });

    promises(
      'starts anew when the log was made again while it could not see it, even if it is longer now',
      async (harness, copyOf) => {
        const { follower, values, rebuilds, positions } = copyOf();
        await follower.start();
        for (const key of ['a', 'b', 'c']) await put(harness, key);
        await follower.reached(3, soon);
        const end = await harness.outage();
        await harness.recreate();
        for (const key of ['p', 'q', 'r', 's', 't']) await put(harness, key);
        await end();
        await waitUntil('the new life', () => values.has('t'));
        assert.deepEqual([...values.keys()], ['p', 'q', 'r', 's', 't']);
        assert.deepEqual(positions, [1, 2, 3, 4, 5]);
        assert.equal(rebuilds.length, 1);
      },
    );

    promises('starts anew when the log was rolled back', async (harness, copyOf) => {
      const { follower, values, rebuilds } = copyOf();
      await follower.start();
      for (const key of ['a', 'b']) await put(harness, key);
      const restore = await harness.backup();
      for (const key of ['c', 'd']) await put(harness, key);
      await follower.reached(4, soon);
      await restore();
      await waitUntil('the old state', () => rebuilds.length === 1 && values.size === 2);
      assert.deepEqual([...values.keys()], ['a', 'b'], 'no ghosts');
      const next = await put(harness, 'e');
      assert.equal(next, 3);
      await waitUntil('a copy that goes on', () => values.has('e'));
      assert.equal(rebuilds.length, 1);
    });

    promises('sees that the log was rolled back even when it has grown to the same length', async (harness, copyOf) => {
      const { follower, values, rebuilds } = copyOf();
      await follower.start();
      await put(harness, 'a');
      const restore = await harness.backup();
      for (const key of ['b', 'c']) await put(harness, key);
      await follower.reached(3, soon);
      const end = await harness.outage();
      await restore();
      for (const key of ['p', 'q', 'r']) await put(harness, key);
      await end();
      await waitUntil('the new history', () => values.has('r'));
      assert.deepEqual([...values.keys()], ['a', 'p', 'q', 'r']);
      assert.equal(rebuilds.length, 1);
    });

    promises('starts anew after it was away longer than deletes are remembered', async (harness, copyOf) => {
      const horizonMs = 1_500;
      const { follower, values, rebuilds } = copyOf({ limits: { horizonMs } });
      await follower.start();
      await put(harness, 'kept');
      const deleted = await put(harness, 'deleted');
      await follower.reached(deleted, soon);
      const brief = await harness.outage();
      await brief();
      await waitUntil('back', () => follower.lagMs() < 500);
      assert.equal(rebuilds.length, 0);
      const end = await harness.outage();
      await harness.direct.purge({ subject: harness.subjectOf('deleted') });
      await put(harness, 'other');
      await waitUntil('beyond the horizon', () => follower.lagMs() > horizonMs + 100);
      await end();
      await waitUntil('a new copy', () => values.has('other'));
      assert.deepEqual([...values.keys()].toSorted(), ['kept', 'other']);
      assert.equal(rebuilds.length, 1);
    });

    promises(
      'lets go of what was replaced while it was away by what the log has removed since',
      async (harness, copyOf) => {
        const { follower, values, verified, rebuilds } = copyOf();
        await follower.start();
        // What is first in the log would be ended by the floor.
        await put(harness, 'first');
        await put(harness, 'old');
        await put(harness, 'removed');
        // What a copy has applied last, it asks for by name.
        for (let index = 0; index < 20; index += 1) await put(harness, `other${index}`);
        await follower.reached(23, soon);
        const end = await harness.outage();
        await putBriefly(harness, 'old', 'never seen');
        await putBriefly(harness, 'removed', 'never seen');
        await put(harness, 'removed', 'seen');
        const subject = harness.subjectOf('old');
        if (!harness.log.honoursTtl) {
          // A server that removes nothing leaves no hole either.
          await waitUntil('twice the life', () => follower.lagMs() > 2_500);
          assert.equal((await harness.direct.latest(subject))?.position, 24);
          await end();
          await follower.reached(26, soon);
          assert.equal(values.get('old')?.body, 'never seen');
          assert.deepEqual([verified, follower.doubtAbove], [[], undefined]);
          return;
        }
        await waitUntil('the end of its life', async () => (await harness.direct.latest(subject)) === undefined);
        const awayMs = follower.lagMs();
        await end();
        await waitUntil('a comparison', () => {
          if (verified.length === 0) assert.ok(follower.lagMs() >= awayMs, 'nothing is proven before');
          return verified.length > 0;
        });
        assert.deepEqual([values.has('old'), values.get('removed')?.body, values.size], [false, 'seen', 22]);
        await waitUntil('a young copy', () => follower.lagMs() < quickLimits.silenceMs);
        assert.deepEqual([follower.doubtAbove, rebuilds], [undefined, []]);
        await waitUntil('one reader again', async () => (await harness.readers()) === 1);
      },
    );

    promises('reads nothing again when it was away for long and met every position', async (harness, copyOf) => {
      const { follower, verified } = copyOf();
      await follower.start();
      await put(harness, 'a');
      const b = await put(harness, 'b');
      await follower.reached(b, soon);
      const long = await harness.outage();
      await waitUntil('an old copy', () => follower.lagMs() > 1_500);
      const c = await put(harness, 'c');
      await long();
      await follower.reached(c, soon);
      await waitUntil('a young copy', () => follower.lagMs() < quickLimits.silenceMs);
      assert.deepEqual([verified, follower.doubtAbove], [[], undefined]);
    });

    promises(
      'tells its copy the floor: after a purge, and after the log dropped what it had missed',
      async (harness, copyOf) => {
        const { follower, values, floors } = copyOf();
        await follower.start();
        for (const key of ['a', 'b', 'c']) await put(harness, key);
        await follower.reached(3, soon);
        await harness.direct.purge({ below: 3 });
        await waitUntil('the new floor by the regular check', () => floors.at(-1) === 3);
        assert.deepEqual([...values.keys()], ['c']);
        const end = await harness.outage();
        // The update of 'c' and everything up to it is dropped again before the follower is back.
        await put(harness, 'c', 'never seen');
        for (let index = 0; index < 6; index += 1) await put(harness, `later${index}`);
        await end();
        await follower.reached(10, soon);
        assert.equal(values.has('c'), false, 'a value whose successor was dropped is not kept');
        assert.equal(values.size, 5);
        assert.deepEqual(
          floors,
          floors.toSorted((a, b) => a - b),
        );
        assert.equal(new Set(floors).size, floors.length, 'a floor is told once');
      },
      { messagesMax: 5 },
    );

    promises('replays on demand, and lets those who wait go on waiting', async (harness, copyOf) => {
      const { follower, positions, rebuilds } = copyOf();
      await follower.start();
      for (const key of ['a', 'b']) await put(harness, key);
      await follower.reached(2, soon);
      const waiting = follower.reached(3, soon);
      follower.rebuild('by hand');
      assert.equal(follower.isReady, false);
      assert.deepEqual(rebuilds, ['by hand']);
      await follower.ready(soon);
      assert.deepEqual(positions, [1, 2]);
      await put(harness, 'c');
      await waiting;
    });

    promises('goes on from a checkpoint', async (harness, copyOf) => {
      for (const key of ['a', 'b', 'c']) await put(harness, key);
      const { follower, positions } = copyOf({ applied: 2 });
      assert.equal(follower.applied, 2);
      await follower.start();
      await follower.ready(soon);
      assert.deepEqual(positions, [3]);
      const ahead = copyOf({ applied: 99 });
      await ahead.follower.start();
      await ahead.follower.ready(soon);
      assert.equal(ahead.rebuilds.length, 1, 'a checkpoint ahead of the log is of another log');
      assert.deepEqual(ahead.positions, [1, 2, 3]);
    });

    promises('survives a sink that fails, and counts it', async (harness, copyOf) => {
      const copy = copyOf();
      copy.onApply = (record) => {
        if (record.position === 2) throw new Error('cannot apply');
      };
      await copy.follower.start();
      for (const key of ['a', 'b', 'c']) await put(harness, key);
      await copy.follower.reached(3, soon);
      assert.deepEqual(copy.positions, [1, 3]);
      assert.equal(copy.follower.counters.applyFailures, 1);
      assert.ok(
        copy.notices.some(({ what, reason }) => what === 'apply-failed' && /position 2: cannot apply/.test(reason)),
      );
    });

    promises('never has more than one reader, however often it loses the connection', async (harness, copyOf) => {
      const { follower, positions } = copyOf();
      await follower.start();
      await follower.ready(soon);
      let readersMax = 0;
      for (let round = 0; round < 8; round += 1) {
        await harness.disconnect();
        const position = await put(harness, `key${round}`);
        readersMax = Math.max(readersMax, await harness.readers());
        await follower.reached(position, soon);
        readersMax = Math.max(readersMax, await harness.readers());
      }
      assert.equal(readersMax, 1);
      assert.deepEqual(
        positions,
        Array.from({ length: 8 }, (_, index) => index + 1),
      );
      assert.equal(follower.counters.rebuilds, 0);
    });

    promises('leaves no reader behind when it stops, and says that it is closed', async (harness, copyOf) => {
      const { follower, positions } = copyOf();
      await follower.start();
      await follower.start();
      await follower.ready(soon);
      await waitUntil('a reader', async () => (await harness.readers()) === 1);
      const waiting = assert.rejects(follower.reached(1), isCode('closed'));
      await Promise.all([follower.stop(), follower.stop()]);
      await waiting;
      assert.equal(await harness.readers(), 0);
      await put(harness, 'a');
      await follower.start();
      for (const call of [follower.reached(1), follower.latest(), follower.fresh(0)]) {
        await assert.rejects(call, isCode('closed'));
      }
      assert.deepEqual(positions, []);
      assert.equal(await harness.readers(), 0);
      const never = copyOf();
      await never.follower.stop();
      await never.follower.start();
      await assert.rejects(never.follower.ready(), isCode('closed'));
      assert.equal(await harness.readers(), 0);
    });

    promises('can be stopped while the log cannot be reached', async (harness, copyOf) => {
      const end = await harness.outage();
      const { follower } = copyOf();
      await follower.start();
      await assert.rejects(follower.ready({ waitMs: 50 }), isCode('not-ready'));
      const waiting = assert.rejects(follower.ready(), isCode('closed'));
      await follower.stop();
      await waiting;
      await end();
    });
  });
}
