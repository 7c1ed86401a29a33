/** Reads the keys of a cache from its logs, once, up to where the logs stand. */
import type { CacheHost } from '../../cluster/cache-host.ts';
import { createKeyIndex, type KeyIndex } from '../../cluster/key-index.ts';
import { createFollower, type Follower } from '../../log/follower.ts';
import type { Log } from '../../log/log.ts';
import type { PartitionAccess } from '../../service/cache.ts';
import type { CommandContext } from '../command/context.ts';
import { formatCount } from '../terminal/text.ts';

export interface ReadPartition {
  readonly access: PartitionAccess;
  readonly index: KeyIndex;
}

/** A million keys take seconds; a server that stopped answering is not waited for for ever. */
const readLimitMs = 600_000;
const statusEvery = 10_000;

/** By partition. Rejects with `not-ready` when the logs cannot be read in time, with `aborted` by the signal. */
export async function readKeys(context: CommandContext, host: CacheHost): Promise<ReadPartition[]> {
  const { terminal } = context;
  let records = 0;
  const onRecord = (): void => {
    records += 1;
    if (records % statusEvery === 0) terminal.status(`reading ${host.name}: ${formatCount(records)} events`);
  };
  try {
    return await Promise.all(host.partitions.map((access) => readPartition(context, access, onRecord)));
  } finally {
    terminal.status(undefined);
  }
}

async function readPartition(
  { clock, random, signal }: CommandContext,
  access: PartitionAccess,
  onRecord: () => void,
): Promise<ReadPartition> {
  const log: Log = access.log;
  const index = createKeyIndex(access);
  const sink = {
    ...index.sink,
    apply(record: Parameters<typeof index.sink.apply>[0]) {
      onRecord();
      index.sink.apply(record);
    },
  };
  const follower: Follower = createFollower({ log, sink, clock, random });
  await follower.start();
  try {
    await follower.ready({ waitMs: readLimitMs, signal });
  } finally {
    await follower.stop();
  }
  return { access, index };
}
