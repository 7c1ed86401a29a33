/**
 * After a tag invalidation, what became void leaves the stream too, so that other KV clients see the same and the log does not keep
 * it. It is done in the background and may fail: every copy obeys the invalidation itself. (A clear removes what was before it in
 * the same step.)
 *
 * An entry that a tag has ended is deleted by an event and never purged: a copy that is behind may hold what that entry had
 * replaced, without the tag.
 */
import { isSluiceError } from '../errors.ts';
import type { Position } from '../events/record.ts';
import type { BucketSubjects } from '../events/subjects.ts';
import type { Log } from '../log/log.ts';
import type { Entry } from '../store/entry-store.ts';

export interface CleanUpTarget {
  readonly log: Log;
  readonly subjects: BucketSubjects;
}

/** Deletes a key if it still has the revision. */
export type DeleteRevision = (key: string, revision: Position) => Promise<unknown>;

const deletesAtOnce = 64;

/** Deletes these entries where the log can compare safely; what came after them stays. */
export async function removeEntries(
  { log }: CleanUpTarget,
  entries: readonly Pick<Entry, 'key' | 'revision' | 'isLocal'>[],
  deleteRevision: DeleteRevision,
): Promise<void> {
  if (!log.isCompareAndSetSafe) return;
  const queue = entries.filter((entry) => !entry.isLocal);
  const worker = async (): Promise<void> => {
    for (let entry = queue.pop(); entry !== undefined; entry = queue.pop()) {
      try {
        await deleteRevision(entry.key, entry.revision);
      } catch (error) {
        // Something newer stands there already.
        if (!isSluiceError(error, 'position-conflict')) throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(deletesAtOnce, queue.length) }, worker));
}
