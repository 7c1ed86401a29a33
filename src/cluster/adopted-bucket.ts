/**
 * A bucket made by others (`nats kv add`, any KV library), seen as a cache: its stream is opened as it is and never
 * altered, and what a declaration would say is read from the stream or taken from the defaults.
 */
import type { CacheDeclaration } from '../events/control.ts';
import { bucketStreamName } from '../events/subjects.ts';
import { type StreamInfo, streamInfo } from '../nats/stream-api.ts';
import type { Session } from './session.ts';

export async function adoptedSettings(
  session: Session,
  name: string,
  defaults: CacheDeclaration,
): Promise<CacheDeclaration | undefined> {
  const info: StreamInfo | undefined = await streamInfo(session.link, bucketStreamName(name), 5_000);
  if (info === undefined) return undefined;
  const { config } = info;
  const messageBytesMax = config.max_msg_size ?? -1;
  return {
    ...defaults,
    partitions: 1,
    replicas: 'all',
    ttlMs: null,
    logReplicas: config.num_replicas,
    logBytesMax: config.max_bytes > 0 ? config.max_bytes : null,
    whenFull: config.discard === 'new' ? 'refuse' : 'drop-oldest',
    valueBytesMax: Math.min(defaults.valueBytesMax, messageBytesMax > 0 ? messageBytesMax : Number.MAX_SAFE_INTEGER),
  };
}
