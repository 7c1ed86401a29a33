/** What a session may count on: each check with a history that keeps it and one that breaks it. */
import { describe, it } from 'node:test';
import { checkBoundedStaleness } from '../../../src/testing/sessions/bounded-staleness.ts';
import { checkMonotonicReads } from '../../../src/testing/sessions/monotonic-reads.ts';
import { checkPositionReads } from '../../../src/testing/sessions/position-reads.ts';
import { checkReadYourWrites } from '../../../src/testing/sessions/read-your-writes.ts';
import { checkWritesFollowReads } from '../../../src/testing/sessions/writes-follow-reads.ts';
import { clearAt, deleteAt, invalidateAt, localAt, lost, putAt } from '../../support/history-records.ts';
import { breaks, holds } from '../../support/verdicts.ts';

const put1 = putAt([1, 2], 'a', 'x', { revision: 1 });
const put2 = putAt([3, 4], 'a', 'y', { revision: 2 });
const other = { process: 'p2' };

describe('a session reads its own writes', () => {
  const check = checkReadYourWrites;

  it('holds for them, for something newer, and for what others have not seen yet', () => {
    holds(check, [put1, localAt([3, 4], 'a', 'x', { revision: 1 })]);
    holds(check, [put1, put2, localAt([5, 6], 'a', 'y', { revision: 2 })]);
    holds(check, [put1, put2, localAt([5, 6], 'a', 'x', { revision: 1, ...other })]);
    holds(check, [put1, { ...put2, ...other }, localAt([5, 6], 'a', 'x', { revision: 1 })]);
    holds(check, [put1, localAt([2, 3], 'a', null)]);
  });

  it('is broken by a miss, an older value, and what was deleted, cleared or invalidated', () => {
    breaks(check, [put1, localAt([3, 4], 'a', null)], /does not show the session's own put "a" = "x" at 1/);
    breaks(check, [put1, put2, localAt([5, 6], 'a', 'x', { revision: 1 })], /own put "a" = "y" at 2/);
    breaks(check, [put1, deleteAt([3, 4], 'a', { revision: 2 }), localAt([5, 6], 'a', 'x')], /own delete "a" at 2/);
    const own = { process: 'p1' };
    breaks(check, [put1, { ...clearAt([3, 4], 2), ...own }, localAt([5, 6], 'a', 'x')], /own clear at 2/);
    const tagged = { ...put1, tags: ['red'] };
    breaks(check, [tagged, { ...invalidateAt([3, 4], 'red', 2), ...own }, localAt([5, 6], 'a', 'x')], /own invalidate/);
    holds(check, [tagged, { ...invalidateAt([3, 4], 'blue', 2), ...own }, localAt([5, 6], 'a', 'x')]);
  });

  it('holds for a miss that something newer explains', () => {
    const miss = localAt([5, 6], 'a', null);
    holds(check, [put1, { ...deleteAt([3, 4], 'a', { revision: 2 }), ...other }, miss]);
    holds(check, [put1, { ...deleteAt([3, 4], 'a', lost), ...other }, miss]);
    holds(check, [put1, clearAt([3, 4], 2), miss]);
    holds(check, [{ ...put1, expiresAt: 5 }, miss]);
    holds(check, [put1, { type: 'log', event: 'delete', key: 'a', position: 2 }, miss]);
    breaks(check, [put1, deleteAt([7, 8], 'a', { revision: 2 }), miss], /own put/);
    // It may have replaced the entry, and then its tag was invalidated.
    const replaced = putAt([2, 3], 'a', 'y', { ...lost, tags: ['red'] });
    holds(check, [put1, replaced, invalidateAt([3, 4], 'red', 3), miss]);
    breaks(check, [put1, { ...replaced, key: 'b' }, invalidateAt([3, 4], 'red', 3), miss], /own put/);
  });

  it('follows a session from process to process', () => {
    const session = { session: 's' };
    const read = localAt([3, 4], 'a', null, { ...other, ...session });
    breaks(check, [{ ...put1, ...session }, read], /own put/);
    holds(check, [{ ...put1, session: 't' }, read]);
  });
});

describe('the reads of a session', () => {
  const check = checkMonotonicReads;
  const old = localAt([7, 8], 'a', 'x', { revision: 1 });
  const young = localAt([5, 6], 'a', 'y', { revision: 2 });

  it('may stay, go on, and overlap', () => {
    holds(check, [put1, put2, localAt([5, 6], 'a', 'x', { revision: 1 }), localAt([7, 8], 'a', 'y', { revision: 2 })]);
    holds(check, [put1, put2, young, young]);
    holds(check, [put1, put2, young, { ...old, start: 6 }]);
    holds(check, [put1, put2, young, { ...old, ...other }]);
  });

  it('never go back to an older entry, also when only values tell which', () => {
    breaks(check, [put1, put2, young, old], /goes back behind the same session's read local "a": "y" at 2/);
    const noRevision = { revision: undefined };
    breaks(check, [put1, put2, { ...young, ...noRevision }, { ...old, ...noRevision }], /goes back/);
  });

  it('never go from a miss back to what was missed', () => {
    const seen = localAt([3, 4], 'a', 'x', { revision: 1 });
    breaks(
      check,
      [put1, seen, localAt([5, 6], 'a', null), old],
      /goes back behind the same session's read local "a": absent/,
    );
    breaks(check, [put1, localAt([5, 6], 'a', null, { position: 1 }), old], /absent/);
    holds(check, [put1, localAt([3, 4], 'a', null), old]);
  });

  it('begin anew after a reset that was declared, and in a new incarnation', () => {
    holds(check, [put1, put2, young, { type: 'reset', process: 'p1', at: 6.5 }, old]);
    holds(check, [put1, put2, young, { ...old, incarnation: '2' }]);
    breaks(check, [put1, put2, young, { type: 'reset', process: 'p2', at: 6.5 }, old], /goes back/);
    breaks(check, [put1, put2, { type: 'reset', process: 'p1', at: 1 }, young, old], /goes back/);
  });

  it('declare positions that do not go back', () => {
    const at = (start: number, position: number, key: string) => localAt([start, start + 1], key, null, { position });
    holds(check, [at(1, 5, 'a'), at(3, 5, 'b'), at(5, 6, 'c')]);
    breaks(check, [at(1, 5, 'a'), at(3, 4, 'b')], /declares position 4, and the same copy declared 5/);
  });
});

describe('the writes of a session', () => {
  const check = checkWritesFollowReads;

  it('are above what it read and wrote before', () => {
    holds(check, [put1, localAt([3, 4], 'a', 'x', { revision: 1 }), putAt([5, 6], 'b', 'z', { revision: 2 })]);
    breaks(
      check,
      [localAt([3, 4], 'a', 'x', { revision: 7 }), putAt([5, 6], 'b', 'z', { revision: 6 })],
      /is not above position 7, which its session had seen/,
    );
    breaks(check, [putAt([1, 2], 'a', 'x', { revision: 2 }), putAt([3, 4], 'b', 'y', { revision: 1 })], /not above/);
    holds(check, [putAt([1, 3], 'a', 'x', { revision: 2 }), putAt([2, 4], 'b', 'y', { revision: 1 })]);
    holds(check, [localAt([3, 4], 'a', 'x', { revision: 7, partition: 1 }), putAt([5, 6], 'b', 'z', { revision: 6 })]);
  });
});

describe('a read at a position', () => {
  const check = checkPositionReads;
  const read = (more: object, value: string | null = 'x') =>
    localAt([5, 6], 'a', value, { ...other, ...(value === 'x' ? { revision: 1 } : {}), ...more });

  it('is never older than it demands or declares', () => {
    holds(check, [put1, put2, read({ minPosition: 1 })]);
    breaks(check, [put1, put2, read({ minPosition: 2 })], /demands position 2 and does not show put "a" = "y" at 2/);
    breaks(check, [put1, put2, read({ position: 2 })], /declares position 2 and does not show/);
    breaks(check, [put1, read({ minPosition: 1 }, null)], /does not show put "a" = "x"/);
    holds(check, [put1, read({ position: 0 }, null)]);
    holds(check, [put1, deleteAt([3, 4], 'a', { revision: 2 }), read({ minPosition: 1 }, null)]);
  });

  it('is not answered at a lower one', () => {
    breaks(check, [read({ minPosition: 3, position: 2 })], /demands position 3 and was answered at 2/);
  });
});

describe('the age of a read', () => {
  const check = checkBoundedStaleness;
  const read = (more: object) => localAt([1_000, 1_001], 'a', 'x', { revision: 1, ...other, ...more });

  it('is at most what it declares and what was allowed', () => {
    holds(check, [put1, put2, read({ lagMs: 996 })]);
    breaks(
      check,
      [put1, put2, read({ lagMs: 500 })],
      /declares a lag of 500 ms and does not show what was acknowledged 996 ms/,
    );
    breaks(check, [put1, put2, read({ maxStalenessMs: 10 })], /allows an age of 10 ms/);
    holds(check, [put1, put2, read({})]);
    holds(check, [put1, { ...put2, ...lost, revision: undefined }, read({ lagMs: 0 })]);
  });
});
