/**
 * Reading through: the value from memory, or from its source and then stored. One load per key at a time in this process; all
 * who wait for it share its value or its failure, and a failure is not remembered.
 */
import { createSingleFlight } from '../base/single-flight.ts';
import { abortedBy } from '../base/waiters.ts';
import type { CacheHost } from '../cluster/cache-host.ts';
import type { Session } from '../cluster/session.ts';
import { messageOf } from '../errors.ts';
import { validateKey } from '../events/key.ts';
import type { LoadFence, PartitionView } from '../replay/partition-view.ts';
import { completeContentType, completeTags, expiryOf, requireDuration } from '../service/demands.ts';
import type { Entry } from '../store/entry-store.ts';
import type { Codec } from './codec.ts';
import type { CoherentCache, Loader, LoadOptions } from './coherent-cache.ts';
import { staleForMs, storeLoaded } from './loads.ts';

export interface GetOrLoadOptions<Value> {
  readonly host: CacheHost;
  readonly session: Session;
  readonly codec: Codec<Value>;
  readonly ttlMs: number | undefined;
  readonly closing: AbortSignal;
  readonly viewOf: (key: string) => PartitionView;
  readonly toValue: (entry: Entry | undefined) => Value | undefined;
}

export interface GetOrLoad<Value> {
  readonly getOrLoad: CoherentCache<Value>['getOrLoad'];
  readonly counters: { readonly loads: number; readonly loadFailures: number; readonly loadsFenced: number };
}

/** What a caller wants, checked before anything is loaded. */
interface Wanted {
  readonly ttlMs: number | undefined;
  readonly tags: readonly string[] | undefined;
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
}

export function createGetOrLoad<Value>(options: GetOrLoadOptions<Value>): GetOrLoad<Value> {
  const { host, session, codec, closing, viewOf, toValue } = options;
  const { clock, origin, onNotice } = session.options;
  const flights = createSingleFlight<Value | undefined>();
  const counters = { loads: 0, loadFailures: 0, loadsFenced: 0 };

  function complete(loading: LoadOptions): Wanted {
    const { staleWhileRevalidateMs = 0, staleIfErrorMs = 0 } = loading;
    const ttlMs = loading.ttlMs ?? options.ttlMs ?? host.settings.ttlMs ?? undefined;
    if (ttlMs !== undefined) expiryOf(ttlMs, clock.now());
    requireDuration('staleWhileRevalidateMs', staleWhileRevalidateMs);
    requireDuration('staleIfErrorMs', staleIfErrorMs);
    return { ttlMs, tags: completeTags(loading.tags), staleWhileRevalidateMs, staleIfErrorMs };
  }

  async function getOrLoad(key: string, load: Loader<Value>, loading: LoadOptions = {}): Promise<Value | undefined> {
    validateKey(key);
    const wanted = complete(loading);
    const { signal } = loading;
    if (signal?.aborted) throw abortedBy(signal);
    const view = viewOf(key);
    let entry = view.read(key);
    // Memory may have evicted what the log still has.
    if (entry === undefined && !view.isComplete && session.link.isConnected)
      entry = await withSignal(
        view.load(key).catch(() => undefined),
        signal,
      );
    const value = toValue(entry);
    const staleMs = entry === undefined ? 0 : staleForMs(entry, wanted.ttlMs, clock.now());
    if (value !== undefined && staleMs === 0) return value;

    const loaded = flights.run(key, () => loadNow(view, key, entry, load, wanted));
    if (value === undefined) return withSignal(loaded, signal);
    if (staleMs <= wanted.staleWhileRevalidateMs) {
      loaded.catch((error: unknown) =>
        onNotice(
          'warn',
          `${host.name}: a background load of ${JSON.stringify(key.slice(0, 64))} failed: ${messageOf(error)}`,
        ),
      );
      return value;
    }
    return withSignal(staleMs <= wanted.staleIfErrorMs ? loaded.catch(() => value) : loaded, signal);
  }

  async function loadNow(
    view: PartitionView,
    key: string,
    replaces: Entry | undefined,
    load: Loader<Value>,
    wanted: Wanted,
  ): Promise<Value | undefined> {
    const fence = view.fence(key);
    try {
      counters.loads += 1;
      const value = await callLoader(load, key);
      if (value !== undefined) await store(view, key, value, { replaces, fence, wanted });
      return value;
    } finally {
      fence.end();
    }
  }

  async function callLoader(load: Loader<Value>, key: string): Promise<Value | undefined> {
    try {
      return await load(key, closing);
    } catch (error) {
      counters.loadFailures += 1;
      throw error;
    }
  }

  async function store(
    view: PartitionView,
    key: string,
    value: Value,
    { replaces, fence, wanted }: { replaces: Entry | undefined; fence: LoadFence; wanted: Wanted },
  ): Promise<void> {
    const { ttlMs, tags } = wanted;
    const encoded = codec.encode(value);
    if (encoded.length > host.settings.valueBytesMax) return;
    const graceMs = Math.max(wanted.staleWhileRevalidateMs, wanted.staleIfErrorMs);
    const problem = (error: unknown): void =>
      onNotice('warn', `${host.name}: a void value could not be removed from the log: ${messageOf(error)}`);
    const outcome = await storeLoaded(
      {
        view,
        clock,
        origin,
        isLogReachable: () => session.link.isConnected,
        deleteRevision: (voidKey, ifRevision) => host.cache.delete(voidKey, { ifRevision }),
        onProblem: problem,
      },
      {
        key,
        value: encoded,
        contentType: completeContentType(codec.contentType),
        tags,
        expiresAtMs: ttlMs === undefined ? Number.POSITIVE_INFINITY : expiryOf(ttlMs + graceMs, clock.now()),
        fence,
        replaces,
      },
    );
    if (outcome === 'fenced') counters.loadsFenced += 1;
  }

  return { getOrLoad, counters };
}

/** Ends the waiting of one caller; the work goes on for the others. */
function withSignal<Result>(work: Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(abortedBy(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
