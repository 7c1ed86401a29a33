/**
 * Loading through the cache, fenced: a value that was loaded before an invalidation can never undo it.
 *
 * A load notes how far the log was when it began (its basis) and which revision the key had. The value is written by
 * compare-and-set against that revision, with the basis in its header; every copy rejects it if a clear or a tag stands
 * above the basis. The caller always gets the loaded value; only storing is refused.
 */
import { type Clock, pause } from '../base/clock.ts';
import { isSluiceError } from '../errors.ts';
import { type EntryFields, encodePut } from '../events/entry.ts';
import type { Position } from '../events/record.ts';
import { readKeyState } from '../replay/log-read.ts';
import type { LoadFence, PartitionView } from '../replay/partition-view.ts';
import { type DeleteRevision, removeEntries } from '../service/log-clean-up.ts';
import type { Entry } from '../store/entry-store.ts';

export interface FencedStore {
  readonly view: PartitionView;
  readonly clock: Clock;
  readonly origin: string;
  /** False while there is no use in waiting for an acknowledgement. */
  readonly isLogReachable: () => boolean;
  readonly deleteRevision: DeleteRevision;
  /** Told of background work that failed. */
  readonly onProblem: (error: unknown) => void;
}

export interface LoadedValue {
  readonly key: string;
  readonly value: Uint8Array;
  readonly contentType: string | undefined;
  /** Validated. */
  readonly tags: readonly string[] | undefined;
  readonly expiresAtMs: number;
  /** Made when the load began. */
  readonly fence: LoadFence;
  /** The entry that the load replaces. */
  readonly replaces: Entry | undefined;
}

/** `kept`: in this process only, because the log could not be reached or cannot compare safely. */
export type StoreOutcome = 'stored' | 'kept' | 'fenced';

/** A caller waits so long for a loaded value to be stored. */
const storeDeadlineMs = 3_000;
const attemptsMax = 4;
/** How long a stored value is looked after; see `removeIfVoid`. */
const lookAfterMs = 60_000;

export async function storeLoaded(target: FencedStore, loaded: LoadedValue): Promise<StoreOutcome> {
  const { view, clock, origin } = target;
  const { key, value, fence, replaces } = loaded;
  const { log, subjects } = view;
  if (fence.isBroken || view.store.isInvalidated(fence.basis, loaded.tags)) return 'fenced';
  // Nothing that has been seen since speaks against the value, so it is as good as if it had been loaded now.
  const basis = Math.max(fence.basis, view.follower.wholeAt);
  const { expiresAtMs, tags, contentType } = loaded;
  const fields: EntryFields = { expiresAtMs, tags, contentType, basis };
  const keep = (): StoreOutcome => (view.keepLocally(key, value, fields, fence) === undefined ? 'fenced' : 'kept');
  if (!log.isCompareAndSetSafe || !target.isLogReachable()) return keep();

  const natsTtlMs = log.honoursTtl && Number.isFinite(expiresAtMs) ? expiresAtMs - clock.now() : undefined;
  const message = encodePut(subjects, key, value, { ...fields, origin, natsTtlMs });
  const replaced: Position = replaces === undefined || replaces.isLocal ? 0 : replaces.revision;
  let expected = replaced;
  for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
    try {
      const sentAtMs = clock.monotonic();
      const { position } = await log.append(message, { expected, deadlineMs: storeDeadlineMs });
      view.wrote({ type: 'entry.put', key, value, ...fields }, position, sentAtMs);
      return removeIfVoid(target, loaded, basis, position) ? 'fenced' : 'stored';
    } catch (error) {
      if (!isSluiceError(error, 'position-conflict')) return keep();
      const state = await readKeyState(view, key, clock).catch(() => undefined);
      if (state === undefined) return keep();
      // Something came in between, or what stands there is still true.
      if (state.position > basis || (state.entry !== undefined && state.position !== replaced)) return 'fenced';
      // Nothing has changed: the server refuses while another write of the key is under way.
      if (state.position === expected) await pause(clock, 2 ** attempt);
      expected = state.position;
    }
  }
  return 'fenced';
}

/**
 * The message of a value that an invalidation between its basis and its own position made void would stay in the log for
 * other KV clients to read, and for new copies once the log has dropped the invalidation. The log compares the key's own newest
 * message, and that, too, it may have dropped. True when the value is known to be void now.
 */
function removeIfVoid(
  { view, deleteRevision, onProblem }: FencedStore,
  { key, tags, fence }: LoadedValue,
  basis: Position,
  position: Position,
): boolean {
  const isOvertaken = fence.isBrokenBelow(position);
  const isVoid = (): boolean => isOvertaken || view.store.isInvalidated(basis, tags);
  const remove = (): Promise<void> =>
    removeEntries(view, [{ key, revision: position, isLocal: false }], deleteRevision);
  if (isVoid()) {
    remove().catch(onProblem);
    return true;
  }
  // With nothing in between there is nothing to wait for.
  if (position === basis + 1) return false;
  view.follower
    .reached(position, { waitMs: lookAfterMs })
    .then(() => (isVoid() ? remove() : undefined))
    .catch((error: unknown) => {
      if (!isSluiceError(error, 'closed')) onProblem(error);
    });
  return false;
}

/**
 * For how long a loaded entry has been past a life of `ttlMs` that began when the log stored it; 0: not at all. What was
 * put, not loaded, lives to its own expiry.
 */
export function staleForMs(entry: Entry, ttlMs: number | undefined, nowMs: number): number {
  const isLoaded = entry.isLocal || entry.basis < entry.revision;
  return ttlMs === undefined || !isLoaded ? 0 : Math.max(0, nowMs - (entry.atMs + ttlMs));
}
