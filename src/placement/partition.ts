/**
 * Key → partition. The same on every node, in every client and in every language: `docs/placement.md` defines it and
 * `test/fixtures/placement-keys.json` holds vectors. It depends on nothing but the key and the number of partitions.
 */
import assert from 'node:assert/strict';
import { hashText, mix32, scale32 } from './hash.ts';

export const partitionCountMax = 1024;

/**
 * The partition of `key`, in [0, partitionCount): floor(fmix32(fnv1a32(utf8(key))) × partitionCount / 2^32).
 * Allocates nothing. `partitionCount` is an integer from 1 to 1,024.
 */
export function partitionOf(key: string, partitionCount: number): number {
  assertPartitionCount(partitionCount);
  return partitionCount === 1 ? 0 : scale32(mix32(hashText(key)), partitionCount);
}

export function assertPartitionCount(partitionCount: number): void {
  assert(
    Number.isInteger(partitionCount) && partitionCount >= 1 && partitionCount <= partitionCountMax,
    'partitionCount must be an integer from 1 to 1024',
  );
}
