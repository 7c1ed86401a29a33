/**
 * Memory: what an entry takes beside its key and value, against what it is counted for, so that `bytesMax` bounds what a
 * process really takes; and what ten million overwrites of the same keys leave behind. Each figure in a new process.
 */
import { compare } from '../rounds.ts';
import type { Result, Row } from '../row.ts';
import { type Figures, withSides } from '../side.ts';
import { formatNumber } from '../table.ts';
import type { MemorySetup } from './store.ts';

const cases: readonly (readonly [entries: number, valueBytes: number])[] = [
  [100_000, 128],
  [100_000, 8_192],
  [1_000_000, 16],
  [1_000_000, 128],
  [1_000_000, 512],
  [1_000_000, 1_024],
];

export const memoryRow: Row = {
  name: 'memory',
  async measure(bench) {
    const results: Result[] = [];
    for (const [entries, valueBytes] of cases.slice(0, bench.size(cases.length, 1))) {
      const figures = await measureOnce({ entries: bench.size(entries, 1_000), valueBytes, overwrites: 0 });
      const { resident = Number.NaN, heap = Number.NaN, counted = Number.NaN } = figures;
      const what = `memory beside key and value, ${formatNumber(entries)} entries of ${valueBytes} B`;
      const line = { unit: 'B/entry', baselineName: 'counted', target: { atMost: 1 } };
      results.push({ ...line, what: `${what}, resident`, ...compare([resident], [counted]) });
      results.push({ ...line, what: `${what}, heap`, ...compare([heap], [counted]), target: undefined });
    }
    const overwrites = bench.size(10_000_000, 2_000);
    const flat = await measureOnce({ entries: bench.size(100_000, 1_000), valueBytes: 128, overwrites });
    const { largest = Number.NaN, firstTenth = Number.NaN } = flat;
    results.push({
      what: `memory of the process during ${formatNumber(overwrites)} overwrites of 100k keys`,
      unit: 'MB',
      baselineName: 'after the first tenth',
      target: { atMost: 1.1 },
      ...compare([largest / 1e6], [firstTenth / 1e6]),
    });
    return results;
  },
};

function measureOnce(setup: MemorySetup): Promise<Figures> {
  return withSides(['memory/store'], setup, async ([side]) => (await side?.round()) ?? {}, ['--expose-gc']);
}
