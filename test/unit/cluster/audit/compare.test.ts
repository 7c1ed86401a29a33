/** The verdict over two readings: every difference is found, and nothing that may have moved in between is called one. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  type CopyReading,
  compareReadings,
  expirySlackMs,
  type HeldKey,
  judge,
  type Reading,
} from '../../../../src/cluster/audit/compare.ts';

const nowMs = 1_000_000;
const held = (revision: number, checksum = `c${revision}`, expiresAtMs = Number.POSITIVE_INFINITY): HeldKey => ({
  revision,
  checksum,
  expiresAtMs,
});

interface Setting {
  readonly logAt?: number;
  readonly copyAt?: number;
  readonly isComplete?: boolean;
}

function verdict(inLog: HeldKey | undefined, inCopy: HeldKey | undefined, setting: Setting = {}): string {
  const { logAt = 100, copyAt = 100, isComplete = true } = setting;
  const log: Reading = { entries: new Map(), at: logAt };
  const copy: CopyReading = { entries: new Map(), at: copyAt, isComplete };
  return judge(inLog, inCopy, { log, copy, nowMs });
}

/** A history of one key: the revision that is valid from each position on; undefined: none. */
interface Step {
  readonly isPut: boolean;
  readonly gap: number;
}
const history = fc.array(fc.record({ isPut: fc.boolean(), gap: fc.integer({ min: 1, max: 5 }) }), { maxLength: 8 });

function stateAt(steps: readonly Step[], position: number): HeldKey | undefined {
  let at = 0;
  let state: HeldKey | undefined;
  for (const { isPut, gap } of steps) {
    at += gap;
    if (at > position) return state;
    state = isPut ? held(at) : undefined;
  }
  return state;
}

describe('the verdict over a key', () => {
  it('names each kind of divergence', () => {
    assert.equal(verdict(held(5), held(5)), 'agrees');
    assert.equal(verdict(held(5), undefined), 'missing');
    assert.equal(verdict(undefined, held(5)), 'extra');
    assert.equal(verdict(held(7), held(5)), 'revision');
    assert.equal(verdict(held(5), held(7)), 'revision');
    assert.equal(verdict(held(5), held(5, 'other')), 'checksum');
  });

  it('takes what one side could not know yet for moved', () => {
    assert.equal(verdict(held(105), undefined, { logAt: 110 }), 'moved');
    assert.equal(verdict(held(105), held(5), { logAt: 110 }), 'moved');
    assert.equal(verdict(held(5), held(105), { copyAt: 110 }), 'moved');
    assert.equal(verdict(undefined, held(105), { copyAt: 110 }), 'moved');
    // The same revision is the same message, wherever both stand.
    assert.equal(verdict(held(5), held(5, 'other'), { logAt: 10, copyAt: 200 }), 'checksum');
  });

  it('takes an absent key of a copy with limits for evicted, and another value of it never', () => {
    assert.equal(verdict(held(5), undefined, { isComplete: false }), 'evicted');
    assert.equal(verdict(held(7), held(5), { isComplete: false }), 'revision');
    assert.equal(verdict(undefined, held(5), { isComplete: false }), 'extra');
  });

  it('takes what ends about now for expired, on either side', () => {
    const ending = nowMs + expirySlackMs;
    assert.equal(verdict(held(5, 'c', ending), undefined), 'expired');
    assert.equal(verdict(undefined, held(5, 'c', ending)), 'expired');
    assert.equal(verdict(held(5, 'c', ending + 1), undefined), 'missing');
    assert.equal(verdict(undefined, held(5, 'c', ending + 1)), 'extra');
  });

  it('is never a divergence for a true copy of the same position, and finds every other state', () => {
    fc.assert(
      fc.property(history, fc.nat({ max: 40 }), fc.option(fc.integer({ min: 1, max: 40 })), (steps, at, planted) => {
        const truth = stateAt(steps, at);
        assert.equal(verdict(truth, truth, { logAt: at, copyAt: at }), 'agrees');
        const wrong = planted === null ? undefined : held(Math.min(planted, Math.max(at, 1)), 'planted');
        const found = verdict(truth, wrong, { logAt: Math.max(at, 1), copyAt: Math.max(at, 1) });
        if (truth === undefined && wrong === undefined) assert.equal(found, 'agrees');
        else assert.ok(['missing', 'extra', 'revision', 'checksum'].includes(found), found);
      }),
    );
  });

  it('is no revision and no checksum divergence for true readings of different positions', () => {
    fc.assert(
      fc.property(history, fc.nat({ max: 40 }), fc.nat({ max: 40 }), (steps, logAt, copyAt) => {
        const found = verdict(stateAt(steps, logAt), stateAt(steps, copyAt), { logAt, copyAt });
        // A delete in between leaves no revision to go by: those are asked for again.
        assert.ok(['agrees', 'moved', 'missing', 'extra'].includes(found), found);
      }),
    );
  });
});

describe('the comparison of two readings', () => {
  it('looks at each key of both once', () => {
    const key = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
    const entries = fc
      .array(fc.tuple(key, fc.integer({ min: 1, max: 60 })))
      .map((pairs) => new Map<string, HeldKey>(pairs.map(([name, revision]) => [name, held(revision)])));
    fc.assert(
      fc.property(entries, entries, fc.boolean(), (inLog, inCopy, isComplete) => {
        const log: Reading = { entries: inLog, at: 50 };
        const copy: CopyReading = { entries: inCopy, at: 50, isComplete };
        const { agreed, moved, evicted, expired, suspects } = compareReadings(log, copy, nowMs);
        const all = new Set([...inLog.keys(), ...inCopy.keys()]);
        assert.equal(agreed + moved + evicted + expired + suspects.length, all.size);
        assert.equal(new Set(suspects).size, suspects.length);
        for (const name of suspects) assert.notDeepEqual(inLog.get(name), inCopy.get(name));
      }),
    );
  });
});
