/** The caches that every run uses, and what is done to each. Only the first three promise to lose nothing. */

export interface FaultCache {
  readonly name: string;
  readonly partitions: number;
  /** Whether each node has all keys. */
  readonly isFull: boolean;
  readonly settings: Readonly<Record<string, unknown>>;
  /** Its log may drop or lose what was acknowledged: only convergence is promised. */
  readonly isLossy: boolean;
  readonly hasConditions: boolean;
  readonly hasTags: boolean;
  readonly hasClears: boolean;
}

const small = { valueBytesMax: '16KiB', logBytesMax: '8MiB' };

/**
 * Conditions are used where nothing is cleared and on keys without tags: what Sluice removes from the stream after a clear or an
 * invalidation, in the background, decides how a condition ends, and is no operation of the history.
 */
export const faultCaches: readonly FaultCache[] = [
  {
    name: 'full',
    partitions: 1,
    isFull: true,
    settings: small,
    isLossy: false,
    hasConditions: true,
    hasTags: true,
    hasClears: false,
  },
  {
    name: 'parts',
    partitions: 4,
    isFull: false,
    settings: { ...small, partitions: 4, replicas: 2 },
    isLossy: false,
    hasConditions: false,
    hasTags: false,
    hasClears: true,
  },
  {
    name: 'refusing',
    partitions: 1,
    isFull: true,
    settings: { ...small, logBytesMax: '256KiB', whenFull: 'refuse' },
    isLossy: false,
    hasConditions: false,
    hasTags: false,
    hasClears: true,
  },
  {
    name: 'dropping',
    partitions: 1,
    isFull: true,
    settings: { ...small, logBytesMax: '256KiB' },
    isLossy: true,
    hasConditions: false,
    hasTags: false,
    hasClears: false,
  },
];

export const streamsOf = ({ name, partitions }: FaultCache): string[] =>
  partitions === 1
    ? [`KV_${name}`]
    : Array.from({ length: partitions }, (_, partition) => `KV_${name}-${String(partition).padStart(2, '0')}`);
