/**
 * The publisher on a fake clock and a connection of paper, where a test decides about every answer: retries, deadlines and
 * outcomes to the millisecond. What real servers and networks do is in `integration/publisher`.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { defaultPublisherLimits } from '../../../src/nats/publisher.ts';
import { ack, createPaperScene as begin, type PaperScene, refusal } from '../../support/paper-publisher.ts';

const { attemptMs, deadlineMs } = defaultPublisherLimits;

/** Lets the last attempt time out on a connection that is alive, so that it is repeated. */
async function timeOut(scene: PaperScene): Promise<void> {
  const { length } = scene.sent;
  await scene.clock.advance(attemptMs);
  await scene.pong();
  await scene.clock.advance(200);
  assert.equal(scene.sent.length, length + 1);
}

describe('the publisher in time', () => {
  it('repeats an attempt without answer under the same id, once the connection has shown that it lives', async () => {
    const scene = begin();
    const write = scene.publish();
    await scene.clock.advance(attemptMs * 2);
    assert.equal(scene.sent.length, 1, 'no answer to the ping either: nothing is repeated');
    await scene.pong();
    await scene.clock.advance(200);
    assert.equal(scene.sent.length, 2);
    const [first, second] = scene.sent;
    assert.equal(first?.header, second?.header);
    assert.match(first?.header ?? '', /Nats-Msg-Id: [0-9a-f]{16}\.1\r\n/);
    assert.notEqual(first?.reply, second?.reply);
    scene.answer(ack(7), 1);
    await scene.clock.settle();
    assert.equal(write.outcome, undefined, 'an answer to an attempt that was given up is not counted');
    scene.answer(ack(7, true));
    await scene.clock.settle();
    assert.deepEqual(write.outcome, { position: 7, isDuplicate: true });
    assert.deepEqual(scene.publisher.counters, { acknowledged: 1, retried: 1, unknown: 0, failed: 0 });
  });

  it('takes the answer to a later write for a sign of life, too', async () => {
    const scene = begin();
    scene.publish();
    await scene.clock.advance(10);
    scene.publish();
    scene.answer(ack(2), 2);
    await scene.clock.advance(attemptMs + 100);
    assert.equal(scene.sent.length, 3);
  });

  it('ends at the deadline: unknown when an attempt went unanswered, unavailable when all were turned away', async () => {
    const silent = begin();
    const unknown = silent.publish();
    await silent.clock.advance(deadlineMs + 100);
    assert.equal(unknown.outcome, 'outcome-unknown');
    const refusing = begin();
    const unavailable = refusing.publish();
    for (let each = 0; each < 100 && unavailable.outcome === undefined; each += 1) {
      refusing.answer(refusal(10_008, 'temporarily unavailable', 503));
      await refusing.clock.advance(200);
    }
    assert.equal(unavailable.outcome, 'log-unavailable');
    assert.ok(refusing.sent.length > 20);
  });

  it('never repeats a write whose id the stream may have forgotten', async () => {
    const scene = begin(5_000);
    const write = scene.publish({ deadlineMs: 60_000 });
    for (let each = 0; each < 20; each += 1) {
      await scene.clock.advance(500);
      await scene.pong();
    }
    assert.equal(write.outcome, 'outcome-unknown');
    const { length } = scene.sent;
    assert.ok(length >= 2 && length <= 3);
    await scene.clock.advance(30_000);
    assert.equal(scene.sent.length, length);
  });

  it('keeps trying beyond the duplicate window when nothing can have been stored', async () => {
    const scene = begin(1_000);
    const write = scene.publish({ deadlineMs: 20_000 });
    for (let each = 0; each < 50; each += 1) {
      scene.answer(refusal(10_008, 'temporarily unavailable', 503));
      await scene.clock.advance(200);
    }
    assert.equal(write.outcome, undefined);
    scene.answer(ack(1));
    await scene.clock.settle();
    assert.deepEqual(write.outcome, { position: 1, isDuplicate: false });
  });

  it('reports a conflict at once, and looks into the log when the write itself may be its cause', async () => {
    const fresh = begin();
    const lost = fresh.publish({ expected: 3 });
    fresh.answer(refusal(10_071, 'wrong last sequence: 5'));
    await fresh.clock.settle();
    assert.deepEqual([lost.outcome, fresh.looks], ['position-conflict', 0]);
    for (const [stored, expected] of [
      [9, { position: 9, isDuplicate: true }],
      [undefined, 'outcome-unknown'],
    ] as const) {
      const scene = begin();
      scene.stored = stored;
      const write = scene.publish({ expected: 3 });
      await timeOut(scene);
      scene.answer(refusal(10_071, 'wrong last sequence: 9'));
      await scene.clock.settle();
      assert.deepEqual([write.outcome, scene.looks], [expected, 1]);
    }
    const named = begin();
    const again = named.publish({ expected: 3, id: 'mine' });
    named.answer(refusal(10_071, 'wrong last sequence: 9'));
    await named.clock.settle();
    assert.deepEqual(
      [again.outcome, named.looks],
      ['position-conflict', 1],
      'a named write may be a repetition, and was none',
    );
  });

  it('does not call a write failed that an earlier attempt may have stored', async () => {
    for (const [stored, expected] of [
      [9, { position: 9, isDuplicate: true }],
      [undefined, 'outcome-unknown'],
    ] as const) {
      const scene = begin();
      scene.stored = stored;
      const write = scene.publish();
      await timeOut(scene);
      scene.answer(refusal(10_077, 'maximum bytes exceeded', 503));
      await scene.clock.settle();
      assert.deepEqual(write.outcome, expected);
    }
    const scene = begin();
    const write = scene.publish();
    scene.answer(refusal(10_077, 'maximum bytes exceeded', 503));
    await scene.clock.settle();
    assert.equal(write.outcome, 'log-full');
  });

  it('waits for its own earlier attempt when that is what is in flight', async () => {
    const scene = begin();
    const write = scene.publish({ expected: 3 });
    await timeOut(scene);
    scene.answer(refusal(10_164, 'wrong last sequence'));
    await scene.clock.advance(200);
    assert.equal(write.outcome, undefined);
    scene.answer(ack(4, true));
    await scene.clock.settle();
    assert.deepEqual(write.outcome, { position: 4, isDuplicate: true });
    const other = scene.publish({ expected: 4 });
    scene.answer(refusal(10_164, 'wrong last sequence'));
    await scene.clock.settle();
    assert.equal(other.outcome, 'position-conflict');
  });

  it('settles once when the caller gives up while it looks into the log', async () => {
    const scene = begin();
    const controller = new AbortController();
    const write = scene.publish({ expected: 3, signal: controller.signal });
    await timeOut(scene);
    scene.answer(refusal(10_071, 'wrong last sequence: 9'));
    controller.abort();
    await scene.clock.settle();
    assert.equal(write.outcome, 'outcome-unknown');
    assert.deepEqual([scene.publisher.inFlight, scene.publisher.waiting, scene.publisher.bytesInFlight], [0, 0, 0]);
  });

  it('survives a listener that fails, and says so where defects are told', async () => {
    const scene = begin();
    const write = scene.publish();
    const told = new Promise((resolve) => process.once('uncaughtException', resolve));
    const others = process.listeners('uncaughtException').slice(0, -1);
    for (const other of others) process.removeListener('uncaughtException', other);
    scene.publisher.onAcknowledged = () => {
      throw new Error('a defect elsewhere');
    };
    scene.answer(ack(1));
    const failure = await told;
    for (const other of others) process.on('uncaughtException', other);
    assert.match(`${failure}`, /a defect elsewhere/);
    assert.deepEqual(write.outcome, { position: 1, isDuplicate: false });
  });
});
