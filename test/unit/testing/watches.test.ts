/** What a watch promises: each check with a history that keeps it and one that breaks it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  checkWatchFiltered,
  checkWatchGenuine,
  checkWatchOrdered,
  checkWatchProgress,
  checkWatchReliable,
  checkWatchResumable,
  checkWatchUnique,
} from '../../../src/testing/watch/check-watches.ts';
import { clearAt, deleteAt, invalidateAt, lost, putAt, watchSays } from '../../support/history-records.ts';
import { breaks, holds } from '../../support/verdicts.ts';

const writes = [
  putAt([1, 2], 'a', 'x', { revision: 1 }),
  putAt([3, 4], 'b', 'y', { revision: 2 }),
  putAt([5, 6], 'a', 'z', { revision: 3 }),
  deleteAt([7, 8], 'b', { revision: 4 }),
  clearAt([9, 10], 5),
  invalidateAt([11, 12], 'red', 6),
];
const a = { key: 'a' };
const b = { key: 'b' };
const all = watchSays(
  'w1',
  ['opened', 0],
  ['put', 1, { ...a, value: 'x' }],
  ['put', 2, { ...b, value: 'y' }],
  ['progress', 2],
  ['put', 3, { ...a, value: 'z' }],
  ['delete', 4, b],
  ['clear', 5],
  ['tag', 6, { tag: 'red' }],
  ['closed', 6],
);

describe('a watch', () => {
  it('that tells everything breaks nothing', () => {
    for (const check of [
      checkWatchFiltered,
      checkWatchGenuine,
      checkWatchOrdered,
      checkWatchProgress,
      checkWatchReliable,
      checkWatchResumable,
      checkWatchUnique,
    ])
      holds(check, [...writes, ...all]);
  });

  it('tells in the order of the log, from where it began', () => {
    breaks(
      checkWatchOrdered,
      watchSays('w', ['opened', 0], ['put', 3, a], ['put', 2, b]),
      /watch w: .*put "b" at 2, after .*put "a" at 3/,
    );
    breaks(checkWatchOrdered, watchSays('w', ['opened', 3], ['put', 3, a]), /but it began above 3/);
    holds(checkWatchOrdered, watchSays('w', ['opened', 0], ['put', 3, a], ['reset', 0], ['put', 2, b]));
  });

  it('tells nothing twice, also when it goes on from another', () => {
    breaks(checkWatchUnique, watchSays('w', ['opened', 0], ['put', 3, a], ['put', 3, a]), /was told already/);
    const first = watchSays('w1', ['opened', 0], ['put', 3, a]);
    breaks(
      checkWatchUnique,
      [...first, ...watchSays('w2', ['opened', 2, { resumes: 'w1' }], ['put', 3, a])],
      /told already/,
    );
    holds(checkWatchUnique, [...first, ...watchSays('w2', ['opened', 2], ['put', 3, a])]);
    holds(checkWatchUnique, watchSays('w', ['opened', 0], ['put', 3, a], ['reset', 0], ['put', 3, a]));
  });

  it('tells what the log has', () => {
    const told = (...event: Parameters<typeof watchSays>[1]) => [...writes, ...watchSays('w', ['opened', 0], event)];
    breaks(
      checkWatchGenuine,
      told('put', 1, { ...b, value: 'x' }),
      /put "b" at 1, but at that position is put "a" = "x"/,
    );
    breaks(checkWatchGenuine, told('put', 1, { ...a, value: 'z' }), /but at that position is put "a" = "x"/);
    breaks(checkWatchGenuine, told('delete', 1, a), /delete "a" at 1/);
    breaks(checkWatchGenuine, told('tag', 6, { tag: 'blue' }), /but at that position is invalidate tag "red"/);
    breaks(checkWatchGenuine, told('clear', 6), /clear at 6/);
    holds(checkWatchGenuine, told('put', 1, a));
    const short = putAt([1, 2], 'a', 'x', { revision: 1, expiresAt: 50 });
    holds(checkWatchGenuine, [short, ...watchSays('w', ['delete', 1, a])]);
  });

  it('has no gap up to where it says it is', () => {
    const told = (...events: Parameters<typeof watchSays>[1][]) => [...writes, ...watchSays('w', ...events)];
    breaks(
      checkWatchReliable,
      told(['opened', 0], ['put', 1, a], ['put', 3, a]),
      /everything from 0 to 3 without put "b" = "y"/,
    );
    breaks(checkWatchReliable, told(['opened', 2], ['progress', 3]), /without put "a" = "z"/);
    breaks(checkWatchReliable, told(['opened', 4], ['closed', 5]), /without clear/);
    holds(checkWatchReliable, told(['opened', 3]));
    holds(checkWatchReliable, told(['opened', 0, { prefix: 'a' }], ['put', 1, a], ['put', 3, a]));
    holds(checkWatchReliable, told(['opened', 0], ['put', 1, a], ['reset', 5], ['tag', 6, { tag: 'red' }]));
  });

  it('may leave out what the log no longer had when it was opened, and nothing else', () => {
    const told = (head: number) => [
      ...writes,
      ...watchSays('w', ['opened', 0, { head }], ['put', 3, a], ['delete', 4, b]),
    ];
    holds(checkWatchReliable, told(4));
    assert.equal(checkWatchReliable(told(1)).length, 1);
    const twice = [invalidateAt([1, 2], 'red', 1), invalidateAt([3, 4], 'blue', 2), invalidateAt([5, 6], 'red', 3)];
    const red = ['tag', 3, { tag: 'red' }] as const;
    holds(checkWatchReliable, [
      ...twice,
      ...watchSays('w', ['opened', 0, { head: 3 }], ['tag', 2, { tag: 'blue' }], red),
    ]);
    breaks(
      checkWatchReliable,
      [...twice, ...watchSays('w', ['opened', 0, { head: 3 }], red)],
      /without invalidate tag "blue"/,
    );
    const late = [putAt([1, 2], 'a', 'x', { revision: 1 }), { ...putAt([200, 201], 'a', 'y'), ...lost }];
    const head = Number.MAX_SAFE_INTEGER;
    holds(checkWatchReliable, [...late, ...watchSays('w', ['opened', 0, { head }], ['progress', 2])]);
    breaks(
      checkWatchReliable,
      [...late, ...watchSays('w', ['opened', 0, { head: 2 }], ['progress', 2])],
      /without put "a"/,
    );
    const few = [
      putAt([1, 2], 'a', 'x', { revision: 1 }),
      ...watchSays('w', ['opened', 0, { head: 2 }], ['progress', 2]),
    ];
    breaks(checkWatchReliable, few, /without put "a" = "x"/);
    holds(checkWatchReliable, [...few, putAt([3, 4], 'a', 'y', lost)]);
    breaks(checkWatchReliable, [...few, putAt([200, 201], 'a', 'y', lost)], /without put "a" = "x"/);
    breaks(checkWatchReliable, [...few, putAt([3, 4], 'b', 'y', lost)], /without put "a" = "x"/);
    breaks(
      checkWatchReliable,
      [...writes, ...watchSays('w', ['opened', 0, { head: 4 }], ['delete', 4, b])].filter(
        (record) => record.type !== 'clear',
      ),
      /without put "a" = "z"/,
    );
  });

  it('goes on where the other one stood', () => {
    const first = watchSays('w1', ['opened', 0], ['put', 1, a], ['progress', 2]);
    const resumed = (at: number, from = 'w1') => [...first, ...watchSays('w2', ['opened', at, { resumes: from }])];
    holds(checkWatchResumable, resumed(2));
    breaks(checkWatchResumable, resumed(3), /goes on from w1 at 3, and that one stood at 2/);
    breaks(checkWatchResumable, resumed(1), /goes on from w1 at 1/);
    breaks(checkWatchResumable, resumed(2, 'w9'), /w9, which is not in the history/);
  });

  it('tells nothing from below a bookmark', () => {
    holds(checkWatchProgress, watchSays('w', ['opened', 0], ['progress', 2], ['progress', 2], ['put', 3, a]));
    breaks(
      checkWatchProgress,
      watchSays('w', ['opened', 0], ['progress', 3], ['put', 3, a]),
      /put "a" at 3, after .*progress at 3/,
    );
    breaks(checkWatchProgress, watchSays('w', ['opened', 0], ['progress', 3], ['progress', 2]), /progress at 2/);
    holds(checkWatchProgress, watchSays('w', ['opened', 0], ['progress', 3], ['reset', 0], ['put', 1, a]));
  });

  it('tells only what was asked for', () => {
    const told = (prefix: string) => watchSays('w', ['opened', 0, { prefix }], ['put', 1, a], ['clear', 2]);
    holds(checkWatchFiltered, told('a'));
    breaks(checkWatchFiltered, told('b'), /put "a" at 1, but only keys with "b" were asked for/);
  });
});
