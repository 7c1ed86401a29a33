/**
 * What becomes of writes whose server was started anew before it answered: the ids of messages that it no longer has are forgotten, and
 * sending such a write again would store it twice (found by faults on real servers, seed 603).
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Survey } from '../../../src/nats/writing/survey.ts';
import { ack, createPaperScene, type PaperScene, refusal } from '../../support/paper-publisher.ts';

const restarted = { name: 'a', id: 'a-2' };
const other = { name: 'b', id: 'b-1' };

/** The stream has these ids, and lacks nothing above `hole`. */
const surveyOf = (ids: Readonly<Record<string, number>>, hole: number): Survey => ({
  positionOf: (id) => ids[id],
  isWholeAbove: (position) => position >= hole,
});

/** Writes one that is acknowledged at `head`, and one whose server goes away before it answers. */
async function loseOne(head = 7): Promise<{ scene: PaperScene; write: ReturnType<PaperScene['publish']> }> {
  const scene = createPaperScene();
  scene.publish();
  scene.answer(ack(head));
  const write = scene.publish({ id: 'mine' });
  scene.lose();
  await scene.clock.settle();
  assert.equal(scene.sent.length, 2);
  return { scene, write };
}

describe('a write whose server was started anew before it answered', () => {
  it('is sent again when nothing is missing above the place from which it can have been stored', async () => {
    const { scene, write } = await loseOne();
    scene.survey = surveyOf({}, 7);
    await scene.find(restarted);
    assert.deepEqual(scene.surveyed, [7]);
    assert.equal(scene.sent.length, 3);
    assert.match(scene.sent[2]?.header ?? '', /Nats-Msg-Id: mine\r\n/);
    scene.answer(ack(9));
    await scene.clock.settle();
    assert.deepEqual(write.outcome, { position: 9, isDuplicate: false });
  });

  it('is where the log has it, and is not sent again', async () => {
    const { scene, write } = await loseOne();
    scene.survey = surveyOf({ mine: 8 }, 9);
    await scene.find(restarted);
    assert.deepEqual(write.outcome, { position: 8, isDuplicate: true });
    assert.equal(scene.sent.length, 2);
  });

  it('is unknown when something above that place is gone: that may have been it', async () => {
    const { scene, write } = await loseOne();
    scene.survey = surveyOf({}, 8);
    await scene.find(restarted);
    await scene.clock.advance(60_000);
    assert.equal(write.outcome, 'outcome-unknown');
    assert.equal(scene.sent.length, 2);
  });

  it('was no failure of its own once it is known not to be stored: what refuses it then is its end', async () => {
    const { scene, write } = await loseOne();
    scene.survey = surveyOf({}, 0);
    await scene.find(restarted);
    scene.answer(refusal(10_077, 'maximum bytes exceeded', 503));
    await scene.clock.settle();
    assert.equal(write.outcome, 'log-full');
    assert.equal(scene.looks, 0);
  });

  it('waits for the log to be readable, up to its deadline', async () => {
    const { scene, write } = await loseOne();
    await scene.find(restarted);
    await scene.clock.advance(1_000);
    assert.ok(scene.surveyed.length >= 3);
    scene.survey = surveyOf({ mine: 8 }, 0);
    await scene.clock.advance(300);
    assert.deepEqual(write.outcome, { position: 8, isDuplicate: true });
    const late = await loseOne();
    await late.scene.find(restarted);
    await late.scene.clock.advance(11_000);
    assert.equal(late.write.outcome, 'outcome-unknown');
    const { length } = late.scene.surveyed;
    await late.scene.clock.advance(60_000);
    assert.equal(late.scene.surveyed.length, length, 'nobody looks for what has ended');
  });

  it('ends once when its caller gives up while it is looked for', async () => {
    const scene = createPaperScene();
    const controller = new AbortController();
    const write = scene.publish({ signal: controller.signal });
    scene.lose();
    await scene.find(restarted);
    controller.abort();
    await scene.clock.settle();
    assert.equal(write.outcome, 'outcome-unknown');
    scene.survey = surveyOf({}, 0);
    await scene.clock.advance(1_000);
    assert.equal(scene.sent.length, 1);
    assert.deepEqual([scene.publisher.inFlight, scene.publisher.waiting, scene.publisher.bytesInFlight], [0, 0, 0]);
  });

  it('is one of many: each is looked for once, and sent once', async () => {
    const scene = createPaperScene();
    scene.target.head = 3;
    const writes = ['a', 'b', 'c', 'd'].map((id) => scene.publish({ id }));
    scene.lose();
    // Not sent before, so there is nothing to look for.
    const fresh = scene.publish({ id: 'e' });
    scene.survey = surveyOf({ a: 4, b: 5 }, 3);
    await scene.find(restarted);
    assert.deepEqual(scene.surveyed, [3]);
    assert.equal(scene.sent.length, 7);
    for (let attempt = 5; attempt <= 7; attempt += 1) scene.answer(ack(attempt + 1), attempt);
    await scene.clock.settle();
    const outcomes = [...writes, fresh].map(({ outcome }) => outcome);
    assert.deepEqual(
      outcomes.map((outcome) => (typeof outcome === 'object' ? outcome.isDuplicate : outcome)),
      [true, true, false, false, false],
    );
    assert.deepEqual([scene.publisher.inFlight, scene.publisher.waiting], [0, 0]);
  });

  it('can only have been stored above the last write that was acknowledged before it was sent first', async () => {
    const { scene } = await loseOne(7);
    await scene.find();
    // The same server: its memory of ids is enough, and the answer to another write changes nothing for this one.
    assert.deepEqual(scene.surveyed, []);
    scene.publish();
    scene.answer(ack(20), 4);
    scene.lose();
    scene.survey = surveyOf({}, 0);
    await scene.find(restarted);
    assert.deepEqual(scene.surveyed, [7]);
  });
});

describe('a write whose connection was lost', () => {
  it('is sent again at once when the server is the same, for that remembers its id', async () => {
    const { scene } = await loseOne();
    await scene.find();
    assert.deepEqual([scene.sent.length, scene.surveyed.length], [3, 0]);
  });

  it('is looked for when another server is connected, unless its stream is on several', async () => {
    const single = await loseOne();
    single.scene.survey = surveyOf({}, 0);
    await single.scene.find(other);
    assert.equal(single.scene.surveyed.length, 1);
    const scene = createPaperScene();
    scene.target.isReplicated = true;
    scene.publish();
    scene.lose();
    await scene.find(other);
    assert.deepEqual([scene.sent.length, scene.surveyed.length], [2, 0]);
    scene.lose();
    scene.survey = surveyOf({}, 0);
    await scene.find(restarted);
    assert.equal(scene.surveyed.length, 1, 'the first server is back, and remembers less');
  });

  it('is sent again at once to a stream that lets go of no message, and so forgets no id', async () => {
    const scene = createPaperScene();
    scene.target.forgetsIds = false;
    scene.publish();
    scene.lose();
    await scene.find(restarted);
    assert.deepEqual([scene.sent.length, scene.surveyed.length], [2, 0]);
  });
});
