/** Hand-made histories of a register, of both verdicts, and what the checker says of those that have no order. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { History } from '../../../src/testing/history/record.ts';
import { checkRegister, judgeRegister } from '../../../src/testing/register/check-register.ts';
import { createSeededRandom } from '../../../src/testing/seeded-random.ts';
import { clearAt, deleteAt, invalidateAt, latestAt, localAt, lost, putAt } from '../../support/history-records.ts';
import { makeHistory } from '../../support/random-history.ts';

const refused = { outcome: 'failed', conflict: true } as const;

const linearizable: Readonly<Record<string, History>> = {
  'nothing at all': [],
  'a read of nothing': [latestAt([1, 2], 'a', null)],
  'a read that overlaps the write and sees it': [putAt([1, 9], 'a', 'x'), latestAt([2, 3], 'a', 'x')],
  'a read that overlaps the write and does not see it': [putAt([1, 9], 'a', 'x'), latestAt([2, 3], 'a', null)],
  'two overlapping writes seen in either order': [
    putAt([1, 9], 'a', 'x'),
    putAt([2, 8], 'a', 'y'),
    latestAt([10, 11], 'a', 'x'),
  ],
  'an unknown put that is seen much later': [
    putAt([1, 2], 'a', 'x', lost),
    latestAt([3, 4], 'a', null),
    latestAt([5, 6], 'a', 'x'),
  ],
  'an unknown put that never was': [putAt([1, 2], 'a', 'x', lost), latestAt([3, 4], 'a', null)],
  'an unknown delete between two reads': [
    putAt([1, 2], 'a', 'x'),
    deleteAt([3, 4], 'a', lost),
    latestAt([5, 6], 'a', 'x'),
    latestAt([7, 8], 'a', null),
  ],
  'an unknown compare-and-set after an unknown put': [
    putAt([1, 2], 'a', 'x', lost),
    putAt([3, 4], 'a', 'y', { ...lost, ifRevision: 5 }),
    latestAt([6, 7], 'a', 'y', { revision: 6 }),
  ],
  'a compare-and-set that wins, and one that is refused': [
    putAt([1, 2], 'a', 'x', { revision: 1 }),
    putAt([3, 8], 'a', 'y', { ifRevision: 1, revision: 2 }),
    putAt([4, 9], 'a', 'z', { ifRevision: 1, ...refused }),
    latestAt([10, 11], 'a', 'y', { revision: 2 }),
  ],
  'a create after a delete': [
    putAt([1, 2], 'a', 'x', { ifAbsent: true }),
    deleteAt([3, 4], 'a'),
    putAt([5, 6], 'a', 'y', { ifAbsent: true }),
  ],
  'a clear that overlaps a put': [putAt([1, 9], 'a', 'x'), clearAt([2, 8]), latestAt([10, 11], 'a', 'x')],
  'a tag that the entry does not carry': [
    putAt([1, 2], 'a', 'x', { tags: ['red'] }),
    putAt([3, 4], 'a', 'y', { tags: ['blue'] }),
    invalidateAt([5, 6], 'red'),
    latestAt([7, 8], 'a', 'y'),
  ],
  'a loaded value that began before a clear': [
    clearAt([1, 2], 5),
    putAt([3, 4], 'a', 'x', { basis: 4, revision: 6 }),
    latestAt([5, 6], 'a', null),
  ],
  'an entry that expired': [putAt([1, 2], 'a', 'x', { expiresAt: 5 }), latestAt([6, 7], 'a', null)],
  'a compare-and-set against the message of a cleared entry': [
    putAt([1, 2], 'a', 'x', { revision: 1 }),
    clearAt([3, 4], 2),
    putAt([5, 6], 'a', 'y', { ifRevision: 1, revision: 3 }),
    latestAt([7, 8], 'a', 'y', { revision: 3 }),
  ],
  'local reads, which may be old': [
    putAt([1, 2], 'a', 'x'),
    putAt([3, 4], 'a', 'y'),
    localAt([5, 6], 'a', 'x', { process: 'p9' }),
  ],
  'keys with an order each': [
    putAt([1, 2], 'a', 'x'),
    putAt([1, 2], 'b', 'y'),
    latestAt([3, 4], 'a', 'x'),
    latestAt([3, 4], 'b', 'y'),
  ],
};

const broken: Readonly<Record<string, readonly [History, RegExp]>> = {
  'a read that misses what was acknowledged': [
    [putAt([1, 2], 'a', 'x'), latestAt([3, 4], 'a', null)],
    /it saw absent, but the key held "x"/,
  ],
  'a read of an old value': [
    [putAt([1, 2], 'a', 'x'), putAt([3, 4], 'a', 'y'), latestAt([5, 6], 'a', 'x')],
    /it saw "x", but the key held "y"/,
  ],
  'a read of what nobody wrote': [[latestAt([1, 2], 'a', 'x')], /it saw "x", but the key had never been written/],
  'two reads that go back': [
    [putAt([1, 9], 'a', 'x'), latestAt([2, 3], 'a', 'x'), latestAt([4, 5], 'a', null)],
    /it saw absent, but the key held "x"/,
  ],
  'a failed write that is seen': [
    [putAt([1, 2], 'a', 'x', { outcome: 'failed' }), latestAt([3, 4], 'a', 'x')],
    /it saw "x", but the key had never been written/,
  ],
  'two winners of one revision': [
    [
      putAt([1, 2], 'a', 'x', { revision: 1 }),
      putAt([3, 8], 'a', 'y', { ifRevision: 1, revision: 2 }),
      putAt([4, 9], 'a', 'z', { ifRevision: 1, revision: 3 }),
    ],
    /it was to find revision 1, but the key held "y" \(position 2\)/,
  ],
  'a create of what is there': [
    [putAt([1, 2], 'a', 'x'), putAt([3, 4], 'a', 'y', { ifAbsent: true })],
    /it was to find the key absent, but the key held "x"/,
  ],
  'a refusal without reason': [
    [putAt([1, 2], 'a', 'x', { revision: 1 }), putAt([3, 4], 'a', 'y', { ifRevision: 1, ...refused })],
    /its condition was refused, but the key held "x" \(position 1\)/,
  ],
  'a position below one that was acknowledged before': [
    [putAt([1, 2], 'a', 'x', { revision: 7 }), putAt([3, 4], 'a', 'y', { revision: 6 })],
    /it was acknowledged at position 6, but position 7 was reached before it/,
  ],
  'an entry that survives a clear': [
    [putAt([1, 2], 'a', 'x'), clearAt([3, 4]), latestAt([5, 6], 'a', 'x')],
    /it saw "x", but "x" \(a position not known\) was void/,
  ],
  'an entry that survives the invalidation of its tag': [
    [putAt([1, 2], 'a', 'x', { tags: ['red'] }), invalidateAt([3, 4], 'red'), latestAt([5, 6], 'a', 'x')],
    /was void/,
  ],
  'a loaded value that undoes a clear': [
    [clearAt([1, 2], 5), putAt([3, 4], 'a', 'x', { basis: 4, revision: 6 }), latestAt([5, 6], 'a', 'x')],
    /it saw "x", but "x" \(position 6\) was void/,
  ],
  'an unknown put that is undone and done again': [
    [
      putAt([1, 2], 'a', 'x', lost),
      latestAt([3, 4], 'a', 'x'),
      deleteAt([5, 6], 'a'),
      latestAt([7, 8], 'a', null),
      latestAt([9, 10], 'a', 'x'),
    ],
    /it saw "x", but the key was deleted/,
  ],
};

describe('a history that is linearizable', () => {
  for (const [name, history] of Object.entries(linearizable))
    it(`has no finding: ${name}`, () => assert.deepEqual(checkRegister(history), []));
});

describe('a history that is not linearizable', () => {
  for (const [name, [history, message]] of Object.entries(broken)) {
    it(`is told with its reason: ${name}`, () => {
      const [finding, ...more] = checkRegister(history);
      assert.equal(more.length, 0);
      assert.equal(finding?.verdict, 'broken');
      assert.equal(finding?.key, 'a');
      assert.match(finding?.message ?? '', message);
    });
  }

  it('is cut to its shortest beginning, explained as far as it goes, with what fits nowhere', () => {
    const before = makeHistory(createSeededRandom(1), {
      operations: 200,
      keys: 1,
      processes: 3,
      withRevisions: true,
      unknownPercent: 0,
      isRich: false,
    }).map((operation) => ({ ...operation, start: operation.start - 10_000, end: operation.end - 10_000, key: 'a' }));
    const wrong = latestAt([5, 6], 'a', 'never written');
    const after = [putAt([7, 8], 'a', 'x'), latestAt([9, 10], 'a', 'x')];
    const [finding] = checkRegister([...before, wrong, ...after, putAt([1, 2], 'b', 'y')]);
    assert.deepEqual(finding?.misfits, [wrong]);
    assert.equal(finding?.records[0], wrong);
    assert.equal(
      finding?.explained.length,
      finding?.message.match(/: (\d+) of its first/)?.[1] && before.filter(isCounted).length,
    );
    assert.ok(!finding?.explained.some((operation) => after.includes(operation as never)));
  });

  it('names each key that is broken, up to a number of findings', () => {
    const history = ['a', 'b', 'c'].flatMap((key) => [putAt([1, 2], key, 'x'), latestAt([3, 4], key, null)]);
    const keysOf = (findingsMax?: number) => checkRegister(history, { findingsMax }).map(({ key }) => key);
    assert.deepEqual(keysOf(), ['a', 'b', 'c']);
    assert.deepEqual(keysOf(2), ['a', 'b']);
    assert.equal(judgeRegister(history, { findingsMax: 0 }).verdict, 'broken');
  });

  it('counts a clear only in the partition that it was of', () => {
    const history = (partition: number): History => [
      { ...putAt([1, 2], 'a', 'x'), partition: 1 },
      { ...clearAt([3, 4]), partition },
      { ...latestAt([5, 6], 'a', 'x'), partition: 1 },
    ];
    assert.deepEqual(checkRegister(history(0)), []);
    assert.equal(checkRegister(history(1)).length, 1);
  });
});

describe('a read that cannot be right', () => {
  it('is found without any search', () => {
    const put = putAt([1, 2], 'a', 'x', { revision: 1 });
    const histories: readonly History[] = [
      [put, latestAt([3, 4], 'a', 'never written')],
      [put, putAt([5, 6], 'a', 'y', lost), latestAt([3, 4], 'a', 'y')],
      [put, putAt([3, 4], 'a', 'y', { outcome: 'failed' }), latestAt([5, 6], 'a', 'y')],
      [put, putAt([3, 4], 'a', 'y'), latestAt([5, 6], 'a', 'x')],
      [put, clearAt([3, 4]), latestAt([5, 6], 'a', 'x')],
      [put, latestAt([3, 4], 'a', null), deleteAt([5, 6], 'a')],
      [put, latestAt([3, 4], 'a', 'x', { revision: 2 })],
      // They overlap, and only positions say which one was last.
      [putAt([1, 9], 'a', 'y', { revision: 2 }), { ...put, end: 9 }, latestAt([10, 11], 'a', 'x')],
    ];
    for (const history of histories) {
      const { verdict, states } = judgeRegister(history);
      assert.deepEqual([verdict, states], ['broken', 0], JSON.stringify(history));
    }
  });
});

describe('a search that would be endless', () => {
  it('ends at the budget, undecided, and says so', () => {
    // Puts that all overlap, of which reads at the end see one, another, and the first again.
    const puts = Array.from({ length: 40 }, (_, index) => putAt([index, 1_000 + index], 'a', `v${index}`));
    const reads = ['v1', 'v2', 'v1'].map((value, index) => latestAt([900 + 2 * index, 901 + 2 * index], 'a', value));
    const history = [...puts, ...reads];
    const { verdict, findings, states } = judgeRegister(history, { statesMax: 500 });
    assert.equal(verdict, 'undecided');
    assert.equal(states, 500);
    assert.equal(findings[0]?.verdict, 'undecided');
    assert.match(findings[0]?.message ?? '', /key "a": undecided after 500 states \(statesMax 500\)/);
  });
});

function isCounted(operation: { readonly outcome: string; readonly conflict?: unknown }): boolean {
  return operation.outcome !== 'failed' || operation.conflict === true;
}
