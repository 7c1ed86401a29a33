/** One Ctrl-C may be told twice; only a later signal means that somebody will not wait. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { onStopSignal } from '../../../src/cli/terminal/stop-signals.ts';
import { createFakeClock } from '../../../src/testing/fake-clock.ts';

describe('the signals that end a program', () => {
  it('count once when they come together, and again after a second', async () => {
    const clock = createFakeClock();
    const told: string[] = [];
    const before = new Map((['SIGINT', 'SIGTERM', 'SIGHUP'] as const).map((name) => [name, process.listeners(name)]));
    onStopSignal(
      clock,
      (signal) => told.push(signal),
      () => told.push('again'),
    );
    process.emit('SIGINT');
    process.emit('SIGINT');
    await clock.advance(900);
    process.emit('SIGTERM');
    assert.deepEqual(told, ['SIGINT']);
    await clock.advance(200);
    process.emit('SIGINT');
    assert.deepEqual(told, ['SIGINT', 'again']);
    for (const [name, listeners] of before) {
      for (const listener of process.listeners(name)) if (!listeners.includes(listener)) process.off(name, listener);
    }
  });
});
