/** Members: every incarnation joins once and ends once, whatever order and repetition the log holds. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { ControlEvent, LeaveReason } from '../../../src/events/control.ts';
import {
  aliveCount,
  aliveMembers,
  aliveMembersMax,
  applyMembers,
  decideEvict,
  decideJoin,
  decideLeave,
  endedIncarnationsMax,
  initMembers,
  isAlive,
  leftMembersMax,
  type MembersState,
} from '../../../src/state/members.ts';
import { atMsOf, record, specify } from '../../support/given-when-then.ts';

const spec = specify<MembersState, ControlEvent>({ init: initMembers, apply: applyMembers });

const joined = (node: string, incarnation: string, version = '1'): ControlEvent => ({
  type: 'member.joined',
  node,
  incarnation,
  version,
});
const left = (node: string, incarnation: string, reason: LeaveReason = 'timeout', by = 'node-9'): ControlEvent => ({
  type: 'member.left',
  node,
  incarnation,
  reason,
  by,
});

/** What matters of the members, as text: `a.1 alive@1, b.1 left@4`. */
const summary = (state: MembersState): string =>
  [...state.members.values()]
    .map((member) => `${member.node}.${member.incarnation} ${member.status}@${member.leftAt ?? member.joinedAt}`)
    .sort()
    .join(', ');

describe('the members of a log', () => {
  it('are none at first', () => {
    spec.given().gives((state) => {
      assert.equal(summary(state), '');
      assert.equal(state.epoch, 0);
    });
  });

  it('are those that joined, with all that they said of themselves', () => {
    const whole = { http: 'http://h:1', region: 'eu', mac: 'm', ip: 'i', version: '2', pid: 77 };
    spec.given(joined('b', '1'), { type: 'member.joined', node: 'a', incarnation: '1', ...whole }).gives((state) => {
      assert.deepEqual(state.members.get('a'), {
        node: 'a',
        incarnation: '1',
        status: 'alive',
        ...whole,
        joinedAt: 2,
        atMs: atMsOf(2),
      });
      assert.deepEqual(
        aliveMembers(state).map(({ node }) => node),
        ['a', 'b'],
      );
      assert.equal(state.epoch, 2);
      assert.ok(isAlive(state, 'a', '1') && !isAlive(state, 'a', '2') && !isAlive(state, 'c', '1'));
    });
  });

  it('hold no field that is undefined', () => {
    spec.given({ type: 'member.joined', node: 'a', incarnation: '1', version: '1', http: undefined }).gives((state) => {
      assert.ok(!Object.hasOwn(state.members.get('a') ?? {}, 'http'));
    });
  });

  it('that left are listed with the reason, and count no more', () => {
    spec.given(joined('a', '1'), joined('b', '1'), left('a', '1', 'operator', 'ann')).gives((state) => {
      const member = state.members.get('a');
      assert.deepEqual(
        [member?.status, member?.joinedAt, member?.leftAt, member?.leftReason, member?.leftBy, member?.atMs],
        ['left', 1, 3, 'operator', 'ann', atMsOf(3)],
      );
      assert.equal(aliveCount(state), 1);
      assert.equal(state.epoch, 3);
    });
  });

  it('join once per incarnation', () => {
    spec.given(joined('a', '1', 'first'), joined('a', '1', 'second')).gives((state) => {
      assert.equal(state.members.get('a')?.version, 'first');
      assert.equal(state.epoch, 1);
      assert.equal(state.ignored.joinedAgain, 1);
    });
  });

  it('leave once per incarnation: the first one counts', () => {
    spec.given(joined('a', '1'), left('a', '1', 'timeout', 'x'), left('a', '1', 'operator', 'y')).gives((state) => {
      assert.equal(state.members.get('a')?.leftBy, 'x');
      assert.equal(state.epoch, 2);
      assert.equal(state.ignored.leftAgain, 1);
    });
  });

  it('come back as a new incarnation after they left', () => {
    spec.given(joined('a', '1'), left('a', '1'), joined('a', '2')).gives((state) => {
      assert.equal(summary(state), 'a.2 alive@3');
      assert.equal(state.members.get('a')?.leftReason, undefined);
      assert.equal(state.epoch, 3);
    });
  });

  it('are replaced by a newer incarnation of the same node, which ends the older one', () => {
    spec.given(joined('a', '1'), joined('a', '2')).gives((state) => {
      assert.equal(summary(state), 'a.2 alive@2');
      assert.equal(aliveCount(state), 1);
      assert.equal(state.epoch, 2);
    });
  });

  it('are not moved by a late left of an old incarnation', () => {
    spec.given(joined('a', '1'), joined('a', '2'), left('a', '1')).gives((state) => {
      assert.equal(summary(state), 'a.2 alive@2');
      assert.equal(state.epoch, 2);
      assert.equal(state.ignored.leftAgain, 1);
    });
  });

  it('are not moved by a late joined of an old incarnation', () => {
    spec.given(joined('a', '1'), joined('a', '2'), joined('a', '1')).gives((state) => {
      assert.equal(summary(state), 'a.2 alive@2');
      assert.equal(state.ignored.joinedAgain, 1);
    });
    spec.given(joined('a', '1'), left('a', '1'), joined('a', '1')).gives((state) => {
      assert.equal(summary(state), 'a.1 left@2');
      assert.equal(state.epoch, 2);
    });
  });

  it('cannot join as an incarnation whose left came first', () => {
    spec.given(left('a', '1'), joined('a', '1'), left('a', '1'), joined('a', '2')).gives((state) => {
      assert.equal(summary(state), 'a.2 alive@4');
      assert.equal(state.epoch, 4);
      assert.deepEqual(state.ignored, { joinedAgain: 1, joinedBeyondLimit: 0, leftAgain: 1, leftUnknown: 1 });
    });
  });

  it('do not mix incarnations of different nodes', () => {
    spec.given(joined('a', '1'), joined('b', '1'), left('b', '1')).gives((state) => {
      assert.equal(summary(state), 'a.1 alive@1, b.1 left@3');
    });
  });
});

describe('the memory of members', () => {
  it('keeps every live member, however many others come and go', () => {
    const churn = Array.from({ length: 3_000 }, (_, index) => [
      joined(`n${index}`, 'i'),
      left(`n${index}`, 'i'),
    ]).flat();
    spec.given(joined('old', '1'), ...churn).gives((state) => {
      assert.ok(isAlive(state, 'old', '1'));
      assert.equal(state.members.size, 1 + leftMembersMax);
      assert.equal(state.leftNodes.size, leftMembersMax);
      assert.ok(state.members.has('n2999') && !state.members.has('n2743'), 'the first to leave is forgotten first');
      assert.equal(state.ended.size, endedIncarnationsMax);
    });
  });

  it('is bounded when one node comes back again and again', () => {
    const lives = Array.from({ length: 3_000 }, (_, index) => joined('a', `i${index}`));
    spec.given(...lives).gives((state) => {
      assert.equal(summary(state), 'a.i2999 alive@3000');
      assert.equal(state.ended.size, endedIncarnationsMax);
    });
  });

  it('is bounded when lefts of unknown incarnations pour in, which change nothing', () => {
    const lefts = Array.from({ length: 3_000 }, (_, index) => left('a', `i${index}`));
    spec.given(joined('a', '1'), ...lefts).gives((state) => {
      assert.equal(summary(state), 'a.1 alive@1');
      assert.equal(state.epoch, 1);
      assert.equal(state.ended.size, endedIncarnationsMax);
      assert.equal(state.ignored.leftUnknown, 3_000);
    });
  });

  it('has a limit of live members, at which known nodes may still come back', () => {
    const crowd = Array.from({ length: aliveMembersMax }, (_, index) => joined(`n${index}`, '1'));
    const situation = spec.given(...crowd, joined('late', '1'), joined('n0', '2'));
    situation.gives((state) => {
      assert.equal(aliveCount(state), aliveMembersMax);
      assert.ok(isAlive(state, 'n0', '2') && !state.members.has('late'));
      assert.equal(state.ignored.joinedBeyondLimit, 1);
    });
    const join = { node: 'late', incarnation: '2', version: '1' };
    situation.when((state) => decideJoin(state, join)).isRefused('rate-limited');
    situation
      .when((state) => decideJoin(state, { ...join, node: 'n1' }))
      .yields({ type: 'member.joined', ...join, node: 'n1' });
    spec
      .given(...crowd, left('n5', '1'), joined('late', '1'))
      .gives((state) => assert.ok(isAlive(state, 'late', '1'), 'who left makes room'));
  });

  it('agrees with itself after any history', () => {
    const event = fc
      .tuple(fc.boolean(), fc.constantFrom('a', 'b', 'c'), fc.constantFrom('1', '2', '3'))
      .map(([isJoin, node, incarnation]) => (isJoin ? joined(node, incarnation) : left(node, incarnation)));
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), (events) => {
        const { state } = spec.given(...events);
        const gone = [...state.members.values()].filter(({ status }) => status === 'left');
        const byEnd = gone.sort((one, other) => (one.leftAt ?? 0) - (other.leftAt ?? 0)).map(({ node }) => node);
        assert.deepEqual([...state.leftNodes], byEnd);
        for (const member of state.members.values()) {
          const life = `${member.node}.${member.incarnation}`;
          assert.equal(state.ended.has(life), member.status === 'left', life);
        }
        const ends = [...state.ended.values()];
        assert.deepEqual(
          ends,
          [...ends].sort((one, other) => one - other),
        );
      }),
      { numRuns: 500 },
    );
  });

  it('moves the epoch exactly when the list of live members changes', () => {
    const event = fc
      .tuple(fc.boolean(), fc.constantFrom('a', 'b'), fc.constantFrom('1', '2', '3'))
      .map(([isJoin, node, incarnation]) => (isJoin ? joined(node, incarnation) : left(node, incarnation)));
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), (events) => {
        const state = initMembers();
        for (const [index, next] of events.entries()) {
          const before = JSON.stringify(aliveMembers(state));
          const epoch = state.epoch;
          applyMembers(state, record(next, index + 1));
          const isChanged = JSON.stringify(aliveMembers(state)) !== before;
          assert.equal(state.epoch, isChanged ? index + 1 : epoch);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('deciding to join', () => {
  const join = { node: 'a', incarnation: '2', version: '1', http: 'http://h:1' };

  it('gives the event of a new node, and of a new incarnation of a known one', () => {
    const event = { type: 'member.joined', ...join } as const;
    spec
      .given()
      .when((state) => decideJoin(state, join))
      .yields(event);
    spec
      .given(joined('a', '1'))
      .when((state) => decideJoin(state, join))
      .yields(event);
    spec
      .given(joined('a', '1'), left('a', '1'))
      .when((state) => decideJoin(state, join))
      .yields(event);
  });

  it('gives nothing when this incarnation is a member already', () => {
    spec
      .given(joined('a', '2'))
      .when((state) => decideJoin(state, join))
      .isNothing();
  });

  it('is refused for an incarnation that has ended', () => {
    for (const history of [
      [joined('a', '2'), left('a', '2')],
      [left('a', '2')],
      [joined('a', '2'), joined('a', '3')],
    ]) {
      const error = spec
        .given(...history)
        .when((state) => decideJoin(state, join))
        .isRefused('bad-request');
      assert.deepEqual(error.details, { node: 'a', incarnation: '2' });
    }
  });
});

describe('deciding to leave', () => {
  const leave = { node: 'a', incarnation: '1', reason: 'timeout', by: 'node-2' } as const;

  it('gives the event for the incarnation that is alive', () => {
    spec
      .given(joined('a', '1'))
      .when((state) => decideLeave(state, leave))
      .yields({ type: 'member.left', ...leave });
  });

  it('gives nothing when it has left, was replaced or is unknown', () => {
    for (const history of [[], [joined('a', '1'), left('a', '1')], [joined('a', '1'), joined('a', '2')]]) {
      spec
        .given(...history)
        .when((state) => decideLeave(state, leave))
        .isNothing();
    }
  });

  it('by an operator means whatever incarnation is alive', () => {
    spec
      .given(joined('a', '1'), joined('a', '2'))
      .when((state) => decideEvict(state, 'a', 'ann'))
      .yields({ type: 'member.left', node: 'a', incarnation: '2', reason: 'operator', by: 'ann' });
    spec
      .given(joined('a', '1'), left('a', '1'))
      .when((state) => decideEvict(state, 'a', 'ann'))
      .isNothing();
    spec
      .given(joined('a', '1'))
      .when((state) => decideEvict(state, 'b', 'ann'))
      .isRefused('node-unknown');
  });
});
