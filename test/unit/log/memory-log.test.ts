/** What the log in memory does in time, and the faults that it plays. The rest is in the contract of the log. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isSluiceError } from '../../../src/errors.ts';
import { createMemoryLog } from '../../../src/log/memory-log.ts';
import { createFakeClock } from '../../../src/testing/fake-clock.ts';

describe('the log in memory', () => {
  it('remembers ids for its duplicate window, and no longer', async () => {
    const clock = createFakeClock();
    const log = createMemoryLog({ name: 'log', clock, duplicateWindowMs: 1_000 });
    const write = { subject: 'a', fields: '', data: new Uint8Array(0) };
    await log.append(write, { id: 'x' });
    await clock.advance(1_000);
    assert.deepEqual(await log.append(write, { id: 'x' }), { position: 1, isDuplicate: true });
    await clock.advance(1);
    assert.deepEqual(await log.append(write, { id: 'x' }), { position: 2, isDuplicate: false });
  });

  it('beats regularly, and states how far it is', async () => {
    const clock = createFakeClock();
    const log = createMemoryLog({ name: 'log', clock, heartbeatMs: 100 });
    const idles: [provenAtMs: number, through: number][] = [];
    const events = { record: () => undefined, alive: () => undefined, ended: () => undefined };
    const reader = await log.open(1, {
      ...events,
      idle: (provenAtMs, through) => void idles.push([provenAtMs, through]),
    });
    await clock.settle();
    await log.append({ subject: 'a', fields: '', data: new Uint8Array(0) });
    const startMs = clock.monotonic();
    await clock.advance(250);
    assert.deepEqual(idles, [
      [startMs, 0],
      [startMs, 1],
      [startMs + 100, 1],
      [startMs + 200, 1],
    ]);
    log.freeze();
    await log.append({ subject: 'b', fields: '', data: new Uint8Array(0) });
    await clock.advance(50);
    assert.deepEqual(idles.at(-1), [Number.NEGATIVE_INFINITY, 1], 'frozen: it beats, and proves nothing');
    log.silence();
    const { length } = idles;
    await clock.advance(1_000);
    assert.equal(idles.length, length);
    await reader.close();
    assert.equal(clock.timers, 0);
  });

  it('fails every call while it is not available', async () => {
    const log = createMemoryLog({ name: 'log', clock: createFakeClock() });
    log.isAvailable = false;
    const events = { record: () => undefined, idle: () => undefined, alive: () => undefined, ended: () => undefined };
    for (const call of [log.bounds(), log.latest('a'), log.purge(), log.open(1, events)]) {
      await assert.rejects(call, (error) => isSluiceError(error, 'log-unavailable'));
    }
    assert.equal(log.openReaders, 0);
  });
});
