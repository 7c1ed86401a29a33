/**
 * Whoever invalidates a tag wants to remove from the log what became void by it. The entries are found when the invalidation
 * is applied, and that is either on its acknowledgement or, when the follower is faster, before it.
 */
import type { Entry } from '../store/entry-store.ts';

export interface TagCollector {
  /** The entries gathered so far. */
  readonly entries: readonly Entry[];
  end(): void;
}

export interface TagCollectors {
  create(tag: string): TagCollector;
  add(tag: string, invalid: readonly Entry[]): void;
}

export function createTagCollectors(): TagCollectors {
  const collectors = new Set<{ readonly tag: string; readonly entries: Entry[] }>();
  return {
    create(tag) {
      const collector = { tag, entries: [] };
      collectors.add(collector);
      return { entries: collector.entries, end: () => void collectors.delete(collector) };
    },
    add(tag, invalid) {
      if (invalid.length === 0) return;
      for (const collector of collectors) {
        if (collector.tag !== tag) continue;
        for (const entry of invalid) collector.entries.push(entry);
      }
    },
  };
}
