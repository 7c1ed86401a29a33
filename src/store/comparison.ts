/** Comparing what a store holds with the positions at which its log still has messages. */
import { type Clock, pause } from '../base/clock.ts';
import type { EntryStore } from './entry-store.ts';

export interface Comparison {
  /** The log has a message there; to be called in order of position. */
  met(position: number): void;
  /**
   * The log has nothing else up to `through`: drops what is held from there, and local values that were loaded before; resolves
   * with how many entries of the log that were.
   */
  end(through: number): Promise<number>;
}

/** Entries that are looked at in one go; a million at once would hold up everything else for half a second. */
const entriesAtOnce = 10_000;

export function compareWithLog(store: EntryStore, clock: Clock, onDropped: () => void): Comparison {
  const positions: number[] = [];

  function has(position: number): boolean {
    let low = 0;
    let high = positions.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((positions[middle] ?? 0) < position) low = middle + 1;
      else high = middle;
    }
    return positions[low] === position;
  }

  return {
    met(position) {
      positions.push(position);
    },
    async end(through) {
      let seen = 0;
      let dropped = 0;
      for (const { key, revision, isLocal } of store.entries()) {
        // Of a local value the log knows nothing: what overtook it may have left no trace.
        if (isLocal && revision < through) store.remove(key, through);
        else if (!isLocal && revision <= through && !has(revision) && store.remove(key, revision)) dropped += 1;
        seen += 1;
        if (seen % entriesAtOnce === 0) await pause(clock, 0);
      }
      if (dropped > 0) onDropped();
      return dropped;
    },
  };
}
