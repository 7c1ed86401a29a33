import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createAttempts } from './harness/readable-spans.ts';

describe('the time in which a log could be read', () => {
  it('begins with the first consumer that could be made, and has no end yet', () => {
    const attempts = createAttempts();
    attempts.note(false, 0, 2_000);
    assert.equal(attempts.firstAt, undefined);
    assert.equal(attempts.longestMs(0, 5_000), 0);
    attempts.note(true, 2_010, 2_020);
    attempts.note(true, 2_520, 2_530);
    assert.equal(attempts.firstAt, 2_020);
    assert.equal(attempts.longestMs(0, 5_000), 2_980);
    assert.equal(attempts.longestMs(3_000, 5_000), 2_000);
    assert.equal(attempts.longestMs(0, 1_000), 0, 'who had it before had it by other means');
  });

  it('is interrupted by each attempt that fails, from its beginning on', () => {
    const attempts = createAttempts();
    attempts.note(true, 0, 100);
    attempts.note(false, 1_000, 3_000);
    attempts.note(false, 3_010, 5_010);
    attempts.note(true, 5_020, 5_100);
    assert.equal(attempts.firstAt, 100);
    assert.equal(attempts.longestMs(0, 5_000), 900);
    assert.equal(attempts.longestMs(0, 5_500), 900);
    assert.equal(attempts.longestMs(0, 8_100), 3_000);
    assert.equal(attempts.longestMs(500, 4_000), 500);
  });
});
