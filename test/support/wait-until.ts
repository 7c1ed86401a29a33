/** Waits for a condition with a deadline: what tests do instead of sleeping. */
import { setTimeout as delay } from 'node:timers/promises';

/** Resolves with the first result that is neither undefined nor false; fails with `what` after `limitMs`. */
export async function waitUntil<Result>(
  what: string,
  check: () => Result | Promise<Result>,
  limitMs = 10_000,
): Promise<Exclude<Result, undefined | false>> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const result = await check();
    if (result !== undefined && result !== false) return result as Exclude<Result, undefined | false>;
    if (performance.now() > deadline) throw new Error(`not within ${limitMs} ms: ${what}`);
    await delay(10);
  }
}
