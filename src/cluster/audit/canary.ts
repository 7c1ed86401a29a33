/**
 * Staleness as it is, on one clock: a key is written again and again, and each copy is asked for the position of that write. What
 * is measured is the time from the log's acknowledgement to the copy's answer, so it includes one question's way there and
 * back, and is never too small.
 */
import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../errors.ts';
import { partitionOf } from '../../placement/partition.ts';
import type { CacheHost } from '../cache-host.ts';
import type { Copies } from './copies.ts';

/** `sluice-canary/<n>`, with the smallest n that lies in the partition. */
export function canaryKey(partition: number, partitionCount: number): string {
  for (let n = 0; ; n += 1) {
    const key = `sluice-canary/${n}`;
    if (partitionOf(key, partitionCount) === partition) return key;
  }
}

/** Life of a canary, which ends it where nobody measures any more. */
export const canaryTtlMs = 60_000;

export interface Beat {
  readonly partition: number;
  /** By name of the copy, ms; Infinity: it did not answer, or not within the wait. */
  readonly stalenessMs: ReadonlyMap<string, number>;
  readonly problems: readonly string[];
}

export interface CanaryOptions {
  readonly host: CacheHost;
  readonly clock: Clock;
  /** How long a copy may take. */
  readonly waitMs: number;
  readonly signal: AbortSignal;
}

/** Writes the canary of one partition and follows it into every copy. Rejects when it cannot be written. */
export async function beat(
  { host, clock, waitMs, signal }: CanaryOptions,
  copies: Copies,
  partition: number,
): Promise<Beat> {
  const key = canaryKey(partition, host.partitions.length);
  const { revision } = await host.cache.put(key, Buffer.from(String(clock.now())), { ttlMs: canaryTtlMs, signal });
  const acknowledgedAtMs = clock.monotonic();
  const stalenessMs = new Map<string, number>();
  const problems: string[] = [];
  const request = { cache: host.name, partition, position: revision, waitMs, limit: 1, keys: [key] };
  const holders = copies.all.filter((copy) => copy.serves(host.name).includes(partition));
  await Promise.all(
    holders.map(async (copy) => {
      try {
        await copy.audit(request);
        stalenessMs.set(copy.name, clock.monotonic() - acknowledgedAtMs);
      } catch (error) {
        stalenessMs.set(copy.name, Number.POSITIVE_INFINITY);
        problems.push(`${copy.name}: ${messageOf(error)}`);
      }
    }),
  );
  return { partition, stalenessMs, problems };
}

export interface Spread {
  readonly count: number;
  /** Nearest rank; Infinity: not seen in time. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export function spreadOf(samples: readonly number[]): Spread {
  const sorted = [...samples].sort((a, b) => a - b);
  const rank = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
  return { count: sorted.length, p50Ms: rank(0.5), p99Ms: rank(0.99), maxMs: rank(1) };
}
