/** The read path allocates nothing: millions of reads, and the collector of young objects has nothing to do. */
import assert from 'node:assert/strict';
import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';
import { describe, it } from 'node:test';
import { systemClock } from '../../../src/base/clock.ts';
import { createEntryStore } from '../../../src/store/entry-store.ts';
import { putOf } from '../../support/entries.ts';

const keyCount = 1_000;
const reads = 5_000_000;

/** Collections of young objects while `work` runs. */
async function scavengesDuring(work: () => void): Promise<number> {
  let count = 0;
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries() as (PerformanceEntry & { detail?: { kind?: number } })[])
      if (entry.detail?.kind === constants.NODE_PERFORMANCE_GC_MINOR) count += 1;
  });
  observer.observe({ entryTypes: ['gc'] });
  work();
  // The observer is told a little later.
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  observer.disconnect();
  return count;
}

describe('reading', () => {
  const store = createEntryStore(systemClock, { entriesMax: 10 * keyCount, bytesMax: 100_000_000 });
  const keys = Array.from({ length: keyCount }, (_, index) => `key ${index}`);
  for (const [index, key] of keys.entries()) {
    const expiresAtMs = index % 2 === 0 ? Number.POSITIVE_INFINITY : Date.now() + 3_600_000;
    store.put(putOf(key, 'value', { expiresAtMs, tags: ['t'] }), index + 1, 0);
  }
  const asked = [...keys, 'absent', 'absent too'];

  function readAll(count: number): number {
    let found = 0;
    for (let index = 0; index < count; index += 1) {
      const key = asked[index % asked.length] ?? '';
      if (store.read(key) !== undefined) found += 1;
      if (store.peek(key) !== undefined) found += 1;
    }
    return found;
  }

  it('of hits and misses, with and without expiry, leaves no garbage', async () => {
    readAll(200_000);
    const scavenges = await scavengesDuring(() => assert.ok(readAll(reads) > reads));
    // 16 bytes per read would be 80 MB, and at least five collections even with a young space of 16 MB.
    assert.ok(scavenges <= 1, `${scavenges} collections during ${reads} reads`);
  });

  it('would be caught if it did leave some', async () => {
    const kept: { value: unknown }[] = [];
    const scavenges = await scavengesDuring(() => {
      for (let index = 0; index < reads; index += 1)
        kept[index % 100] = { value: store.peek(asked[index % 100] ?? '') };
    });
    assert.ok(scavenges > 1, `${scavenges} collections`);
  });
});
