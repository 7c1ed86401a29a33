/**
 * The work of the puts, the same for each side: the same subjects, header fields and values, so many in flight, and a stream
 * of its own with the same settings.
 */
import type { Figures } from '../side.ts';

export interface PutsSetup {
  readonly url: string;
  /** Per round. */
  readonly puts: number;
  readonly keys: number;
  readonly valueBytes: number;
}

/** What the publisher has in flight at most; a bare script that wants the same throughput needs as many. */
export const windowMax = 4_096;

export const putKeyOf = (index: number): string => `order/${index.toString(36)}/state`;

/**
 * Acknowledged puts per second of one round: `put` is called whenever fewer than `inFlightMax` are under way, and calls back
 * when the log has acknowledged it.
 */
export function timePuts(
  { puts, keys }: PutsSetup,
  inFlightMax: number,
  put: (key: string, done: (error?: unknown) => void) => void,
): Promise<Figures> {
  return new Promise((resolve, reject) => {
    const names = Array.from({ length: keys }, (_, index) => putKeyOf(index));
    const startedMs = performance.now();
    let sent = 0;
    let acknowledged = 0;
    const done = (error?: unknown): void => {
      if (error !== undefined) return reject(error);
      acknowledged += 1;
      if (acknowledged === puts) resolve({ putsPerSecond: (puts * 1_000) / (performance.now() - startedMs) });
      else fill();
    };
    const fill = (): void => {
      while (sent < puts && sent - acknowledged < inFlightMax) {
        const key = names[sent % keys] ?? '';
        sent += 1;
        put(key, done);
      }
    };
    fill();
  });
}
