/**
 * The signals that end a program. One Ctrl-C may arrive twice, from the terminal and from the `npm` in between, so only a
 * signal that comes clearly later is a person who does not want to wait any longer.
 */
import type { Clock } from '../../base/clock.ts';

const sameSignalMs = 1_000;

/** Calls `first` at the first SIGINT, SIGTERM or SIGHUP, and `again` at one that comes more than a second later. */
export function onStopSignal(clock: Clock, first: (signal: NodeJS.Signals) => void, again: () => void): void {
  let firstAtMs: number | undefined;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (firstAtMs === undefined) {
        firstAtMs = clock.monotonic();
        first(signal);
      } else if (clock.monotonic() - firstAtMs > sameSignalMs) {
        again();
      }
    });
  }
}
