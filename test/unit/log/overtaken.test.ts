import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createOvertaken } from '../../../src/log/copy/overtaken.ts';

const answer = (last: number, askedAtMs: number) => ({ first: 1, last, askedAtMs, identity: 'one', messages: last });

describe('answers that the copy has overtaken', () => {
  it('tell of their moment at once when the copy has nothing above them', () => {
    const overtaken = createOvertaken();
    assert.equal(overtaken.momentOf(answer(5, 10), 5), 10);
    assert.equal(overtaken.momentOf(answer(7, 20), 5), 20);
    assert.equal(overtaken.isWaiting, false);
  });

  it('wait for one that has all that the copy had', () => {
    const overtaken = createOvertaken();
    assert.equal(overtaken.momentOf(answer(5, 10), 8), undefined);
    assert.equal(overtaken.isWaiting, true);
    assert.equal(overtaken.momentOf(answer(7, 20), 9), undefined, 'it lacks the message at 8');
    assert.equal(overtaken.momentOf(answer(8, 30), 9), 10, 'the first is confirmed, and the third waits');
    assert.equal(overtaken.momentOf(answer(9, 40), 12), 30);
    assert.equal(overtaken.momentOf(answer(12, 50), 12), 50);
    assert.equal(overtaken.isWaiting, false);
  });

  it('are forgotten with the copy', () => {
    const overtaken = createOvertaken();
    overtaken.momentOf(answer(5, 10), 8);
    overtaken.forget();
    assert.equal(overtaken.isWaiting, false);
    assert.equal(overtaken.momentOf(answer(9, 20), 10), undefined);
  });

  it('never tell of a moment at which the log may have lost what the copy had when the answer was read', () => {
    const steps = fc.array(fc.tuple(fc.nat(3), fc.nat(3), fc.nat(2)), { maxLength: 40 });
    fc.assert(
      fc.property(steps, (moves) => {
        const overtaken = createOvertaken();
        let last = 0;
        let applied = 0;
        const read: { askedAtMs: number; applied: number }[] = [];
        for (const [index, [grown, behind, ahead]] of moves.entries()) {
          last += grown;
          applied = Math.max(applied, last - behind + ahead);
          read.push({ askedAtMs: index, applied });
          const momentMs = overtaken.momentOf(answer(last, index), applied);
          const moment = read.find(({ askedAtMs }) => askedAtMs === momentMs);
          if (momentMs !== undefined) assert.ok(moment !== undefined && (moment.applied <= last || momentMs === index));
          if (momentMs === index) assert.ok(last >= applied);
        }
      }),
    );
  });
});
