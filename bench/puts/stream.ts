/** The stream of a side that makes its own: that of a Sluice bucket, one replica, in files. */
import type { StreamConfig } from '../../src/nats/stream-api.ts';
import { buildBucketStream } from '../../src/nats/stream-definitions.ts';

export const putsCluster = 'sluice';

export const putsStream = (bucket: string): StreamConfig =>
  buildBucketStream(putsCluster, bucket, {
    logReplicas: 1,
    logBytesMax: null,
    valueBytesMax: 1_048_576,
    whenFull: 'drop-oldest',
  });
