/**
 * Who is waiting for an answer about a key (from the log's leader, or from a user's source) while events of that key go on
 * arriving. The answer may be older than what has arrived; a fence tells by how much.
 */
import type { Position } from '../events/record.ts';

export interface KeyFence {
  /** The newest event of the key that arrived since the fence was made; 0: none. */
  readonly newest: Position;
  /** To be called when the answer has come, or will not. */
  end(): void;
}

export interface KeyFences {
  create(key: string): KeyFence;
  /** An event of the key has arrived. */
  mark(key: string, position: Position): void;
}

export function createKeyFences(): KeyFences {
  const fences = new Map<string, Set<{ newest: Position }>>();
  return {
    create(key) {
      const state = { newest: 0 };
      const others = fences.get(key) ?? new Set();
      fences.set(key, others.add(state));
      return {
        get newest() {
          return state.newest;
        },
        end() {
          others.delete(state);
          if (others.size === 0 && fences.get(key) === others) fences.delete(key);
        },
      };
    },
    mark(key, position) {
      if (fences.size === 0) return;
      for (const state of fences.get(key) ?? []) state.newest = Math.max(state.newest, position);
    },
  };
}
