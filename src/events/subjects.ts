/**
 * Names on the wire: streams, buckets and subjects. Everything that builds or takes apart a subject is here, so that
 * the layout of `docs/wire-format.md` has one home.
 */
/** A node, client or role id: one subject token that is safe in file names too. */
export const idPattern: RegExp = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
/** What subjects may begin with: tokens without wildcards. */
export const prefixPattern: RegExp = /^[A-Za-z0-9_$-]{1,64}(\.[A-Za-z0-9_$-]{1,64}){0,7}$/;
export const clusterPattern: RegExp = /^[a-z0-9][a-z0-9-]{0,31}$/;

/** The control stream of a cluster, for instance `SLUICE`. */
export const controlStreamName = (cluster: string): string => cluster.toUpperCase();
export const statisticsStreamName = (cluster: string): string => `${controlStreamName(cluster)}_STATS`;
export const bucketStreamName = (bucket: string): string => `KV_${bucket}`;

/** The bucket of one partition: the cache's own name, or `<cache>-<pp>` when there are several. */
export function bucketName(cache: string, partition: number, partitionCount: number): string {
  if (partitionCount === 1) return cache;
  const width = Math.max(2, String(partitionCount - 1).length);
  return `${cache}-${String(partition).padStart(width, '0')}`;
}

/** All buckets of a cache, by partition. */
export function bucketNames(cache: string, partitionCount: number): string[] {
  return Array.from({ length: partitionCount }, (_, partition) => bucketName(cache, partition, partitionCount));
}

/** The subjects of one partition's stream. */
export interface BucketSubjects {
  readonly cluster: string;
  readonly bucket: string;
  /** `$KV.<bucket>.`; a key's token follows. */
  readonly keyPrefix: string;
  /** The same in UTF-8. */
  readonly keyPrefixBytes: Uint8Array;
  /** `<cluster>.bucket.<bucket>.clear` */
  readonly clear: string;
  /** `<cluster>.bucket.<bucket>.tag.`; a tag's token follows. */
  readonly tagPrefix: string;
  /** What the stream listens on. */
  readonly all: readonly string[];
}

export function bucketSubjects(cluster: string, bucket: string): BucketSubjects {
  const keyPrefix = `$KV.${bucket}.`;
  return {
    cluster,
    bucket,
    keyPrefix,
    keyPrefixBytes: Buffer.from(keyPrefix, 'utf8'),
    clear: `${cluster}.bucket.${bucket}.clear`,
    tagPrefix: `${cluster}.bucket.${bucket}.tag.`,
    all: [`${keyPrefix}>`, `${cluster}.bucket.${bucket}.>`],
  };
}

/** The subjects of the control plane. */
export interface ControlSubjects {
  readonly cluster: string;
  readonly all: readonly string[];
  joined(node: string, incarnation: string): string;
  left(node: string, incarnation: string): string;
  declared(cache: string): string;
  dropped(cache: string): string;
  command(verb: string): string;
  outcome(node: string): string;
  lease(role: string, epoch: number): string;
  /** Plain NATS, in no stream. */
  pulse(node: string): string;
  request(node: string, verb: string): string;
  /** Requests to a process that is no member. */
  client(id: string, verb: string): string;
  /** Which clients listen. */
  readonly clients: string;
}

export function controlSubjects(cluster: string): ControlSubjects {
  return {
    cluster,
    all: [
      `${cluster}.member.>`,
      `${cluster}.cache.>`,
      `${cluster}.command.*`,
      `${cluster}.outcome.*`,
      `${cluster}.lease.>`,
    ],
    joined: (node, incarnation) => `${cluster}.member.${node}.${incarnation}.joined`,
    left: (node, incarnation) => `${cluster}.member.${node}.${incarnation}.left`,
    declared: (cache) => `${cluster}.cache.${cache}.declared`,
    dropped: (cache) => `${cluster}.cache.${cache}.dropped`,
    command: (verb) => `${cluster}.command.${verb}`,
    outcome: (node) => `${cluster}.outcome.${node}`,
    lease: (role, epoch) => `${cluster}.lease.${role}.${epoch}`,
    pulse: (node) => `${cluster}.pulse.${node}`,
    request: (node, verb) => `${cluster}.request.${node}.${verb}`,
    client: (id, verb) => `${cluster}.client.${id}.${verb}`,
    clients: `${cluster}.client`,
  };
}
