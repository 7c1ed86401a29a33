/** What the tests of faults have in common: one test for each fault, and a last one that judges all of them. */
import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { describeFindings, formatHistory } from '../../../src/testing/index.ts';
import { faultCaches } from './harness/caches.ts';
import { openStage, type Stage } from './harness/stage.ts';
import { faultCalled } from './inject/catalogue.ts';

export interface FaultsUnderTest {
  readonly seed: number;
  readonly replicas: 1 | 3;
  readonly faults: readonly string[];
}

const holdMs = 1_000;

// Whatever ends this process, its children and disks end with it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));

/** To be called in a `describe`. Returns the stage, once the tests run. */
export function testFaults({ seed, replicas, faults }: FaultsUnderTest): () => Stage {
  let stage: Stage;
  before(async () => {
    stage = await openStage({ seed, replicas, nodes: 3, clients: 2 });
  });
  after(() => stage.stop());

  for (const name of faults)
    it(`go on after ${name}`, async (context) => {
      const fault = faultCalled(name);
      const why = stage.missing(fault);
      if (why !== undefined) {
        context.diagnostic(`${name} is left out: ${why}`);
        return;
      }
      const writes = stage.histories.counts.acknowledgedWrites;
      const { differences } = await stage.play([fault], holdMs);
      assert.deepEqual(differences, []);
      assert.ok(stage.histories.counts.acknowledgedWrites > writes, 'no write was acknowledged');
    });

  it('have lost nothing, read nothing stale and agree in the end', async () => {
    const { findings, told } = await stage.judge();
    const { counts } = stage.histories;
    assert.ok(counts.acknowledgedWrites > 100 && counts.answeredReads > 100 && told > 100, JSON.stringify(counts));
    if (findings.length === 0) return;
    const folder = mkdtempSync(join(tmpdir(), 'sluice-faults-'));
    for (const { name } of faultCaches)
      writeFileSync(join(folder, `${name}.jsonl`), formatHistory(stage.history(name)));
    assert.fail(`${describeFindings(findings)}\nhistories: ${folder}`);
  });
  return () => stage;
}
