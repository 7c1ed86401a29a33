/**
 * The in-process cache over the copies of one cache. Reads touch memory only: one look into the store, and a value is decoded
 * once per revision.
 */
import { createQueue } from '../base/queue.ts';
import type { WaitOptions } from '../base/waiters.ts';
import { abortedBy } from '../base/waiters.ts';
import type { CacheHost } from '../cluster/cache-host.ts';
import type { Session } from '../cluster/session.ts';
import { messageOf, SluiceError } from '../errors.ts';
import { validateKey } from '../events/key.ts';
import { partitionOf } from '../placement/partition.ts';
import type { Change, PartitionView } from '../replay/partition-view.ts';
import type { Written } from '../service/cache-service.ts';
import { type Entry, notDecoded } from '../store/entry-store.ts';
import type { Codec } from './codec.ts';
import type { CacheChange, CoherentCache, EntryView, Loader, LoadOptions, WriteOptions } from './coherent-cache.ts';
import { createLoadFlights, freshnessOf, storeLoaded } from './loads.ts';

export interface OpenedOptions<Value> {
  readonly host: CacheHost;
  readonly session: Session;
  readonly codec: Codec<Value>;
  /** Life of what this process writes without saying; undefined: the cache's own. */
  readonly ttlMs: number | undefined;
  readonly closing: AbortSignal;
}

/** Stands in an entry whose bytes the codec refused. */
const undecodable: unique symbol = Symbol('undecodable');
const changesWaitingMax = 10_000;

export function openCache<Value>(options: OpenedOptions<Value>): CoherentCache<Value> {
  const { host, session, codec, closing } = options;
  const { clock, origin } = session.options;
  const views: PartitionView[] = host.partitions.map(({ view, log }) => {
    if (view === undefined) throw new SluiceError('internal', `${log.name}: not held by this process`);
    return view;
  });
  const [only] = views.length === 1 ? views : [];
  const flights = createLoadFlights<Value>();
  const counters = { loads: 0, loadFailures: 0, loadsFenced: 0, undecodable: 0 };

  function viewOf(key: string): PartitionView {
    if (only !== undefined) return only;
    const view = views[partitionOf(key, views.length)];
    if (view === undefined) throw new SluiceError('internal', `${host.name}: no partition for the key`);
    return view;
  }

  function decode(entry: Entry): Value | undefined {
    if (entry.decoded === undecodable) return undefined;
    try {
      entry.decoded = codec.decode(entry.value);
      return entry.decoded as Value;
    } catch (error) {
      entry.decoded = undecodable;
      counters.undecodable += 1;
      session.options.onNotice(
        'warn',
        `${host.name}: the value of ${JSON.stringify(entry.key.slice(0, 64))} cannot be decoded: ${messageOf(error)}`,
      );
      return undefined;
    }
  }

  function decodedOf(entry: Entry | undefined): Value | undefined {
    if (entry === undefined) return undefined;
    const { decoded } = entry;
    return decoded === notDecoded || decoded === undecodable ? decode(entry) : (decoded as Value);
  }

  function entryView(entry: Entry | undefined): EntryView<Value> | undefined {
    const value = decodedOf(entry);
    if (entry === undefined || value === undefined) return undefined;
    const { revision, atMs, expiresAtMs, tags } = entry;
    return { value, revision, atMs, expiresAtMs, tags: tags ?? [] };
  }

  function put(key: string, value: Value, write: WriteOptions = {}): Promise<Written> {
    return host.cache.put(key, codec.encode(value), {
      ...write,
      ttlMs: write.ttlMs ?? options.ttlMs,
      contentType: codec.contentType,
    });
  }

  async function getOrLoad(key: string, load: Loader<Value>, loading: LoadOptions = {}): Promise<Value | undefined> {
    validateKey(key);
    if (loading.signal?.aborted) throw abortedBy(loading.signal);
    const view = viewOf(key);
    let entry = view.read(key);
    // Memory may have evicted what the log still has.
    if (entry === undefined && view.store.hasEvicted && session.link.isConnected)
      entry = await view.load(key).catch(() => undefined);
    const value = decodedOf(entry);
    if (entry !== undefined && value !== undefined) {
      const { staleForMs } = freshnessOf(entry, loading.ttlMs ?? options.ttlMs, clock.now());
      if (staleForMs === 0) return value;
      const replaced = flights.run(key, () => loadNow(view, key, entry, load, loading));
      if (staleForMs <= (loading.staleWhileRevalidateMs ?? 0)) {
        replaced.catch(() => undefined);
        return value;
      }
      const isGood = staleForMs <= (loading.staleIfErrorMs ?? 0);
      return withSignal(isGood ? replaced.catch(() => value) : replaced, loading.signal);
    }
    return withSignal(
      flights.run(key, () => loadNow(view, key, entry, load, loading)),
      loading.signal,
    );
  }

  async function loadNow(
    view: PartitionView,
    key: string,
    old: Entry | undefined,
    load: Loader<Value>,
    loading: LoadOptions,
  ): Promise<Value | undefined> {
    const basis = Math.max(view.follower.applied, old?.revision ?? 0);
    counters.loads += 1;
    let value: Value | undefined;
    try {
      value = await load(key, closing);
    } catch (error) {
      counters.loadFailures += 1;
      throw error;
    }
    if (value === undefined) return undefined;
    const ttlMs = loading.ttlMs ?? options.ttlMs ?? host.settings.ttlMs ?? undefined;
    const graceMs = Math.max(loading.staleWhileRevalidateMs ?? 0, loading.staleIfErrorMs ?? 0);
    const encoded = codec.encode(value);
    if (encoded.length > host.settings.valueBytesMax) return value;
    const outcome = await storeLoaded(
      { view, clock, origin, isLogReachable: () => session.link.isConnected },
      {
        key,
        value: encoded,
        contentType: codec.contentType,
        tags: loading.tags,
        expiresAtMs: ttlMs === undefined ? Number.POSITIVE_INFINITY : Math.ceil(clock.now() + ttlMs + graceMs),
        basis,
        replaces: old?.revision ?? 0,
      },
    );
    if (outcome === 'fenced') counters.loadsFenced += 1;
    return value;
  }

  function toChange(change: Change, partition: number): CacheChange<Value> {
    if (change.type === 'rebuilt')
      return { type: 'reset', reason: change.reason, position: change.position, partition };
    if (change.type !== 'put') return { ...change, partition };
    return { type: 'put', key: change.key, value: decodedOf(change.entry), position: change.position, partition };
  }

  function onChange(listener: (change: CacheChange<Value>) => void): () => void {
    const stops = views.map((view, partition) => view.listen((change) => listener(toChange(change, partition))));
    return () => {
      for (const stop of stops) stop();
    };
  }

  const total = (read: (view: PartitionView) => number): number => views.reduce((sum, view) => sum + read(view), 0);

  return {
    name: host.name,
    get(key) {
      const entry = (only ?? viewOf(key)).read(key);
      if (entry === undefined) return undefined;
      const { decoded } = entry;
      return decoded === notDecoded || decoded === undecodable ? decode(entry) : (decoded as Value);
    },
    entry: (key) => entryView(viewOf(key).read(key)),
    has: (key) => viewOf(key).peek(key) !== undefined,
    get size() {
      return only === undefined ? total((view) => view.store.size) : only.store.size;
    },
    *keys() {
      for (const view of views) for (const entry of view.store.entries()) yield entry.key;
    },
    *entries() {
      for (const view of views) {
        for (const entry of view.store.entries()) {
          const value = decodedOf(entry);
          if (value !== undefined) yield [entry.key, value];
        }
      }
    },
    put,
    delete: (key, write = {}) => host.cache.delete(key, write),
    getOrLoad,
    memoize(call, memo = {}) {
      const keyOf = memo.key ?? ((...args) => JSON.stringify(args));
      return (...args) => getOrLoad(keyOf(...args), async () => call(...args), memo);
    },
    async clear(write = {}) {
      await host.cache.clear(write);
    },
    async invalidateTags(tags, write = {}) {
      await host.cache.invalidateTags(tags, write);
    },
    changes: ({ signal } = {}) =>
      iterateChanges(onChange, signal === undefined ? closing : AbortSignal.any([signal, closing])),
    onChange,
    async reached(written, wait: WaitOptions = {}) {
      if (typeof written !== 'number') return views[written.partition]?.follower.reached(written.revision, wait);
      if (only === undefined)
        throw new SluiceError(
          'bad-request',
          `${host.name}: has ${views.length} partitions; pass what put returned, not a plain position`,
        );
      return only.follower.reached(written, wait);
    },
    async latest(key, wait: WaitOptions = {}) {
      await host.cache.get(key, { consistency: 'latest', ...wait });
      const view = viewOf(key);
      return decodedOf(view.peek(key) ?? (view.isComplete ? undefined : await view.load(key)));
    },
    get lag() {
      return {
        events: total((view) => view.follower.lagEvents),
        ms: Math.max(...views.map((view) => view.follower.lagMs())),
      };
    },
    get isReady() {
      return views.every((view) => view.follower.isReady);
    },
    async ready(wait = {}) {
      await Promise.all(views.map((view) => view.follower.ready(wait)));
    },
    get stats() {
      return {
        ...counters,
        hits: total((view) => view.store.counters.hits),
        misses: total((view) => view.store.counters.misses),
        entries: total((view) => view.store.size),
        bytes: total((view) => view.store.bytes),
      };
    },
  };
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

async function* iterateChanges<Item>(
  listen: (listener: (item: Item) => void) => () => void,
  signal: AbortSignal,
): AsyncIterableIterator<Item> {
  const waiting = createQueue<Item>();
  let wake: (() => void) | undefined;
  let isOverrun = false;
  const notify = (): void => {
    wake?.();
    wake = undefined;
  };
  const stop = listen((item) => {
    if (waiting.size >= changesWaitingMax) isOverrun = true;
    else waiting.push(item);
    notify();
  });
  signal.addEventListener('abort', notify, { once: true });
  try {
    while (!signal.aborted) {
      const next = waiting.shift();
      if (next !== undefined) yield next;
      else if (isOverrun)
        throw new SluiceError('slow-consumer', `more than ${changesWaitingMax} changes were waiting to be taken`);
      else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    stop();
    signal.removeEventListener('abort', notify);
  }
}
