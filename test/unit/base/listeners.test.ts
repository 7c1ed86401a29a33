/** Listeners: all hear what happens while they want to, whatever the others do. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createListeners } from '../../../src/base/listeners.ts';

describe('listeners', () => {
  it('hear each event in the order in which they came, until they stop', () => {
    const listeners = createListeners<number>();
    const heard: string[] = [];
    assert.ok(listeners.isEmpty());
    const stop = listeners.add((event) => heard.push(`a${event}`));
    listeners.add((event) => heard.push(`b${event}`));
    listeners.tell(1);
    stop();
    stop();
    listeners.tell(2);
    assert.deepEqual(heard, ['a1', 'b1', 'b2']);
    listeners.clear();
    listeners.tell(3);
    assert.deepEqual([heard.length, listeners.isEmpty()], [3, true]);
  });

  it('are told although others throw, and the first error is thrown', () => {
    const listeners = createListeners<void>();
    let heard = 0;
    for (const message of ['first', 'second'])
      listeners.add(() => {
        throw new Error(message);
      });
    listeners.add(() => {
      heard += 1;
    });
    assert.throws(() => listeners.tell(), /first/);
    assert.equal(heard, 1);
  });

  it('hear nothing of an event once they have stopped while it was told, and of the next one when they came meanwhile', () => {
    const listeners = createListeners<number>();
    const heard: string[] = [];
    let stopLast: () => void = () => undefined;
    listeners.add((event) => {
      heard.push(`a${event}`);
      if (event !== 1) return;
      stopLast();
      listeners.add((later) => heard.push(`new${later}`));
    });
    stopLast = listeners.add((event) => heard.push(`last${event}`));
    listeners.tell(1);
    listeners.tell(2);
    assert.deepEqual(heard, ['a1', 'a2', 'new2']);
  });

  it('are as many as were added, also of one function', () => {
    const listeners = createListeners<void>();
    let heard = 0;
    const count = (): void => {
      heard += 1;
    };
    listeners.add(count);
    const stop = listeners.add(count);
    listeners.tell();
    stop();
    listeners.tell();
    assert.equal(heard, 3);
  });
});
