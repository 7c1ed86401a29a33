/** The control plane's copy: a fold that is kept up to date, begins anew with its log, and tells who listens. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { encodeControlEvent, type WritableControlEvent } from '../../../src/events/control.ts';
import { createMemoryLog, type MemoryLog } from '../../../src/log/memory-log.ts';
import { type ControlView, createControlView } from '../../../src/replay/control-view.ts';
import { createFakeClock, type FakeClock } from '../../../src/testing/fake-clock.ts';
import { createSeededRandom } from '../../../src/testing/seeded-random.ts';

const cluster = 'sluice';
let clock: FakeClock;
let log: MemoryLog;
let view: ControlView;

beforeEach(async () => {
  clock = createFakeClock();
  log = createMemoryLog({ name: 'SLUICE', clock, messagesPerSubject: Number.POSITIVE_INFINITY });
  view = createControlView({ cluster, log, clock, random: createSeededRandom(1) });
  await view.start();
  await clock.settle();
});
afterEach(() => view.stop());

const joined = (node: string): WritableControlEvent => ({
  type: 'member.joined',
  node,
  incarnation: 'i1',
  version: '1.0.0',
  pid: 1,
});
const append = (event: WritableControlEvent): Promise<unknown> => log.append(encodeControlEvent(cluster, event));
const nodes = (): string[] => [...view.state.members.members.keys()];

describe('the control view', () => {
  it('folds each event once, in order, and tells it after the state has changed', async () => {
    const told: string[] = [];
    view.listen((recorded) => told.push(`${recorded?.position} ${recorded?.event.type} ${nodes().join()}`));
    await append(joined('node-1'));
    await append(joined('node-2'));
    await clock.settle();
    log.disconnect();
    await clock.advance(3_000);
    assert.deepEqual(told, ['1 member.joined node-1', '2 member.joined node-1,node-2']);
    assert.equal(view.follower.applied, 2);
  });

  it('counts what it cannot read and goes on', async () => {
    await log.append({ subject: `${cluster}.member.node-1.i1.joined`, fields: '', data: Buffer.from('{') });
    await log.append({ subject: `${cluster}.member.dance`, fields: '', data: Buffer.from('{}') });
    await append(joined('node-2'));
    await clock.settle();
    assert.deepEqual(nodes(), ['node-2']);
    assert.equal(view.state.unreadable.count, 1);
    assert.equal(view.state.unknown.count, 1);
    assert.equal(view.follower.counters.applyFailures, 0);
  });

  it('begins anew with its log, and says so by telling nothing', async () => {
    await append(joined('node-1'));
    await clock.settle();
    const told: (string | undefined)[] = [];
    view.listen((recorded) => told.push(recorded?.event.type));
    log.recreate();
    await append(joined('node-9'));
    await clock.advance(3_000);
    assert.deepEqual(nodes(), ['node-9']);
    assert.deepEqual(told, [undefined, 'member.joined']);
  });

  it('tells all who listen, also when one of them throws', async () => {
    const told: string[] = [];
    view.listen(() => {
      throw new Error('a defect of its owner');
    });
    view.listen((recorded) => told.push(recorded?.event.type ?? ''));
    await append(joined('node-1'));
    await clock.settle();
    assert.deepEqual(told, ['member.joined']);
    assert.deepEqual(nodes(), ['node-1']);
    assert.equal(view.follower.counters.applyFailures, 1);
  });

  it('tells nobody after it was stopped', async () => {
    let count = 0;
    view.listen(() => {
      count += 1;
    });
    await view.stop();
    await append(joined('node-1'));
    await clock.advance(3_000);
    assert.equal(count, 0);
    assert.equal(log.openReaders, 0);
  });
});
