/**
 * After a clear or a tag invalidation, what became void is removed from the stream too, so that other KV clients see the same
 * and the log does not keep it. It is done in the background and may fail: every copy obeys the invalidation itself.
 *
 * Only ever what is known to be void is removed, message by message or below a clear; never "the key".
 */
import { encodeKey } from '../events/key.ts';
import type { Position } from '../events/record.ts';
import type { BucketSubjects } from '../events/subjects.ts';
import type { Log } from '../log/log.ts';
import type { Entry } from '../store/entry-store.ts';

export interface CleanUpTarget {
  readonly log: Log;
  readonly subjects: BucketSubjects;
}

const purgesAtOnce = 4;

/** Every entry below a clear is void. */
export async function removeCleared({ log, subjects }: CleanUpTarget, position: Position): Promise<void> {
  await log.purge({ subject: `${subjects.keyPrefix}>`, below: position });
}

/** Removes the very messages of these entries; what came after them stays. */
export async function removeEntries(
  { log, subjects }: CleanUpTarget,
  entries: readonly Pick<Entry, 'key' | 'revision' | 'isLocal'>[],
): Promise<void> {
  const queue = entries.filter((entry) => !entry.isLocal);
  const worker = async (): Promise<void> => {
    for (let entry = queue.pop(); entry !== undefined; entry = queue.pop()) {
      await log.purge({ subject: subjects.keyPrefix + encodeKey(entry.key).token, below: entry.revision + 1 });
    }
  };
  await Promise.all(Array.from({ length: purgesAtOnce }, worker));
}
