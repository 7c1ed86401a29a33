/** Processes that die and stand still under load; and a proof that a loss would be seen. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { testFaults } from './kept.ts';

describe('three nodes and two clients on one server, whose processes die,', () => {
  const stage = testFaults({
    seed: 1,
    replicas: 1,
    faults: ['node-killed', 'client-killed', 'server-killed', 'everything-restarted'],
  });

  it('would be found out, were something lost', async () => {
    const findings = await stage().destroy('full');
    const checks = new Set(findings.map(({ check }) => check));
    assert.ok(checks.has('no-lost-write'), [...checks].join());
    assert.ok(findings.every(({ cache }) => cache === 'full'));
  });
});
