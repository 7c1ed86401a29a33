/** Caches of the in-process library over one partition's log in memory, without a server. */
import type { CacheHost } from '../../src/cluster/cache-host.ts';
import type { Session } from '../../src/cluster/session.ts';
import type { Codec } from '../../src/library/codec.ts';
import { json } from '../../src/library/codec.ts';
import type { CoherentCache } from '../../src/library/coherent-cache.ts';
import { openCache } from '../../src/library/open-cache.ts';
import { defaultSettings, type PartitionWorld, type Process, type ProcessOptions } from './partition-world.ts';

export interface Opened<Value> {
  readonly process: Process;
  readonly cache: CoherentCache<Value>;
  readonly notices: string[];
  /** Ends the library's connection, as `close` does. */
  close(): Promise<void>;
  /** Opens the same copy again. */
  reopen<Other>(codec: Codec<Other>): CoherentCache<Other>;
}

export interface OpenedOptions extends ProcessOptions {
  readonly ttlMs?: number;
}

export async function openIn<Value>(
  world: PartitionWorld,
  name: string,
  codec: Codec<Value> = json<Value>(),
  options: OpenedOptions = {},
): Promise<Opened<Value>> {
  const process = await world.process(name, options);
  const { view, log, cache: service } = process;
  const notices: string[] = [];
  const closing = new AbortController();
  const settings = { ...defaultSettings, ...options.settings };
  // What the library uses of them, and nothing else.
  const host = { name: 'demo', settings, cache: service, partitions: [{ view, log, subjects: world.subjects }] };
  const session = {
    options: { clock: world.clock, origin: name, onNotice: (_level: string, text: string) => void notices.push(text) },
    link: {
      get isConnected() {
        return log.isReachable;
      },
    },
  };
  const open = <Other>(of: Codec<Other>, isFirstCodec: boolean): CoherentCache<Other> =>
    openCache<Other>({
      host: host as unknown as CacheHost,
      session: session as unknown as Session,
      codec: of,
      isFirstCodec,
      ttlMs: options.ttlMs,
      closing: closing.signal,
    });
  return {
    process,
    cache: open(codec, true),
    notices,
    async close() {
      closing.abort();
      await view.stop();
    },
    reopen: (other) => open(other, false),
  };
}
