/**
 * Who is waiting for an answer about a key (from the log's leader, or from a user's source) while events of that key go on
 * arriving. The answer may be older than what has arrived; a fence tells by how much.
 */
import type { Position } from '../events/record.ts';

export interface KeyFence {
  /** The newest event of the key that arrived since the fence was made; 0: none. */
  readonly newest: Position;
  /** The oldest one above the position that the fence was made with; Infinity: none. */
  readonly oldest: Position;
  /** To be called when the answer has come, or will not. */
  end(): void;
}

export interface KeyFences {
  create(key: string, above?: Position): KeyFence;
  /** An event of the key has arrived. */
  mark(key: string, position: Position): void;
}

interface Marks {
  readonly above: Position;
  newest: Position;
  oldest: Position;
}

export function createKeyFences(): KeyFences {
  const fences = new Map<string, Set<Marks>>();
  return {
    create(key, above = 0) {
      const state: Marks = { above, newest: 0, oldest: Number.POSITIVE_INFINITY };
      const others = fences.get(key) ?? new Set();
      fences.set(key, others.add(state));
      return {
        get newest() {
          return state.newest;
        },
        get oldest() {
          return state.oldest;
        },
        end() {
          others.delete(state);
          if (others.size === 0 && fences.get(key) === others) fences.delete(key);
        },
      };
    },
    mark(key, position) {
      if (fences.size === 0) return;
      for (const state of fences.get(key) ?? []) {
        state.newest = Math.max(state.newest, position);
        if (position > state.above) state.oldest = Math.min(state.oldest, position);
      }
    },
  };
}
