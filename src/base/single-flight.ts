/**
 * Collapses concurrent calls for the same key into one. After groupcache's `singleflight`: the first caller works,
 * all others that arrive before it ends share its result or its failure; nothing is remembered afterwards.
 */

export interface SingleFlight<Result> {
  run(key: string, work: () => Promise<Result>): Promise<Result>;
  readonly inFlight: number;
}

export function createSingleFlight<Result>(): SingleFlight<Result> {
  const running = new Map<string, Promise<Result>>();
  return {
    get inFlight() {
      return running.size;
    },
    run(key, work) {
      const current = running.get(key);
      if (current !== undefined) return current;
      const started = work().finally(() => running.delete(key));
      running.set(key, started);
      return started;
    },
  };
}
