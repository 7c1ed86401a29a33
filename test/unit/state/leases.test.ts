/** Leases: one holder per role, fenced by epochs, measured by each side's own monotonic clock. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { ControlEvent } from '../../../src/events/control.ts';
import {
  applyLeases,
  decideLease,
  decideRelease,
  initLeases,
  type LeaseQuestion,
  type LeasesState,
  leaseDriftMs,
  leaseDurationMinMs,
  leaseRenewMs,
  rolesMax,
} from '../../../src/state/leases.ts';
import { atMsOf, record, specify } from '../../support/given-when-then.ts';

const spec = specify<LeasesState, ControlEvent>({ init: initLeases, apply: applyLeases });

type Held = Extract<ControlEvent, { type: 'lease.held' }>;
const held = (epoch: number, holder: string, durationMs = 15_000, role = 'controller'): Held => ({
  type: 'lease.held',
  role,
  epoch,
  holder,
  durationMs,
});

/** A candidate `a` that holds nothing, saw the last change at 100 s and knows that nothing is missing. */
const question: LeaseQuestion = {
  role: 'controller',
  holder: 'a',
  durationMs: 15_000,
  nowMs: 100_000,
  seenMs: 100_000,
  provenMs: 100_000,
  sentMs: Number.NEGATIVE_INFINITY,
  heldUntilMs: Number.NEGATIVE_INFINITY,
};
const ask = (state: LeasesState, changes: Partial<LeaseQuestion> = {}) =>
  decideLease(state, { ...question, ...changes });

describe('the lease of a role', () => {
  it('is held by who created the highest epoch', () => {
    spec.given(held(1, 'a'), held(2, 'b', 20_000)).gives((state) => {
      assert.deepEqual(state.leases.get('controller'), {
        role: 'controller',
        epoch: 2,
        holder: 'b',
        durationMs: 20_000,
        createdAt: 2,
        renewedAt: 2,
        renewedAtMs: atMsOf(2),
      });
    });
  });

  it('keeps its creation and moves its last renewal, position, time and duration', () => {
    spec.given(held(1, 'a'), held(1, 'a'), held(1, 'a', 30_000)).gives((state) => {
      assert.deepEqual(state.leases.get('controller'), {
        role: 'controller',
        epoch: 1,
        holder: 'a',
        durationMs: 30_000,
        createdAt: 1,
        renewedAt: 3,
        renewedAtMs: atMsOf(3),
      });
    });
  });

  it('is renewed by its holder only', () => {
    spec.given(held(1, 'a'), held(1, 'b', 99_000)).gives((state) => {
      const lease = state.leases.get('controller');
      assert.deepEqual([lease?.holder, lease?.durationMs, lease?.renewedAt], ['a', 15_000, 1]);
      assert.equal(state.ignored.foreignRenewal, 1);
    });
  });

  it('is not moved by a lower epoch, also of the same holder', () => {
    spec.given(held(1, 'a'), held(2, 'b'), held(1, 'a'), held(1, 'b')).gives((state) => {
      assert.equal(state.leases.get('controller')?.renewedAt, 2);
      assert.equal(state.ignored.lowerEpoch, 2);
    });
  });

  it('cannot jump to an epoch that nobody can have reached', () => {
    spec.given(held(1, 'a'), held(999_999_999_999_999, 'x'), held(4, 'x'), held(2, 'b')).gives((state) => {
      assert.equal(state.leases.get('controller')?.holder, 'b');
      assert.equal(state.ignored.impossibleEpoch, 2);
    });
  });

  it('is apart from those of other roles, of which there is a limit', () => {
    const crowd = Array.from({ length: rolesMax }, (_, index) => held(1, 'a', 15_000, `r${index}`));
    spec.given(...crowd, held(1, 'a', 15_000, 'late'), held(2, 'b', 15_000, 'r0')).gives((state) => {
      assert.equal(state.leases.size, rolesMax);
      assert.equal(state.leases.get('r0')?.holder, 'b');
      assert.equal(state.leases.get('r1')?.holder, 'a');
      assert.equal(state.ignored.beyondLimit, 1);
    });
  });

  it('ignores every other event', () => {
    spec.given({ type: 'cache.dropped', cache: 'c' }).gives((state) => assert.deepEqual(state, initLeases()));
  });
});

describe('deciding on a lease', () => {
  it('takes the first epoch when nobody ever held it, once the whole log was read', () => {
    assert.deepEqual(ask(initLeases()), { action: 'take', event: held(1, 'a'), expected: 0 });
    const unproven = ask(initLeases(), { provenMs: Number.NEGATIVE_INFINITY });
    assert.deepEqual(unproven, { action: 'wait', untilMs: 100_500 });
  });

  it('waits for the end of another one’s lease by the time of its own receipt, then takes the next epoch', () => {
    const { state } = spec.given(held(1, 'x'), held(2, 'b', 20_000));
    const endMs = 120_000 + leaseDriftMs;
    assert.deepEqual(ask(state), { action: 'wait', untilMs: endMs });
    assert.equal(ask(state, { nowMs: endMs, provenMs: endMs }).action, 'wait');
    assert.deepEqual(ask(state, { nowMs: endMs + 1, provenMs: endMs + 1 }), {
      action: 'take',
      event: held(3, 'a'),
      expected: 0,
    });
  });

  it('takes nothing over on an outdated picture, however long ago that lease ended', () => {
    const { state } = spec.given(held(1, 'b'));
    assert.deepEqual(ask(state, { nowMs: 900_000, provenMs: 110_000 }), { action: 'wait', untilMs: 900_500 });
  });

  it('renews its own every four seconds, expecting the position of the last renewal', () => {
    const { state } = spec.given(held(1, 'x'), held(2, 'a'), held(2, 'a'));
    const own = { sentMs: 100_000, heldUntilMs: 115_000 };
    assert.deepEqual(ask(state, { ...own, nowMs: 103_999 }), { action: 'wait', untilMs: 104_000 });
    assert.deepEqual(ask(state, { ...own, nowMs: 104_000, durationMs: 16_000 }), {
      action: 'renew',
      event: held(2, 'a', 16_000),
      expected: 3,
    });
    assert.deepEqual(ask(state, { ...own, nowMs: 114_999 }), { action: 'renew', event: held(2, 'a'), expected: 3 });
  });

  it('takes a new epoch when its own lease ran out, so that what it did meanwhile is fenced', () => {
    const { state } = spec.given(held(1, 'a'));
    const own = { sentMs: 100_000, heldUntilMs: 115_000, nowMs: 115_000 };
    assert.deepEqual(ask(state, own), { action: 'take', event: held(2, 'a'), expected: 0 });
  });

  it('refuses a duration that would not outlast the election of a stream leader', () => {
    for (const durationMs of [0, 14_999, Number.NaN]) {
      const error = spec
        .given()
        .when((state) => ask(state, { durationMs }))
        .isRefused('bad-request');
      assert.equal(error.details['field'], 'durationMs');
    }
    assert.ok(leaseDurationMinMs >= 3 * leaseRenewMs, 'a holder has three tries at least');
  });

  it('is to be asked again at a time that is still to come, when there may be something to do', () => {
    const anyState = fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.constantFrom('a', 'b')), { maxLength: 8 });
    fc.assert(
      fc.property(anyState, fc.integer({ min: 0, max: 40_000 }), fc.boolean(), (events, elapsedMs, isHeld) => {
        const { state } = spec.given(...events.map(([epoch, holder]) => held(epoch, holder)));
        const own = isHeld ? { sentMs: 100_000, heldUntilMs: 115_000 } : {};
        const nowMs = 100_000 + elapsedMs;
        const decision = ask(state, { ...own, nowMs });
        if (decision.action !== 'wait') return;
        assert.ok(decision.untilMs > nowMs);
        const thenMs = decision.untilMs + 1;
        assert.notEqual(ask(state, { ...own, nowMs: thenMs, provenMs: thenMs }).action, 'wait');
      }),
    );
  });
});

describe('deciding to release a lease', () => {
  it('gives a renewal of 1 ms to the holder, after which others need not wait', () => {
    const situation = spec.given(held(1, 'x'), held(2, 'a'), held(2, 'a'));
    const release = { event: held(2, 'a', 1), expected: 3 };
    situation.when((state) => decideRelease(state, { role: 'controller', holder: 'a' })).yields(release);
    applyLeases(situation.state, record(release.event, 4));
    const soonMs = 100_002 + leaseDriftMs;
    assert.deepEqual(ask(situation.state, { holder: 'b', nowMs: soonMs, provenMs: soonMs }), {
      action: 'take',
      event: held(3, 'b'),
      expected: 0,
    });
  });

  it('gives nothing to anybody else', () => {
    const situation = spec.given(held(1, 'x'), held(2, 'a'));
    situation.when((state) => decideRelease(state, { role: 'controller', holder: 'x' })).isNothing();
    situation.when((state) => decideRelease(state, { role: 'other', holder: 'a' })).isNothing();
  });
});
