/**
 * The in-process cache over the copies of one cache. Reads touch memory only: one look into the store, and a value is decoded
 * once per revision. Writes go through the cache's service; loads through `get-or-load.ts`.
 */
import type { WaitOptions } from '../base/waiters.ts';
import { withGetters } from '../base/with-getters.ts';
import type { CacheHost } from '../cluster/cache-host.ts';
import type { Session } from '../cluster/session.ts';
import { messageOf, SluiceError } from '../errors.ts';
import { partitionOf } from '../placement/partition.ts';
import type { Change, PartitionView } from '../replay/partition-view.ts';
import type { Written } from '../service/cache-service.ts';
import type { Entry } from '../store/entry-store.ts';
import { keyOfArguments } from './argument-key.ts';
import { iterateChanges } from './change-iterator.ts';
import type { Codec } from './codec.ts';
import type { CacheChange, CoherentCache, EntryView, WriteOptions } from './coherent-cache.ts';
import { createGetOrLoad } from './get-or-load.ts';
import { createValueReader } from './value-reader.ts';

export interface OpenedOptions<Value> {
  readonly host: CacheHost;
  readonly session: Session;
  readonly codec: Codec<Value>;
  /** Whether this codec may keep its values in the entries; see `value-reader.ts`. */
  readonly isFirstCodec: boolean;
  /** Life of what this process writes without saying; undefined: the cache's own. */
  readonly ttlMs: number | undefined;
  readonly closing: AbortSignal;
}

export function openCache<Value>(options: OpenedOptions<Value>): CoherentCache<Value> {
  const { host, session, codec, closing } = options;
  const warn = (message: string): void => session.options.onNotice('warn', `${host.name}: ${message}`);
  const views: PartitionView[] = host.partitions.map(({ view, log }) => {
    if (view === undefined) throw new SluiceError('internal', `${log.name}: not held by this process`);
    return view;
  });
  const [only] = views.length === 1 ? views : [];
  const onlyShown = only?.store.shown;
  const values = createValueReader({ codec, isFirstCodec: options.isFirstCodec, onUndecodable: warn });
  const { toValue } = values;
  /** The cache was dropped, or the connection closed: its copies are void. */
  let isGone = false;

  function viewOf(key: string): PartitionView {
    if (only !== undefined) return only;
    const view = views[partitionOf(key, views.length)];
    if (view === undefined) throw new SluiceError('internal', `${host.name}: no partition for the key`);
    return view;
  }

  const goneError = (): SluiceError =>
    new SluiceError(
      'closed',
      `${host.name}: ${closing.aborted ? 'the connection was closed' : 'the cache was dropped; open it again'}`,
    );

  function checkOpen(): void {
    if (isGone || closing.aborted) throw goneError();
  }

  const shownHits = { count: 0 };

  /** The quickest way to a value, kept as short as can be: each call on the way costs as much as the look into the map. */
  function getFromOnly(key: string): Value | undefined {
    const shown = onlyShown?.get(key);
    if (shown === undefined) return getToShow(viewOf(key), key);
    shownHits.count += 1;
    return shown as Value;
  }

  function getFromMany(key: string): Value | undefined {
    const view = viewOf(key);
    const shown = view.store.shown.get(key);
    if (shown === undefined) return getToShow(view, key);
    shownHits.count += 1;
    return shown as Value;
  }

  function getToShow(view: PartitionView, key: string): Value | undefined {
    const entry = view.read(key);
    const value = toValue(entry);
    if (entry !== undefined && value !== undefined && value !== null) view.store.show(entry, value);
    return value;
  }

  function entryView(entry: Entry | undefined): EntryView<Value> | undefined {
    const value = toValue(entry);
    if (entry === undefined || value === undefined) return undefined;
    const { atMs, expiresAtMs, tags } = entry;
    return { value, revision: entry.isLocal ? 0 : entry.revision, atMs, expiresAtMs, tags: tags ?? [] };
  }

  /** What a put says that says nothing of its own. */
  const plainPut = { ttlMs: options.ttlMs, contentType: codec.contentType };

  // Hands on the service's own promise: many wait at a time, and each promise more is one that the engine has to keep.
  function put(key: string, value: Value, write?: WriteOptions): Promise<Written> {
    try {
      checkOpen();
      const encoded = codec.encode(value);
      if (write === undefined) return host.cache.put(key, encoded, plainPut);
      return host.cache.put(key, encoded, {
        ...write,
        ttlMs: write.ttlMs ?? options.ttlMs,
        contentType: codec.contentType,
      });
    } catch (error) {
      return Promise.reject(error);
    }
  }

  const loading = createGetOrLoad<Value>({ host, session, codec, ttlMs: options.ttlMs, closing, viewOf, toValue });
  const getOrLoad: CoherentCache<Value>['getOrLoad'] = async (key, load, wanted) => {
    checkOpen();
    return loading.getOrLoad(key, load, wanted);
  };

  function toChange(change: Change, partition: number): CacheChange<Value> {
    if (change.type === 'rebuilt')
      return { type: 'reset', reason: change.reason, position: change.position, partition };
    if (change.type !== 'put') return { ...change, partition };
    return { type: 'put', key: change.key, value: toValue(change.entry), position: change.position, partition };
  }

  function listen(onItem: (change: CacheChange<Value>) => void, onEnd: (error: SluiceError) => void): () => void {
    // A copy that was given up tells of nothing any more, not even of its end.
    if (isGone) {
      onEnd(goneError());
      return () => undefined;
    }
    const stops = views.flatMap((view, partition) => [
      view.listen((change) => onItem(toChange(change, partition))),
      view.onStopped(() => onEnd(goneError())),
    ]);
    return () => {
      for (const stop of stops) stop();
    };
  }

  /** What was replaced by something that is still on its way must not be read as if it were the newest. */
  async function becomeWhole(view: PartitionView, { waitMs, signal }: WaitOptions): Promise<void> {
    const { clock } = session.options;
    const endsAtMs = clock.monotonic() + (waitMs ?? Number.POSITIVE_INFINITY);
    const wait = (): WaitOptions => {
      const leftMs = endsAtMs - clock.monotonic();
      return { signal, waitMs: Number.isFinite(leftMs) ? Math.max(0, leftMs) : undefined };
    };
    while (!view.follower.isWhole) await view.follower.latest(wait());
    await view.settled(wait());
  }

  const total = (read: (view: PartitionView) => number): number => views.reduce((sum, view) => sum + read(view), 0);

  for (const view of views) {
    view.onStopped(() => {
      isGone = true;
    });
  }

  // What another codec made is not shown.
  const getUnshown = (key: string): Value | undefined => toValue(viewOf(key).read(key));
  const getShown = only === undefined ? getFromMany : getFromOnly;

  const getters = {
    size: () => (only === undefined ? total((view) => view.store.size) : only.store.size),
    lag: () => ({
      events: total((view) => view.follower.lagEvents),
      ms: Math.max(...views.map((view) => view.follower.lagMs())),
    }),
    isReady: () => !isGone && views.every((view) => view.follower.isReady),
    stats: () => ({
      ...loading.counters,
      undecodable: values.undecodable,
      hits: shownHits.count + total((view) => view.store.counters.hits),
      misses: total((view) => view.store.counters.misses),
      entries: total((view) => view.store.size),
      bytes: total((view) => view.store.bytes),
    }),
  };
  return withGetters<CoherentCache<Value>, keyof typeof getters>(getters, {
    name: host.name,
    get: options.isFirstCodec ? getShown : getUnshown,
    entry: (key) => entryView(viewOf(key).read(key)),
    has: (key) => toValue(viewOf(key).peek(key)) !== undefined,
    *keys() {
      for (const view of views) for (const entry of view.store.entries()) yield entry.key;
    },
    *entries() {
      for (const view of views) {
        for (const entry of view.store.entries()) {
          const value = toValue(entry);
          if (value !== undefined) yield [entry.key, value];
        }
      }
    },
    put,
    async delete(key, write = {}) {
      checkOpen();
      return host.cache.delete(key, write);
    },
    getOrLoad,
    memoize(call, memo = {}) {
      const keyOf = memo.key ?? ((...args) => keyOfArguments(args));
      return async (...args) => getOrLoad(keyOf(...args), async () => call(...args), memo);
    },
    async clear(write = {}) {
      checkOpen();
      await host.cache.clear(write);
    },
    async invalidateTags(tags, write = {}) {
      checkOpen();
      await host.cache.invalidateTags(tags, write);
    },
    changes({ signal } = {}) {
      return iterateChanges<CacheChange<Value>>({
        // The end of the connection ends the iteration in order; the end of the cache does not.
        listen: (onItem, onEnd) => listen(onItem, (error) => closing.aborted || onEnd(error)),
        signal: signal === undefined ? closing : AbortSignal.any([signal, closing]),
      });
    },
    onChange(listener) {
      return listen(
        (change) => {
          try {
            listener(change);
          } catch (error) {
            warn(`a listener threw on ${change.type} at ${change.position}: ${messageOf(error)}`);
          }
        },
        () => undefined,
      );
    },
    async reached(written, wait: WaitOptions = {}) {
      checkOpen();
      if (typeof written === 'number' && only === undefined) {
        throw new SluiceError(
          'bad-request',
          `${host.name}: has ${views.length} partitions; pass what put returned, not a plain position`,
        );
      }
      const { revision, partition } = typeof written === 'number' ? { revision: written, partition: 0 } : written;
      const view = views[partition];
      if (view === undefined)
        throw new SluiceError('bad-request', `partition: ${host.name} has no partition ${partition}`);
      await view.follower.reached(revision, wait);
      await becomeWhole(view, wait);
    },
    async latest(key, wait: WaitOptions = {}) {
      checkOpen();
      const { found, position } = await host.cache.get(key, { consistency: 'latest', ...wait });
      const entry = viewOf(key).peek(key);
      if (found === undefined) {
        // What memory has may be newer than the answer. Position 0: the log was asked for the key alone, and where it stood is not known.
        const isNewer = position > 0 && entry !== undefined && entry.revision > position;
        return isNewer ? toValue(entry) : undefined;
      }
      if (entry !== undefined && entry.revision >= found.revision) return toValue(entry);
      // Memory has no room for it, or lacks something.
      return toValue(await viewOf(key).loadNow(key));
    },
    async ready(wait = {}) {
      checkOpen();
      await Promise.all(views.map((view) => view.follower.ready(wait).then(() => becomeWhole(view, wait))));
    },
  });
}
