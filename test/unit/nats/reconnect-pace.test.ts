/** How long the driver waits between two attempts, whatever the wall clock does. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createReconnectPace } from '../../../src/nats/reconnect-pace.ts';
import { createFakeClock } from '../../../src/testing/fake-clock.ts';
import { createSeededRandom } from '../../../src/testing/seeded-random.ts';

const hour = 3_600_000;

function begin() {
  const clock = createFakeClock();
  const pace = createReconnectPace({ clock, random: createSeededRandom(1), waitMs: 100, jitterMs: 50 });
  const dial = (...names: string[]): unknown =>
    pace.reconnectToServer(names.map((listen) => ({ listen })) as never, null as never);
  return { clock, dial, wait: () => pace.reconnectDelayHandler() };
}

const isUsual = (waitMs: number): boolean => waitMs >= 100 && waitMs <= 150;

describe('the pace of dialling', () => {
  it('is the least time and some by chance, and the choice of a server is the driver’s', () => {
    const { dial, wait } = begin();
    assert.ok(isUsual(wait()));
    assert.equal(dial('a', 'b'), null);
    assert.ok(isUsual(wait()));
  });

  it('takes off what the wall clock went back since, until each server was dialled again', () => {
    const { clock, dial, wait } = begin();
    dial('a', 'b');
    dial('b', 'a');
    clock.jump(-hour);
    assert.ok(isUsual(wait() + hour));
    dial('a', 'b');
    assert.ok(isUsual(wait() + hour), 'b was dialled before');
    dial('b', 'a');
    assert.ok(isUsual(wait()));
  });

  it('forgets servers that are no longer there, and a clock that goes ahead', () => {
    const { clock, dial, wait } = begin();
    dial('old');
    clock.jump(-hour);
    dial('new');
    assert.ok(isUsual(wait()));
    clock.jump(hour);
    assert.ok(isUsual(wait()));
  });
});
