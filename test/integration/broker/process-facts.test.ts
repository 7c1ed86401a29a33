/** Who a process is: both ways to ask must agree on what matters. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { describe, it } from 'node:test';
import { readProcess, readProcessFromPs } from '../../../src/broker/process/process-facts.ts';
import { waitUntil } from '../../support/wait-until.ts';

describe('the facts of a process', () => {
  for (const [name, read] of [
    ['the system’s own way', readProcess],
    ['ps', readProcessFromPs],
  ] as const) {
    it(`tell one from another and from a dead one, by ${name}`, async () => {
      const child = spawn('sleep', ['61.5'], { stdio: 'ignore' });
      const { pid = 0 } = child;
      try {
        const facts = await waitUntil('the program', () => {
          const found = read(pid);
          return found?.commandLine === 'sleep 61.5' ? found : undefined;
        });
        assert.deepEqual(read(pid), facts);
        assert.notEqual(facts.identity, '');
        assert.ok(read(process.pid)?.commandLine.includes('node'));
      } finally {
        child.kill('SIGKILL');
      }
      await waitUntil('its end', () => read(pid) === undefined);
    });
  }

  it('do not exist for a number that no process has', () => {
    assert.equal(readProcess(2 ** 22 + 1), undefined);
    assert.equal(readProcessFromPs(2 ** 22 + 1), undefined);
  });
});
