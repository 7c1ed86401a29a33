/**
 * A process that uses the library, and does what its parent says. Arguments: its name, the addresses of NATS, the caches.
 * It ends when its parent lets go of it.
 */
import { type CoherentCache, connect, isSluiceError, text } from '../../../../src/index.ts';

export type ClientCall =
  | { readonly do: 'local' | 'latest' | 'delete'; readonly cache: string; readonly key: string }
  | {
      readonly do: 'put';
      readonly cache: string;
      readonly key: string;
      readonly value: string;
      readonly tags?: readonly string[] | undefined;
      readonly ifRevision?: number | undefined;
      readonly ifAbsent?: boolean | undefined;
    }
  | { readonly do: 'reached'; readonly cache: string; readonly revision: number; readonly partition: number }
  | { readonly do: 'state'; readonly cache: string };

export interface ClientAnswer {
  readonly value?: string | null | undefined;
  readonly revision?: number | undefined;
  readonly lagMs?: number | undefined;
  readonly entries?: readonly { readonly key: string; readonly revision: number; readonly value: string }[];
  /** Of an error. */
  readonly code?: string;
  readonly message?: string;
}

export type ClientMessage =
  | { readonly id: number; readonly answer: ClientAnswer }
  | { readonly ready: true }
  | { readonly notice: string }
  | { readonly reset: { readonly cache: string; readonly partition: number; readonly reason: string } };

const [name = '', servers = '', names = ''] = process.argv.slice(2);
const tell = (message: ClientMessage): void => void (process.connected && process.send?.(message));

process.once('disconnect', () => process.exit(0));
const sluice = await connect({
  servers: servers.split(','),
  name,
  connectWaitMs: 60_000,
  onNotice: (_level, notice) => tell({ notice }),
});
const caches = new Map<string, CoherentCache<string>>();
for (const cache of names.split(',')) {
  const opened = await sluice.open<string>(cache, { codec: text(), create: false });
  opened.onChange((change) => {
    if (change.type === 'reset') tell({ reset: { cache, partition: change.partition, reason: change.reason } });
  });
  caches.set(cache, opened);
}

async function answer(call: ClientCall): Promise<ClientAnswer> {
  const cache = caches.get(call.cache);
  if (cache === undefined) throw new Error(`${call.cache} is not open`);
  switch (call.do) {
    case 'local': {
      if (!cache.isReady) return { code: 'not-ready' };
      const { ms, events } = cache.lag;
      const entry = cache.entry(call.key);
      // What was replaced in the log while nobody delivered leaves the copy before its successor comes: a miss then says nothing.
      if (entry === undefined && events > 0) return { code: 'not-ready' };
      return { value: entry?.value ?? null, revision: entry?.revision, ...(ms === Infinity ? {} : { lagMs: ms }) };
    }
    case 'latest':
      return { value: (await cache.latest(call.key, { waitMs: 5_000 })) ?? null };
    case 'delete':
      return { revision: (await cache.delete(call.key)).revision };
    case 'put': {
      const { tags, ifRevision, ifAbsent } = call;
      const written = await cache.put(call.key, call.value, {
        ...(tags === undefined ? {} : { tags }),
        ...(ifRevision === undefined ? {} : { ifRevision }),
        ...(ifAbsent === undefined ? {} : { ifAbsent }),
      });
      return { revision: written.revision };
    }
    case 'reached':
      await cache.reached({ revision: call.revision, partition: call.partition }, { waitMs: 30_000 });
      return {};
    case 'state':
      return {
        entries: [...cache.keys()].flatMap((key) => {
          const entry = cache.entry(key);
          return entry === undefined ? [] : [{ key, revision: entry.revision, value: entry.value }];
        }),
      };
  }
}

process.on('message', ({ id, call }: { id: number; call: ClientCall }) => {
  answer(call)
    .catch((error: unknown): ClientAnswer => {
      const message = error instanceof Error ? error.message : String(error);
      return isSluiceError(error) ? { code: error.code, message } : { code: 'unknown', message };
    })
    .then((done) => tell({ id, answer: done }));
});
tell({ ready: true });
