/** The control state: one fold of all parts, deterministic and total. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type ControlEvent, decodeControlRecord } from '../../../src/events/control.ts';
import { encodeCheckpoint } from '../../../src/state/checkpoint.ts';
import { applyControl, controlReducer } from '../../../src/state/control.ts';
import { anyControlMessage, replay, toRecord } from '../../support/control-logs.ts';
import { specify } from '../../support/given-when-then.ts';

const spec = specify(controlReducer);

describe('the control state', () => {
  it('folds each event into the part it belongs to', () => {
    spec
      .given(
        { type: 'member.joined', node: 'a', incarnation: '1', version: '1' },
        { type: 'lease.held', role: 'controller', epoch: 1, holder: 'c', durationMs: 15_000 },
        { type: 'cache.dropped', cache: 'x' },
        { type: 'member.left', node: 'b', incarnation: '1', reason: 'timeout', by: 'a' },
      )
      .gives((state) => {
        assert.deepEqual([...state.members.members.keys()], ['a']);
        assert.equal(state.members.ignored.leftUnknown, 1);
        assert.equal(state.leases.leases.get('controller')?.holder, 'c');
        assert.equal(state.caches.ignored.droppedUnknown, 1);
      });
  });

  it('counts what nobody could read and what is of a later version, and keeps the first of each', () => {
    const long = 'x'.repeat(5_000);
    spec
      .given(
        { type: 'control.unknown', subject: 's.1' },
        { type: 'control.unreadable', subject: long, reason: long },
        { type: 'control.unreadable', subject: 's.3', reason: 'r3' },
        { type: 'control.unknown', subject: 's.4' },
        { type: 'control.unknown', subject: 's.5' },
      )
      .gives((state) => {
        assert.deepEqual(state.unknown, {
          count: 3,
          first: { position: 1, subject: 's.1', reason: 'unknown subject' },
        });
        assert.deepEqual(state.unreadable, {
          count: 2,
          first: { position: 2, subject: long.slice(0, 256), reason: long.slice(0, 256) },
        });
      });
  });

  it('is not moved by commands and outcomes, which other folds read', () => {
    spec
      .given(
        { type: 'command.issued', verb: 'start', body: { expr: '*' } },
        { type: 'outcome.reported', node: 'a', command: 1, ok: true },
      )
      .gives((state) => assert.deepEqual(state, controlReducer.init()));
  });
});

describe('replaying a control log', () => {
  it('gives the same bytes twice, whatever the log holds', () => {
    fc.assert(
      fc.property(fc.array(anyControlMessage, { maxLength: 80 }), (messages) => {
        const one = encodeCheckpoint(replay(messages), messages.length);
        const other = encodeCheckpoint(replay(messages), messages.length);
        assert.deepEqual(one, other);
      }),
      { numRuns: 300 },
    );
  });

  it('never throws, for any JSON under any control subject', () => {
    const subject = anyControlMessage.map((message) => message.subject);
    fc.assert(
      fc.property(fc.array(fc.tuple(subject, fc.json()), { maxLength: 30 }), (messages) => {
        const state = controlReducer.init();
        for (const [index, [name, data]] of messages.entries()) {
          applyControl(state, decodeControlRecord('sluice', toRecord({ subject: name, data }, index + 1)));
        }
      }),
      { numRuns: 500 },
    );
  });

  it('meets every kind of event in these random logs, so that the properties say something', () => {
    const seen = new Set<ControlEvent['type']>();
    const effects = { members: 0, caches: 0, leases: 0 };
    for (const messages of fc.sample(fc.array(anyControlMessage, { minLength: 40, maxLength: 80 }), 50)) {
      for (const [index, message] of messages.entries()) {
        seen.add(decodeControlRecord('sluice', toRecord(message, index + 1)).event.type);
      }
      const state = replay(messages);
      effects.members += state.members.members.size;
      effects.caches += state.caches.caches.size;
      effects.leases += state.leases.leases.size;
    }
    assert.equal(seen.size, 9);
    for (const [part, count] of Object.entries(effects)) assert.ok(count > 20, `${part}: ${count}`);
  });
});
