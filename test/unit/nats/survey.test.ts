/** What a stream has above a position, read from a log in memory. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createMemoryLog, type MemoryLog } from '../../../src/log/memory-log.ts';
import { surveyLog } from '../../../src/nats/writing/survey.ts';
import { createFakeClock, type FakeClock } from '../../../src/testing/fake-clock.ts';

interface Scene {
  readonly clock: FakeClock;
  readonly log: MemoryLog;
  write(key: string, id: string): Promise<void>;
}

function begin(): Scene {
  const clock = createFakeClock();
  const log = createMemoryLog({ name: 's', clock });
  return {
    clock,
    log,
    async write(key, id) {
      await log.append({ subject: `$KV.s.${key}`, fields: '', data: new Uint8Array(1) }, { id });
    },
  };
}

async function survey({ log, clock }: Scene, above: number): ReturnType<typeof surveyLog> {
  const reading = surveyLog(log, clock, above);
  for (let turn = 0; turn < 10; turn += 1) await clock.settle();
  return reading;
}

describe('a survey', () => {
  it('knows the ids of what is there, and whether anything above a position is gone', async () => {
    const scene = begin();
    for (const [key, id] of [
      ['a', '1'],
      ['b', '2'],
      ['c', '3'],
      ['b', '4'],
    ] as const)
      await scene.write(key, id);
    const whole = await survey(scene, 0);
    assert.deepEqual(['1', '2', '3', '4', '5'].map(whole.positionOf), [1, undefined, 3, 4, undefined]);
    assert.deepEqual([0, 1, 2, 3, 4].map(whole.isWholeAbove), [false, false, true, true, true]);
    const upper = await survey(scene, 3);
    assert.deepEqual(['1', '3', '4'].map(upper.positionOf), [undefined, undefined, 4]);
    assert.deepEqual([2, 3, 4].map(upper.isWholeAbove), [false, true, true], 'of what is below it has not asked');
  });

  it('misses what was removed at the end, and trusts no position that the log has not reached', async () => {
    const scene = begin();
    for (const id of ['1', '2', '3']) await scene.write(id, id);
    await scene.log.purge({ subject: '$KV.s.3' });
    const { isWholeAbove } = await survey(scene, 0);
    assert.deepEqual([0, 1, 2, 3, 4].map(isWholeAbove), [false, false, false, true, false]);
  });

  it('reads nothing when nothing came since', async () => {
    const scene = begin();
    await scene.write('a', '1');
    const { isWholeAbove, positionOf } = await survey(scene, 1);
    assert.deepEqual([isWholeAbove(1), isWholeAbove(0), positionOf('1')], [true, false, undefined]);
    assert.equal(scene.log.openReaders, 0);
  });

  it('says of every position what is true', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { maxLength: 12 }),
        fc.nat(12),
        fc.nat(12),
        async (keys, above, purgedBelow) => {
          const scene = begin();
          for (const [index, key] of keys.entries()) await scene.write(key, `${index + 1}`);
          await scene.log.purge({ below: purgedBelow });
          const there = new Set<number>();
          for (const [index, key] of keys.entries()) {
            if (keys.lastIndexOf(key) === index && index + 1 >= purgedBelow) there.add(index + 1);
          }
          const { positionOf, isWholeAbove } = await survey(scene, above);
          for (let position = above; position <= keys.length; position += 1) {
            const rest = keys.map((_, index) => index + 1).filter((each) => each > position);
            assert.equal(
              isWholeAbove(position),
              rest.every((each) => there.has(each)),
              `above ${position}`,
            );
            if (position > above) assert.equal(positionOf(`${position}`), there.has(position) ? position : undefined);
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});
