/**
 * Collapses concurrent calls for the same key into one. After groupcache's `singleflight`: the first caller works,
 * all others that arrive before it ends share its result or its failure; nothing is remembered afterwards.
 */

export interface SingleFlight<Result> {
  run(key: string, work: () => Promise<Result>): Promise<Result>;
  /** The same for who must not be told what was true before this call: shared only with those who call while it waits. */
  runAfresh(key: string, work: () => Promise<Result>): Promise<Result>;
  readonly inFlight: number;
}

export function createSingleFlight<Result>(): SingleFlight<Result> {
  const running = new Map<string, Promise<Result>>();

  function run(key: string, work: () => Promise<Result>): Promise<Result> {
    const current = running.get(key);
    if (current !== undefined) return current;
    const started = work().finally(() => running.delete(key));
    running.set(key, started);
    return started;
  }

  return {
    get inFlight() {
      return running.size;
    },
    run,
    async runAfresh(key, work) {
      await running.get(key)?.catch(() => undefined);
      return run(key, work);
    },
  };
}
