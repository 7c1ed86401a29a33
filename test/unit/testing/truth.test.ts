/** What holds over all copies and processes: each check with a history that keeps it and one that breaks it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkConvergence, checkNoLostWrite } from '../../../src/testing/truth/convergence.ts';
import { checkLogOrder } from '../../../src/testing/truth/log-order.ts';
import { checkMembership } from '../../../src/testing/truth/membership-events.ts';
import { checkNoFuture } from '../../../src/testing/truth/no-future.ts';
import { checkNoResurrection } from '../../../src/testing/truth/no-resurrection.ts';
import { checkOneWinner } from '../../../src/testing/truth/one-winner.ts';
import {
  clearAt,
  deleteAt,
  invalidateAt,
  latestAt,
  localAt,
  lost,
  memberAt,
  putAt,
  stateAt,
  watchSays,
} from '../../support/history-records.ts';
import { breaks, holds } from '../../support/verdicts.ts';

const put1 = putAt([1, 2], 'a', 'x', { revision: 1 });
const put2 = putAt([3, 4], 'a', 'y', { revision: 2 });

describe('copies after quiescence', () => {
  const check = checkConvergence;
  const log = stateAt(50, 'log', 9, [
    ['a', 'x', 1],
    ['b', 'y', 2],
  ]);

  it('are equal to each other and to the log', () => {
    holds(check, [
      log,
      stateAt(51, 'n1', 9, [
        ['b', 'y', 2],
        ['a', 'x', 1],
      ]),
    ]);
    breaks(check, [log, stateAt(51, 'n1', 9, [['a', 'x', 1]])], /n1 has nothing for key "b", and log has "y" at 2/);
    breaks(
      check,
      [
        log,
        stateAt(51, 'n1', 9, [
          ['a', 'z', 1],
          ['b', 'y', 2],
        ]),
      ],
      /n1 has "z" at 1 for key "a", and log has "x" at 1/,
    );
    breaks(
      check,
      [
        log,
        stateAt(51, 'n1', 9, [
          ['a', 'x', 3],
          ['b', 'y', 2],
        ]),
      ],
      /n1 has "x" at 3/,
    );
    const more = stateAt(51, 'n1', 9, [
      ['a', 'x', 1],
      ['b', 'y', 2],
      ['c', 'z', 3],
    ]);
    breaks(check, [log, more], /n1 has "z" at 3 for key "c", and log has nothing/);
  });

  it('may lack what memory limits removed, and are not compared over moments or partitions', () => {
    holds(check, [log, stateAt(51, 'n1', 9, [['a', 'x', 1]], { isComplete: false })]);
    holds(check, [log, stateAt(51, 'n1', 9, [], { quiescence: 'another' })]);
    holds(check, [log, stateAt(51, 'n1', 9, [], { quiescence: undefined })]);
    holds(check, [log, stateAt(51, 'n1', 9, [], { partition: 1 })]);
    breaks(check, [log, stateAt(51, 'n1', 9, [['a', 'z', 1]], { isComplete: false })], /"z" at 1/);
  });
});

describe('an acknowledged write', () => {
  const check = checkNoLostWrite;

  it('is in every state after it', () => {
    holds(check, [put1, stateAt(50, 'n1', 9, [['a', 'x', 1]])]);
    breaks(check, [put1, stateAt(50, 'n1', 9, [])], /n1 has nothing for key "a", without put "a" = "x"/);
    breaks(check, [put1, put2, stateAt(50, 'n1', 9, [['a', 'x', 1]])], /without put "a" = "y"/);
    breaks(
      check,
      [put1, deleteAt([3, 4], 'a', { revision: 2 }), stateAt(50, 'n1', 9, [['a', 'x', 1]])],
      /without delete/,
    );
    holds(check, [put1, deleteAt([3, 4], 'a', { revision: 2 }), stateAt(50, 'n1', 9, [])]);
    holds(check, [put1, deleteAt([3, 4], 'a', lost), stateAt(50, 'n1', 9, [])]);
    holds(check, [putAt([1, 2], 'a', 'x', lost), stateAt(50, 'n1', 9, [])]);
    holds(check, [put1, stateAt(50, 'n1', 9, [], { isComplete: false })]);
  });
});

describe('what is shown', () => {
  const check = checkNoFuture;

  it('was written, by then, at that position', () => {
    holds(check, [put1, localAt([3, 4], 'a', 'x', { revision: 1 })]);
    holds(check, [putAt([1, 9], 'a', 'x', { revision: 1 }), localAt([3, 4], 'a', 'x', { revision: 1 })]);
    holds(check, [putAt([1, 2], 'a', 'x', lost), localAt([3, 4], 'a', 'x', { revision: 7 })]);
    holds(check, [{ type: 'log', event: 'put', key: 'a', value: 'x', position: 3 }, localAt([3, 4], 'a', 'x')]);
    breaks(check, [put1, localAt([3, 4], 'a', 'z')], /but nobody put that value/);
    breaks(check, [{ ...put1, key: 'b' }, localAt([3, 4], 'a', 'x')], /but nobody put that value/);
    breaks(check, [put1, localAt([3, 4], 'a', 'x', { revision: 2 })], /was put at another position/);
    breaks(check, [putAt([5, 6], 'a', 'x', { revision: 1 }), localAt([3, 4], 'a', 'x')], /it was put only later/);
    const failed = putAt([1, 2], 'a', 'x', { outcome: 'failed' });
    breaks(check, [failed, localAt([3, 4], 'a', 'x')], /every put of that value failed/);
    const deleted = deleteAt([1, 2], 'a', { revision: 1 });
    breaks(
      check,
      [deleted, localAt([3, 4], 'a', 'x', { revision: 1 })],
      /at that position is something else: delete "a"/,
    );
  });

  it('is so for copies and watchers, too', () => {
    breaks(
      check,
      [put1, stateAt(50, 'n1', 9, [['a', 'z', 1]])],
      /state of n1 at position 9 shows "z" at 1 for key "a"/,
    );
    breaks(check, [put1, ...watchSays('w1', ['put', 1, { key: 'a', value: 'z' }])], /watch w1: put "a" at 1 shows "z"/);
  });
});

describe('what has ended', () => {
  const check = checkNoResurrection;
  const old = (more: object) => localAt([9, 10], 'a', 'x', { revision: 1, ...more });
  const ends = {
    delete: deleteAt([3, 4], 'a', { revision: 2 }),
    clear: clearAt([3, 4], 2),
    invalidate: invalidateAt([3, 4], 'red', 2),
  };

  it('may still be shown by a copy that has not come so far', () => {
    for (const end of Object.values(ends))
      holds(check, [{ ...put1, tags: ['red'] }, end, old({ position: 1 }), old({})]);
  });

  it('stays ended in a copy that declares to have applied it, in the newest state, and after quiescence', () => {
    for (const [name, end] of Object.entries(ends)) {
      const before = [{ ...put1, tags: ['red'] }, end];
      const message = new RegExp(`which had been ended by ${name}.*, at position 2`);
      breaks(check, [...before, old({ position: 2 })], message);
      breaks(check, [...before, latestAt([9, 10], 'a', 'x')], message);
      breaks(check, [...before, stateAt(50, 'n1', 2, [['a', 'x', 1]], { quiescence: undefined })], message);
      breaks(check, [...before, stateAt(50, 'n1', 1, [['a', 'x', 1]])], message);
    }
  });

  it('is not undone by a load that began before', () => {
    const load = putAt([5, 6], 'a', 'x', { revision: 3, basis: 1 });
    breaks(check, [ends.clear, load, localAt([9, 10], 'a', 'x', { revision: 3, position: 3 })], /ended by clear/);
    holds(check, [ends.clear, { ...load, basis: 2 }, localAt([9, 10], 'a', 'x', { revision: 3, position: 3 })]);
  });

  it('leaves what came after it', () => {
    holds(check, [
      put1,
      ends.delete,
      putAt([5, 6], 'a', 'z', { revision: 3 }),
      latestAt([9, 10], 'a', 'z', { revision: 3 }),
    ]);
  });
});

describe('a revision', () => {
  const check = checkOneWinner;

  it('has at most one winner', () => {
    const winner = putAt([3, 4], 'a', 'y', { revision: 2, ifRevision: 1 });
    holds(check, [put1, winner, putAt([5, 6], 'a', 'z', { revision: 3, ifRevision: 2 })]);
    const findings = check([put1, winner, putAt([3, 6], 'a', 'z', { revision: 3, ifRevision: 1 })]);
    assert.match(findings[0]?.message ?? '', /won a revision that put "a" = "y" if revision 1 at 2/);
    assert.match(findings[1]?.message ?? '', /passed over put "a" = "y"/);
    holds(check, [put1, winner, putAt([3, 6], 'a', 'z', { outcome: 'failed', ifRevision: 1 })]);
    holds(check, [put1, { ...winner, revision: 3 }, clearAt([3, 4], 2)]);
  });

  it('belongs to one write', () => {
    breaks(check, [put1, putAt([3, 4], 'b', 'y', { revision: 1 })], /has the position of put "a" = "x"/);
    holds(check, [put1, putAt([3, 4], 'b', 'y', { revision: 1, partition: 1 })]);
  });

  it('is created only where nothing is', () => {
    const create = putAt([5, 6], 'a', 'z', { revision: 3, ifAbsent: true });
    breaks(check, [put1, create], /created what was there: put "a" = "x"/);
    holds(check, [put1, deleteAt([3, 4], 'a', { revision: 2 }), create]);
    holds(check, [put1, deleteAt([3, 4], 'a', lost), create]);
    holds(check, [put1, clearAt([3, 4], 2), create]);
    holds(check, [{ ...put1, expiresAt: 5 }, create]);
  });
});

describe('the log', () => {
  it('has positions in the order of time', () => {
    holds(checkLogOrder, [put1, putAt([3, 4], 'b', 'y', { revision: 2 })]);
    holds(checkLogOrder, [putAt([1, 9], 'a', 'x', { revision: 2 }), putAt([3, 4], 'b', 'y', { revision: 1 })]);
    breaks(
      checkLogOrder,
      [putAt([1, 2], 'a', 'x', { revision: 2 }), putAt([3, 4], 'b', 'y', { revision: 1 })],
      /is not above it/,
    );
  });
});

describe('members', () => {
  const check = checkMembership;
  const joined = memberAt(1, 'n1', 'joined', 'n2', 5);
  const left = memberAt(3, 'n1', 'left', 'n2', 8);

  it('join and leave once in a life, as all see it', () => {
    holds(check, [joined, left, memberAt(2, 'n3', 'joined', 'n2', 5), memberAt(9, 'n1', 'joined', 'n2', 9, '2')]);
    holds(check, [joined, left, { ...joined, incarnation: 'again', at: 10 }]);
  });

  it('do not do it twice, or in another order', () => {
    breaks(check, [joined, memberAt(2, 'n1', 'joined', 'n2', 6)], /one life joined twice/);
    breaks(check, [joined, left, memberAt(4, 'n3', 'left', 'n2', 9)], /one life left twice/);
    breaks(check, [joined, memberAt(2, 'n3', 'joined', 'n4', 5)], /n3 saw n4 \(1\) joined at 5, where n1 saw n2/);
    breaks(check, [left, { ...joined, process: 'n3', position: 9 }], /left at 8, before n3 saw n2 \(1\) joined at 9/);
    breaks(check, [joined, { ...joined, at: 2 }], /not in the order of the log, or twice/);
  });
});
