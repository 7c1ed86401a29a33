/** Watching: every change once and in order, from the copy or from the log, however the watcher came by its position. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import type { Position } from '../../../src/events/record.ts';
import type { Log } from '../../../src/log/log.ts';
import type { PartitionAccess } from '../../../src/service/cache.ts';
import { type Watch, type WatchEvent, watchCache } from '../../../src/service/watch.ts';
import { createSeededRandom } from '../../../src/testing/seeded-random.ts';
import { textOf } from '../../support/entries.ts';
import { createGatedLog } from '../../support/gated-log.ts';
import { createPartitionWorld, type PartitionWorld, type Process } from '../../support/partition-world.ts';
import { refusalOf } from '../../support/refusals.ts';

let world: PartitionWorld;
let watches: Watch[];
beforeEach(() => {
  world = createPartitionWorld();
  watches = [];
});
afterEach(async () => {
  await Promise.all(watches.map((watch) => watch.stop()));
  await world.stop();
});

interface Told {
  readonly events: string[];
  readonly watch: Watch;
}

function say(event: WatchEvent): string {
  switch (event.type) {
    case 'put':
      return `${event.position} put ${event.key} = ${textOf(event.value)}`;
    case 'delete':
      return `${event.position} delete ${event.key}`;
    case 'tag':
      return `${event.position} tag ${event.tag}`;
    case 'reset':
      return `${event.position} reset: ${event.reason}`;
    default:
      return `${event.position} ${event.type}`;
  }
}

async function watch(access: PartitionAccess, from?: Position, backlogMax = 1_000): Promise<Told> {
  const events: string[] = [];
  const started = await watchCache({
    partitions: [access],
    clock: world.clock,
    random: createSeededRandom(3),
    from: from === undefined ? undefined : [from],
    backlogMax,
    onEvent: (event) => events.push(say(event)),
  });
  watches.push(started);
  return { events, watch: started };
}

const accessOf = ({ log, view }: Process): PartitionAccess => ({ log, subjects: world.subjects, view });
/** As a host has it, whose copy comes and goes. */
type Slot = { -readonly [Name in keyof PartitionAccess]: PartitionAccess[Name] };
const logOnly = (): PartitionAccess => ({ log: world.log, subjects: world.subjects, view: undefined });

async function putMany(count: number): Promise<void> {
  for (let index = 1; index <= count; index += 1) await world.stranger.put(`k${index}`, 'v');
}

const puts = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => `${from + index} put k${from + index} = v`);

describe('a watch from now', () => {
  it('tells all kinds of changes with their positions, and costs the log no reader where there is a copy', async () => {
    const a = await world.process('a');
    await putMany(2);
    await world.clock.settle();
    const { events, watch: watching } = await watch(accessOf(a));
    assert.deepEqual(watching.positions, [2]);
    await world.stranger.put('x', 'y', { tags: ['t'] });
    await world.stranger.delete('x');
    await world.stranger.tag('t');
    await world.stranger.clear();
    await world.clock.settle();
    assert.deepEqual(events, ['3 put x = y', '4 delete x', '5 tag t', '6 clear']);
    assert.deepEqual(watching.positions, [6]);
    assert.equal(world.log.openReaders, 1);
  });

  it('tells none of the past where the copy is still replaying', async () => {
    await putMany(5);
    const a = await world.process('a', { isAwaited: false });
    a.log.hold();
    await world.clock.settle();
    const { events } = await watch(accessOf(a));
    a.log.release();
    await world.stranger.put('new', 'v');
    await world.clock.advance(2_000);
    assert.deepEqual(events, ['6 put new = v']);
  });

  it('works where there is no copy', async () => {
    await putMany(3);
    const { events, watch: watching } = await watch(logOnly());
    assert.deepEqual(watching.positions, [3]);
    await world.stranger.put('new', 'v');
    await world.clock.settle();
    assert.deepEqual(events, ['4 put new = v']);
    await watching.stop();
    assert.equal(world.log.openReaders, 0);
  });

  it('tells a value that memory has no room for, and a void one as its absence', async () => {
    const a = await world.process('a', { store: { entriesMax: 10, bytesMax: 2_000 } });
    for (const access of [accessOf(a), logOnly()]) {
      const { events, watch: watching } = await watch(access);
      const position = await world.stranger.put('big', 'x'.repeat(3_000));
      await world.stranger.put('expired', 'v', { expiresAtMs: world.clock.now() - 1 });
      await world.stranger.clear();
      await world.stranger.put('late', 'v', { basis: position });
      await world.clock.settle();
      assert.deepEqual(events, [
        `${position} put big = ${'x'.repeat(3_000)}`,
        `${position + 1} delete expired`,
        `${position + 2} clear`,
        `${position + 3} delete late`,
      ]);
      await watching.stop();
    }
  });
});

describe('a watch that resumes', () => {
  it('tells exactly what is above its position, and then changes over to the copy', async () => {
    const a = await world.process('a');
    await putMany(10);
    await world.clock.settle();
    for (const from of [0, 1, 5, 9, 10]) {
      const { events, watch: watching } = await watch(accessOf(a), from);
      await world.clock.advance(1_000);
      assert.deepEqual(events, puts(from + 1, 10), `from ${from}`);
      assert.equal(world.log.openReaders, 1, 'no reader of its own is left');
      await watching.stop();
    }
  });

  it('also from a position that the copy has not reached yet', async () => {
    const a = await world.process('a');
    a.log.hold();
    await putMany(6);
    await world.clock.settle();
    a.log.deliver(2);
    const { events } = await watch({ ...accessOf(a), log: world.log }, 4);
    await world.clock.settle();
    assert.deepEqual(events, puts(5, 6));
    a.log.release();
    await world.stranger.put('k7', 'v');
    await world.clock.settle();
    assert.deepEqual(events, puts(5, 7));
  });

  it('is told to begin anew when it is too far behind, and goes on from there', async () => {
    await putMany(10);
    const { events } = await watch(logOnly(), 2, 5);
    await world.stranger.put('k11', 'v');
    await world.clock.settle();
    assert.deepEqual(events, ['10 reset: too far behind', '11 put k11 = v']);
  });

  it('counts messages, not positions, to tell how far behind it is', async () => {
    for (let index = 0; index < 100; index += 1) await world.stranger.put('k', `${index}`);
    const { events } = await watch(logOnly(), 99, 5);
    await world.clock.settle();
    assert.deepEqual(events, ['100 put k = 99']);
    const far = await watch(logOnly(), 0, 5);
    await world.clock.settle();
    assert.deepEqual(far.events, ['100 put k = 99']);
  });

  it('is told to begin anew when its position is beyond the log', async () => {
    await putMany(3);
    const { events } = await watch(logOnly(), 9);
    await world.stranger.put('k4', 'v');
    await world.clock.settle();
    assert.deepEqual(events, ['3 reset: the log was recreated', '4 put k4 = v']);
  });

  it('is told to begin anew when the log has dropped what follows its position', async () => {
    await putMany(10);
    await world.log.purge({ below: 6 });
    const { events } = await watch(logOnly(), 2);
    await world.clock.settle();
    assert.deepEqual(events, ['5 reset: the log has dropped events that were not seen yet', ...puts(6, 10)]);
    const newcomer = await watch(logOnly(), 0);
    await world.clock.settle();
    assert.deepEqual(newcomer.events, puts(6, 10));
  });
});

describe('a watch that changes over', () => {
  it('is told nothing twice when copy and reader bring the same within one turn', async () => {
    const a = await world.process('a');
    const own = createGatedLog(world.log);
    a.log.hold();
    own.hold();
    await putMany(3);
    await world.clock.settle();
    a.log.deliver(1);
    const { events } = await watch({ ...accessOf(a), log: own }, 0);
    await world.clock.settle();
    // Here it changes over; its own reader is still to be ended.
    own.deliver(1);
    a.log.deliver(1);
    own.deliver(1);
    a.log.release();
    own.release();
    await world.clock.settle();
    assert.deepEqual(events, puts(1, 3));
  });
});

/** And has grown to where it was, all around the first question of a watch. */
function logThatIsRolledBack(when: 'before its first answer' | 'after its first answer'): Log {
  let isDue = true;
  async function rollBack(): Promise<void> {
    if (!isDue) return;
    isDue = false;
    world.log.rollBack(1);
    await world.stranger.put('k2', 'v');
  }
  return {
    ...world.log,
    async bounds() {
      if (when === 'before its first answer') await rollBack();
      const bounds = await world.log.bounds();
      await rollBack();
      return bounds;
    },
  };
}

describe('a watch that lasts', () => {
  it('goes on from the log when the copy is given up, and from a new copy when there is one', async () => {
    const a = await world.process('a');
    const slot: Slot = { ...accessOf(a) };
    const { events } = await watch(slot);
    await world.stranger.put('k1', 'v');
    await world.clock.settle();
    slot.view = undefined;
    await a.view.stop();
    await world.stranger.put('k2', 'v');
    await world.clock.advance(1_000);
    const b = await world.process('b');
    slot.view = b.view;
    await world.stranger.put('k3', 'v');
    await world.clock.advance(1_000);
    await world.stranger.put('k4', 'v');
    await world.clock.advance(1_000);
    assert.deepEqual(events, puts(1, 4));
    assert.equal(world.log.openReaders, 1);
  });

  it('is told when the log begins a new life, and hears that from its beginning', async () => {
    const a = await world.process('a');
    await putMany(3);
    await world.clock.settle();
    const here = await watch(accessOf(a));
    const elsewhere = await watch(logOnly());
    world.log.recreate();
    await world.stranger.put('k1', 'v');
    await world.clock.advance(5_000);
    for (const { events } of [here, elsewhere]) {
      assert.match(events[0] ?? '', /^0 reset: .*/);
      assert.deepEqual(events.slice(1), puts(1, 1));
    }
  });

  it('is told when the log was rolled back and has grown to where the watch began, before anything was delivered', async () => {
    await putMany(2);
    await world.clock.advance(1);
    const log = logThatIsRolledBack('after its first answer');
    const { events } = await watch({ ...logOnly(), log });
    await world.clock.advance(5_000);
    assert.match(events[0] ?? '', /^0 reset: .*another message stands at 2$/);
    assert.deepEqual(events.slice(1), puts(1, 2));
  });

  it('is told when that happens, and what it began from is not there any more', async () => {
    await putMany(2);
    const { events } = await watch(logOnly());
    await world.clock.advance(1_000);
    world.log.rollBack(0);
    await world.stranger.put('k3', 'v');
    await world.stranger.put('k1', 'v');
    await world.stranger.put('k1', 'v');
    await world.clock.advance(5_000);
    const reset = events.findIndex((event) => /^0 reset: .*the message at 2 is gone/.test(event));
    assert.deepEqual(events.slice(reset + 1), ['1 put k3 = v', '3 put k1 = v']);
    assert.notEqual(reset, -1);
  });

  it('is told when that happens while it leaves a copy that is given up', async () => {
    const a = await world.process('a');
    await putMany(2);
    await world.clock.settle();
    await world.clock.advance(1);
    const log = logThatIsRolledBack('before its first answer');
    const slot: Slot = { ...accessOf(a), log };
    const { events } = await watch(slot);
    slot.view = undefined;
    await a.view.stop();
    await world.clock.advance(5_000);
    assert.match(events[0] ?? '', /^0 reset: .*another message stands at 2$/);
    assert.deepEqual(events.slice(1), puts(1, 2));
  });

  it('is told when it was cut off and the log has dropped what it missed', async () => {
    await world.stop();
    world = createPartitionWorld({ messagesMax: 3 });
    const a = await world.process('a');
    const { events } = await watch({ ...accessOf(a), view: undefined });
    await putMany(1);
    await world.clock.settle();
    a.log.isReachable = false;
    for (let index = 2; index <= 9; index += 1) await world.stranger.put(`k${index}`, 'v');
    await world.clock.advance(10_000);
    a.log.isReachable = true;
    await world.clock.advance(5_000);
    assert.deepEqual(events, [
      ...puts(1, 1),
      '6 reset: the log has dropped events that were not seen yet',
      ...puts(7, 9),
    ]);
  });

  it('tells nothing after it was stopped, and leaves nothing behind', async () => {
    const a = await world.process('a');
    const { events, watch: watching } = await watch(accessOf(a), 0);
    await watching.stop();
    await putMany(3);
    await world.clock.advance(2_000);
    assert.deepEqual(events, []);
    assert.equal(world.log.openReaders, 1);
  });

  it('fails as a whole when one log cannot be asked, and leaves nothing behind', async () => {
    const a = await world.process('a');
    const gone = await world.process('gone');
    gone.log.isReachable = false;
    const partitions = [logOnly(), { ...accessOf(gone), view: undefined }, accessOf(a)];
    await refusalOf(
      'log-unavailable',
      watchCache({
        partitions,
        clock: world.clock,
        random: createSeededRandom(3),
        backlogMax: 10,
        onEvent: () => undefined,
      }),
    );
    await world.clock.advance(3_000);
    assert.equal(world.log.openReaders, 1);
  });
});

describe('a watch in any timing', () => {
  it('tells every change once and in order, whenever the copy and its own reader are how far', async () => {
    const step = fc.record({
      verb: fc.constantFrom('put', 'put', 'put', 'hold', 'deliver', 'release', 'disconnect', 'wait', 'give up'),
      amount: fc.integer({ min: 1, max: 4 }),
      isOwn: fc.boolean(),
      isSettled: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), fc.nat(8), fc.nat(8), async (steps, early, from) => {
        const here = createPartitionWorld({ messagesPerSubject: Number.POSITIVE_INFINITY });
        const a = await here.process('a');
        // Its own reader goes through another gate than that of the copy.
        const own = createGatedLog(here.log);
        const slot: Slot = {
          log: own,
          subjects: here.subjects,
          view: a.view,
        };
        let count = 0;
        const put = async (): Promise<void> => {
          count += 1;
          await here.stranger.put(`k${count % 3}`, `${count}`);
        };
        for (let index = 0; index < early; index += 1) await put();
        await here.clock.settle();
        const told: Position[] = [];
        const begin = Math.min(from, count);
        const watching = await watchCache({
          partitions: [slot],
          clock: here.clock,
          random: createSeededRandom(1),
          from: [begin],
          backlogMax: 1_000,
          onEvent: (event) => told.push(event.position),
        });
        for (const { verb, amount, isOwn, isSettled } of steps) {
          const gate = isOwn ? own : a.log;
          if (verb === 'put') for (let index = 0; index < amount; index += 1) await put();
          if (verb === 'hold') gate.hold();
          if (verb === 'deliver') gate.deliver(amount);
          if (verb === 'release') gate.release();
          if (verb === 'disconnect') here.log.disconnect();
          if (verb === 'wait') await here.clock.advance(amount * 200);
          if (verb === 'give up' && slot.view !== undefined) {
            slot.view = undefined;
            await a.view.stop();
          }
          // Sometimes without letting anything else happen in between.
          if (isSettled) await here.clock.settle();
        }
        a.log.release();
        own.release();
        await here.clock.advance(10_000);
        assert.deepEqual(
          told,
          Array.from({ length: count - begin }, (_, index) => begin + 1 + index),
        );
        assert.deepEqual(watching.positions, [count]);
        await watching.stop();
        await here.stop();
      }),
      { numRuns: 150 },
    );
  });
});
