/** What a world is made of: how many processes, what kind of server, which limits. Part of a script, so that it repeats. */
import type { CacheDeclaration } from '../../src/events/control.ts';
import { bucketName, bucketStreamName, controlStreamName } from '../../src/events/subjects.ts';
import type { Personality } from './jetstream/jetstream.ts';

export interface Setting {
  readonly nodes: number;
  readonly clients: number;
  readonly partitions: number;
  /** On how many nodes a partition is; 0: on all. */
  readonly copies: number;
  readonly logReplicas: 1 | 3;
  /** Before 2.9.21: no TTL, and compare-and-set on replicated streams can let two writers win. */
  readonly isOldServer: boolean;
  readonly looksForIdFirst: boolean;
  readonly startsAtHead: boolean;
  readonly keys: number;
  readonly entriesMax: number;
  /** How long delete markers are kept, and how long a copy may have been away. */
  readonly horizonMs: number;
}

export const cacheName = 'demo';
export const clusterName = 'sluice';

export const personalityOf = (setting: Setting): Personality => ({
  version: setting.isOldServer ? '2.9.10' : '2.14.2',
  looksForIdFirst: setting.looksForIdFirst,
  comparesWeakly: setting.isOldServer,
  honoursTtl: !setting.isOldServer,
  startsAtHead: setting.startsAtHead,
});

export const declarationOf = (setting: Setting): CacheDeclaration => ({
  partitions: setting.partitions,
  replicas: setting.copies === 0 ? 'all' : setting.copies,
  logReplicas: setting.logReplicas,
  entriesMax: setting.entriesMax,
  bytesMax: 10_000_000,
  logBytesMax: null,
  ttlMs: null,
  valueBytesMax: 100_000,
  whenFull: 'drop-oldest',
});

/** The stream of a partition. */
export const streamOf = (setting: Setting, partition: number): string =>
  bucketStreamName(bucketName(cacheName, partition, setting.partitions));
export const controlStream = controlStreamName(clusterName);

export const keyNames = (setting: Setting): string[] => Array.from({ length: setting.keys }, (_, index) => `k${index}`);
export const tagNames = ['red', 'blue'];

/** Times of membership and of copies; shorter than the defaults where a run would be long otherwise. */
export const timing = {
  pulseMs: 250,
  suspectAfterMs: 1_000,
  evictAfterMs: 3_000,
  silenceMs: 1_250,
  heartbeatMs: 500,
  floorCheckMs: 3_000,
  pullMs: 4_000,
  inactiveMs: 5_000,
  readWaitMs: 3_000,
} as const;
