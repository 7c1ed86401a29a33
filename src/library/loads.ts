/**
 * Loading through the cache, fenced: a value that was loaded before an invalidation can never undo it.
 *
 * A load notes how far the copy had seen the log when it began (its basis) and which revision the key had. The value is
 * written by compare-and-set against that revision, with the basis in its header; every copy rejects it if a clear or a tag
 * stands above the basis. The caller always gets the loaded value; only storing is refused.
 */
import type { Clock } from '../base/clock.ts';
import { createSingleFlight } from '../base/single-flight.ts';
import { isSluiceError } from '../errors.ts';
import { type EntryFields, encodePut, validateTags } from '../events/entry.ts';
import type { Position } from '../events/record.ts';
import { readKeyState } from '../replay/log-read.ts';
import type { PartitionView } from '../replay/partition-view.ts';
import type { Entry } from '../store/entry-store.ts';

export interface FencedStore {
  readonly view: PartitionView;
  readonly clock: Clock;
  readonly origin: string;
  /** False while there is no use in waiting for an acknowledgement. */
  readonly isLogReachable: () => boolean;
}

export interface LoadedValue {
  readonly key: string;
  readonly value: Uint8Array;
  readonly contentType: string;
  readonly tags: readonly string[] | undefined;
  readonly expiresAtMs: number;
  /** What the copy had applied when the load began. */
  readonly basis: Position;
  /** Revision of the entry that the load replaces; 0 when the copy had none. */
  readonly replaces: Position;
}

/** A caller waits so long for a loaded value to be stored. */
const storeDeadlineMs = 3_000;
const storeAttempts = 4;

/** `kept`: in this process only, because the log could not be reached or cannot compare safely. */
export type StoreOutcome = 'stored' | 'kept' | 'fenced';

export async function storeLoaded(
  { view, clock, origin, isLogReachable }: FencedStore,
  loaded: LoadedValue,
): Promise<StoreOutcome> {
  const { key, value, basis } = loaded;
  const { log, subjects } = view;
  const fields: EntryFields = {
    expiresAtMs: loaded.expiresAtMs,
    tags: loaded.tags === undefined || loaded.tags.length === 0 ? undefined : validateTags(loaded.tags),
    contentType: loaded.contentType,
    basis,
  };
  if (view.store.isInvalidated(basis, fields.tags)) return 'fenced';
  if (!log.isCompareAndSetSafe || !isLogReachable()) return keep();
  const natsTtlMs =
    log.honoursTtl && Number.isFinite(fields.expiresAtMs) ? fields.expiresAtMs - clock.now() : undefined;
  const message = encodePut(subjects, key, value, { ...fields, origin, natsTtlMs });
  let expected = loaded.replaces;
  for (let attempt = 0; attempt < storeAttempts; attempt += 1) {
    try {
      const { position } = await log.append(message, { expected, deadlineMs: storeDeadlineMs });
      view.wrote({ type: 'entry.put', key, value, ...fields }, position);
      return 'stored';
    } catch (error) {
      if (!isSluiceError(error, 'position-conflict')) return keep();
      const state = await readKeyState(log, { subjects, maxAgeMs: log.maxAgeMs }, key, clock.now()).catch(
        () => undefined,
      );
      if (state === undefined) return keep();
      // Something came in between, or what stands there is still true.
      if (state.position > basis || (state.entry !== undefined && state.position !== loaded.replaces)) return 'fenced';
      expected = state.position;
    }
  }
  return 'fenced';

  function keep(): StoreOutcome {
    return view.keepLocally(key, value, fields, basis) === undefined ? 'fenced' : 'kept';
  }
}

export interface LoadFlights<Value> {
  /** One load per key at a time; all callers share its value or its failure. */
  run(key: string, load: () => Promise<Value | undefined>): Promise<Value | undefined>;
}

export const createLoadFlights = <Value>(): LoadFlights<Value> => createSingleFlight<Value | undefined>();

/** How an entry stands towards a life of `ttlMs` that began when the log stored it. */
export function freshnessOf(entry: Entry, ttlMs: number | undefined, nowMs: number): { readonly staleForMs: number } {
  return { staleForMs: ttlMs === undefined ? 0 : Math.max(0, nowMs - (entry.atMs + ttlMs)) };
}
