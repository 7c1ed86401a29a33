/**
 * Memory: what an entry takes beside its key and value, against what it is counted for, so that `bytesMax` bounds what a
 * process really takes; and what ten million overwrites of the same keys leave behind. Each figure in a new process.
 */
import { compare } from '../rounds.ts';
import type { Result, Row } from '../row.ts';
import { type Figures, withSides } from '../side.ts';
import { formatNumber } from '../table.ts';
import type { MemorySetup } from './store.ts';

interface Case {
  readonly entries: number;
  readonly valueBytes: number;
  /** Of few entries the engine alone can tell: what the system has given moves in steps larger than they are. */
  readonly figure: 'resident' | 'heap';
}

const cases: readonly Case[] = [
  { entries: 100_000, valueBytes: 128, figure: 'heap' },
  { entries: 100_000, valueBytes: 8_192, figure: 'heap' },
  { entries: 1_000_000, valueBytes: 16, figure: 'resident' },
  { entries: 1_000_000, valueBytes: 128, figure: 'resident' },
  { entries: 1_000_000, valueBytes: 512, figure: 'resident' },
  { entries: 1_000_000, valueBytes: 1_024, figure: 'resident' },
];

export const memoryRow: Row = {
  name: 'memory',
  async measure(bench) {
    const results: Result[] = [];
    for (const { entries, valueBytes, figure } of cases.slice(0, bench.size(cases.length, 1))) {
      const figures = await measureOnce({ entries: bench.size(entries, 1_000), valueBytes, overwrites: 0 });
      const { [figure]: taken = Number.NaN, counted = Number.NaN } = figures;
      results.push({
        what: `memory beside key and value, ${formatNumber(entries)} entries of ${valueBytes} B (${figure})`,
        unit: 'B/entry',
        baselineName: 'counted',
        target: { atMost: 1 },
        ...compare([taken], [counted]),
      });
    }
    const overwrites = bench.size(10_000_000, 2_000);
    const flat = await measureOnce({ entries: bench.size(100_000, 1_000), valueBytes: 128, overwrites });
    const { first = Number.NaN, last = Number.NaN } = flat;
    results.push({
      what: `memory of the process after ${formatNumber(overwrites)} overwrites of 100k keys`,
      unit: 'MB',
      baselineName: 'in the first three tenths',
      target: { atMost: 1.1 },
      ...compare([last / 1e6], [first / 1e6]),
    });
    return results;
  },
};

function measureOnce(setup: MemorySetup): Promise<Figures> {
  return withSides(['memory/store'], setup, async ([side]) => (await side?.round()) ?? {}, ['--expose-gc']);
}
