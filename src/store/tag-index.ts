/** Which entries carry a tag. */
import type { HeldEntry } from './entry.ts';

export interface TagIndex {
  add(entry: HeldEntry): void;
  remove(entry: HeldEntry): void;
  /** A copy. */
  carriers(tag: string): HeldEntry[];
  clear(): void;
}

export function createTagIndex(): TagIndex {
  const byTag = new Map<string, Set<HeldEntry>>();
  return {
    add(entry) {
      for (const tag of entry.tags ?? []) {
        const tagged = byTag.get(tag);
        if (tagged === undefined) byTag.set(tag, new Set([entry]));
        else tagged.add(entry);
      }
    },
    remove(entry) {
      for (const tag of entry.tags ?? []) {
        const tagged = byTag.get(tag);
        tagged?.delete(entry);
        if (tagged?.size === 0) byTag.delete(tag);
      }
    },
    carriers: (tag) => [...(byTag.get(tag) ?? [])],
    clear: () => byTag.clear(),
  };
}
