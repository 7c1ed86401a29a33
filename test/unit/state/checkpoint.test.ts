/** Checkpoints: the state as bytes and back, and every way in which they may be damaged. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { ControlEvent } from '../../../src/events/control.ts';
import {
  type Checkpoint,
  checkpointBytesMax,
  decodeCheckpoint,
  encodeCheckpoint,
  isRefusedCheckpoint,
} from '../../../src/state/checkpoint.ts';
import { controlReducer, initControl } from '../../../src/state/control.ts';
import { anyControlMessage, replay } from '../../support/control-logs.ts';
import { specify } from '../../support/given-when-then.ts';

const settings = {
  partitions: 2,
  replicas: 'all',
  logReplicas: 1,
  entriesMax: 10,
  bytesMax: 20,
  ttlMs: null,
  valueBytesMax: 30,
  logBytesMax: null,
  whenFull: 'refuse',
} as const;

/** Something of everything. */
const history: readonly ControlEvent[] = [
  { type: 'member.joined', node: 'b', incarnation: '1', version: '1', http: 'http://h:1', region: 'eu', pid: 5 },
  { type: 'member.joined', node: 'a', incarnation: '1', version: '1', mac: 'm', ip: 'i' },
  { type: 'member.left', node: 'b', incarnation: '1', reason: 'timeout', by: 'a' },
  { type: 'member.joined', node: 'a', incarnation: '2', version: '2' },
  { type: 'cache.declared', cache: 'demo', settings, by: 'ann' },
  { type: 'cache.declared', cache: 'other', settings },
  { type: 'lease.held', role: 'controller', epoch: 3, holder: 'c', durationMs: 15_000 },
  { type: 'control.unreadable', subject: 'sluice.x', reason: 'r' },
  { type: 'control.unknown', subject: 'sluice.y' },
];
const { state } = specify(controlReducer).given(...history);

const accepted = (bytes: Uint8Array): Checkpoint => {
  const result = decodeCheckpoint(bytes);
  assert.ok(!isRefusedCheckpoint(result), JSON.stringify(result));
  return result;
};
const refusal = (bytes: Uint8Array): string => {
  const result = decodeCheckpoint(bytes);
  assert.ok(isRefusedCheckpoint(result), 'expected a refusal');
  return result.refused;
};

/** Bytes with a right first line around a body, so that only the body can be wrong. */
function seal(body: string, version = 1): Uint8Array {
  const checksum = createHash('sha256').update(body).digest('hex');
  return Buffer.from(`sluice-checkpoint ${version} ${checksum}\n${body}`);
}
const text = Buffer.from(encodeCheckpoint(state, 9)).toString('utf8');
const body = text.slice(text.indexOf('\n') + 1);

describe('a checkpoint', () => {
  it('gives back the state and the position', () => {
    const checkpoint = accepted(encodeCheckpoint(state, 9));
    assert.deepEqual(checkpoint, { state, position: 9 });
    assert.deepEqual(accepted(encodeCheckpoint(initControl(), 0)), { state: initControl(), position: 0 });
  });

  it('has a first line with format, version and checksum, then sorted JSON', () => {
    assert.match(text, /^sluice-checkpoint 1 [0-9a-f]{64}\n\{"caches":\{"caches":\{"demo":\{"by":"ann","changedAt":5,/);
    assert.deepEqual(Buffer.from(seal(body)), Buffer.from(text));
  });

  it('has the same bytes for the same state, in whatever order it came about', () => {
    const joins = ['c', 'a', 'b'].map(
      (node): ControlEvent => ({ type: 'member.joined', node, incarnation: '1', version: '1' }),
    );
    const caches = ['y', 'x'].map((cache): ControlEvent => ({ type: 'cache.declared', cache, settings }));
    const fold = specify(controlReducer);
    const one = fold.given(...joins, ...caches).state;
    const other = fold.given(...joins, ...caches).state;
    for (const map of [other.members.members, other.caches.caches] as Map<string, unknown>[]) {
      const entries = [...map].reverse();
      map.clear();
      for (const [key, value] of entries) map.set(key, Object.fromEntries(Object.entries(value as object).reverse()));
    }
    assert.deepEqual(encodeCheckpoint(one, 5), encodeCheckpoint(other, 5));
  });

  it('has other bytes for another position or another state', () => {
    assert.notDeepEqual(encodeCheckpoint(state, 9), encodeCheckpoint(state, 10));
    assert.notDeepEqual(encodeCheckpoint(state, 9), encodeCheckpoint(initControl(), 9));
  });

  it('is read from a slice of a larger buffer', () => {
    const bytes = encodeCheckpoint(state, 9);
    const larger = Buffer.concat([Buffer.from('before'), bytes, Buffer.from('after')]);
    assert.deepEqual(accepted(new Uint8Array(larger.buffer, larger.byteOffset + 6, bytes.length)).state, state);
  });
});

describe('a replay from a checkpoint', () => {
  it('ends in the same bytes as the whole replay, wherever the checkpoint was taken', () => {
    fc.assert(
      fc.property(fc.array(anyControlMessage, { maxLength: 60 }), fc.nat({ max: 60 }), (messages, cut) => {
        const position = Math.min(cut, messages.length);
        const whole = encodeCheckpoint(replay(messages), messages.length);
        const start = accepted(encodeCheckpoint(replay(messages.slice(0, position)), position));
        const resumed = replay(messages.slice(position), start.position, start.state);
        assert.deepEqual(encodeCheckpoint(resumed, messages.length), whole);
      }),
      { numRuns: 500 },
    );
  });

  it('forgets in the same order as the whole replay, at the limits of memory', () => {
    const messages = Array.from({ length: 2_500 }, (_, index) => {
      const life = `sluice.member.n${index % 700}.i${index}`;
      const isJoin = index % 5 < 3;
      const fields = isJoin ? { version: '1' } : { reason: 'timeout', by: 'x' };
      const joinedBefore = `sluice.member.n${(index - 3) % 700}.i${index - 3}`;
      return { subject: `${isJoin ? `${life}.joined` : `${joinedBefore}.left`}`, data: JSON.stringify(fields) };
    });
    const whole = encodeCheckpoint(replay(messages), messages.length);
    for (const position of [1, 1_200, 1_900, 2_499]) {
      const start = accepted(encodeCheckpoint(replay(messages.slice(0, position)), position));
      const resumed = replay(messages.slice(position), position, start.state);
      assert.deepEqual(encodeCheckpoint(resumed, messages.length), whole);
    }
  });
});

describe('a damaged checkpoint', () => {
  it('is refused when it is cut off anywhere', () => {
    const bytes = encodeCheckpoint(state, 9);
    for (let length = 0; length < bytes.length; length += 1) {
      assert.match(refusal(bytes.subarray(0, length)), /^(format|checksum)/);
    }
  });

  it('is refused when any byte is another one', () => {
    const bytes = Buffer.from(encodeCheckpoint(state, 9));
    for (let index = 0; index < bytes.length; index += 1) {
      const damaged = Buffer.from(bytes);
      damaged[index] = (damaged[index] ?? 0) ^ 0x01;
      assert.match(refusal(damaged), /^(format|version|checksum)/, String(index));
    }
  });

  it('is refused when something follows, when it is of another version, and when it is too large', () => {
    assert.match(refusal(Buffer.from(`${text} `)), /^checksum/);
    for (const version of [0, 2, 999_999_999])
      assert.equal(refusal(seal(body, version)), `version: ${version} is not 1`);
    assert.match(refusal(Buffer.alloc(checkpointBytesMax + 1)), /^bytes: /);
  });

  it('is refused, with a right checksum, unless it is exactly what some state would write', () => {
    const whole: unknown = JSON.parse(body);
    let mutations = 0;
    let refusals = 0;
    for (const mutate of [
      () => undefined,
      () => null,
      (value: unknown) => [value],
      (value: unknown) => (typeof value === 'object' ? 1 : { value }),
      (value: unknown) => (typeof value === 'number' ? -1 - value : -1),
      (value: unknown) => (typeof value === 'number' ? value + 0.5 : 'x y'),
    ]) {
      for (const changed of eachChanged(whole, mutate)) {
        mutations += 1;
        const result = decodeCheckpoint(seal(JSON.stringify(changed)));
        // Without an optional field, or with another text or time, it is the checkpoint of another state.
        if (isRefusedCheckpoint(result)) assert.match(result.refused, /^body: /);
        else assert.deepEqual(encodeCheckpoint(result.state, result.position), seal(JSON.stringify(changed)));
        refusals += isRefusedCheckpoint(result) ? 1 : 0;
      }
    }
    assert.ok(refusals > 300 && refusals > mutations * 0.8, `${refusals} of ${mutations}`);
  });

  it('is refused when it is not exactly what would be written', () => {
    assert.deepEqual(accepted(seal(body)).state, state);
    for (const other of [
      ` ${body}`,
      body.replace('"position":9', '"position": 9'),
      body.replace('{"caches"', '{"a":1,"caches"'),
    ]) {
      assert.equal(refusal(seal(other)), 'body: is not canonical');
    }
    const twice = body.replace(/("members":\[)(\{[^}]*\})/, '$1$2,$2');
    assert.notEqual(twice, body);
    assert.equal(refusal(seal(twice)), 'body: is not canonical');
  });

  it('never throws, for any bytes and any JSON', () => {
    const part = fc.oneof(
      fc.json(),
      fc.jsonValue().map((value) => JSON.stringify({ ...JSON.parse(body), members: value })),
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 300 }),
          part.map((json) => seal(json)),
        ),
        (bytes) => {
          assert.ok(refusal(bytes).length > 0);
        },
      ),
      { numRuns: 1_000 },
    );
  });
});

/** The value with one of its parts changed, for each part at any depth. */
function* eachChanged(value: unknown, mutate: (part: unknown) => unknown): Generator<unknown> {
  if (typeof value !== 'object' || value === null) return;
  for (const [name, part] of Object.entries(value)) {
    const copyWith = (changed: unknown): unknown =>
      Array.isArray(value)
        ? value.map((item, index) => (String(index) === name ? changed : item))
        : { ...value, [name]: changed };
    yield copyWith(mutate(part));
    for (const changed of eachChanged(part, mutate)) yield copyWith(changed);
  }
}
