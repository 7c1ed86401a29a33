/**
 * From the JSON files in `streams/` to the streams of a cluster. The files are loadable by `nats stream add --config`
 * as they are; we only exchange names, subjects and limits.
 */
import { readFileSync } from 'node:fs';
import { bucketStreamName, bucketSubjects, controlStreamName, controlSubjects } from '../events/subjects.ts';
import type { StreamConfig } from './stream-api.ts';

export type StreamFile = 'bucket' | 'control' | 'statistics';

/** Room for subject and headers on top of the largest value. */
const headerBytesMax = 8 * 1024;

const loaded = new Map<StreamFile, StreamConfig>();

export function loadStreamFile(file: StreamFile): StreamConfig {
  let config = loaded.get(file);
  if (config === undefined) {
    const { $schema: _, ...fields } = JSON.parse(
      readFileSync(new URL(`../../../streams/${file}.json`, import.meta.url), 'utf8'),
    );
    config = fields as StreamConfig;
    loaded.set(file, config);
  }
  return config;
}

export interface BucketSettings {
  readonly logReplicas: number;
  readonly logBytesMax: number | null;
  readonly valueBytesMax: number;
  readonly whenFull: 'drop-oldest' | 'refuse';
  readonly storage?: 'file' | 'memory';
}

export function buildBucketStream(cluster: string, bucket: string, settings: BucketSettings): StreamConfig {
  return {
    ...loadStreamFile('bucket'),
    name: bucketStreamName(bucket),
    description: `Sluice cache bucket ${bucket}`,
    subjects: bucketSubjects(cluster, bucket).all,
    num_replicas: settings.logReplicas,
    max_bytes: settings.logBytesMax ?? -1,
    max_msg_size: settings.valueBytesMax + headerBytesMax,
    discard: settings.whenFull === 'refuse' ? 'new' : 'old',
    storage: settings.storage ?? 'file',
  };
}

export function buildControlStream(
  cluster: string,
  replicas: number,
  storage: 'file' | 'memory' = 'file',
): StreamConfig {
  return {
    ...loadStreamFile('control'),
    name: controlStreamName(cluster),
    subjects: controlSubjects(cluster).all,
    num_replicas: replicas,
    storage,
  };
}
