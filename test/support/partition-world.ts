/**
 * One partition's log in memory, and processes that each have a copy of it: the smallest world in which everything that
 * `replay/` and `service/` promise can be seen. Time stands still until it is moved.
 */
import type { CacheDeclaration } from '../../src/events/control.ts';
import {
  decodeBucketRecord,
  encodeClear,
  encodeDelete,
  encodePut,
  encodeTagInvalidation,
} from '../../src/events/entry.ts';
import type { Position } from '../../src/events/record.ts';
import { type BucketSubjects, bucketSubjects } from '../../src/events/subjects.ts';
import type { FollowerNotice } from '../../src/log/follower-options.ts';
import type { Log } from '../../src/log/log.ts';
import { createMemoryLog, type MemoryLog, type MemoryLogOptions } from '../../src/log/memory-log.ts';
import { createPartitionView, type PartitionView } from '../../src/replay/partition-view.ts';
import { createCache } from '../../src/service/cache.ts';
import type { CacheService } from '../../src/service/cache-service.ts';
import type { StoreLimits } from '../../src/store/entry-store.ts';
import { createFakeClock, type FakeClock } from '../../src/testing/fake-clock.ts';
import { createSeededRandom } from '../../src/testing/seeded-random.ts';
import { bytesOf, valueIn } from './entries.ts';
import { createGatedLog, type GatedLog } from './gated-log.ts';

export interface Process {
  readonly name: string;
  readonly log: GatedLog;
  readonly view: PartitionView;
  readonly cache: CacheService;
  readonly notices: FollowerNotice[];
  /** Told by the cache of background work that failed. */
  readonly problems: string[];
  /** The text of a key's value, from memory. */
  get(key: string): string | undefined;
  put(key: string, value: string, fields?: Parameters<CacheService['put']>[2]): Promise<Position>;
}

export interface ProcessOptions {
  readonly store?: StoreLimits;
  readonly settings?: Partial<CacheDeclaration>;
  readonly onMiss?: 'log' | 'none';
  /** What this process is told of the log, against what is true. */
  readonly log?: Partial<Log>;
  /** Whether to wait until the copy is ready. Default: true */
  readonly isAwaited?: boolean;
}

export interface PartitionWorld {
  readonly clock: FakeClock;
  readonly log: MemoryLog;
  readonly subjects: BucketSubjects;
  process(name: string, options?: ProcessOptions): Promise<Process>;
  /** Writes of somebody who has no copy; each resolves with its position. */
  readonly stranger: Stranger;
  /** `position type key-or-tag` of each message in the log, in order. */
  messages(): Promise<string[]>;
  stop(): Promise<void>;
}

export interface Stranger {
  put(
    key: string,
    value: string,
    fields?: { readonly tags?: readonly string[]; readonly basis?: Position; readonly expiresAtMs?: number },
  ): Promise<Position>;
  delete(key: string): Promise<Position>;
  clear(): Promise<Position>;
  tag(tag: string): Promise<Position>;
  /** Any message at all: header lines and body. */
  raw(subject: string, fields: string, body?: string): Promise<Position>;
}

const bucket = 'demo';

export const defaultSettings: CacheDeclaration = {
  partitions: 1,
  replicas: 'all',
  logReplicas: 1,
  entriesMax: 10_000,
  bytesMax: 10_000_000,
  logBytesMax: null,
  ttlMs: null,
  valueBytesMax: 100_000,
  whenFull: 'drop-oldest',
};

export function createPartitionWorld(options: Partial<MemoryLogOptions> = {}): PartitionWorld {
  const clock = createFakeClock();
  const subjects = bucketSubjects('sluice', bucket);
  const log = createMemoryLog({ name: `KV_${bucket}`, clock, subjects: subjects.all, ...options });
  const processes: Process[] = [];

  async function createProcess(name: string, of: ProcessOptions = {}): Promise<Process> {
    const gated = createGatedLog(log, of.log);
    const notices: FollowerNotice[] = [];
    const problems: string[] = [];
    const view = createPartitionView({
      log: gated,
      subjects,
      clock,
      random: createSeededRandom(7),
      store: of.store ?? { entriesMax: 10_000, bytesMax: 10_000_000 },
      onNotice: (notice) => notices.push(notice),
    });
    const cache = createCache({
      name: bucket,
      settings: { ...defaultSettings, ...of.settings },
      partitions: [{ log: gated, subjects, view }],
      clock,
      origin: name,
      onMiss: of.onMiss ?? 'log',
      waitMs: 1_000,
      tombstoneHorizonMs: 86_400_000,
      inBackground: (what, work) => work.catch((error: unknown) => problems.push(`${what}: ${String(error)}`)),
    });
    const process: Process = {
      name,
      log: gated,
      view,
      cache,
      notices,
      problems,
      get: (key) => valueIn(view.read(key)),
      put: async (key, value, fields) => (await cache.put(key, bytesOf(value), fields)).revision,
    };
    processes.push(process);
    await view.start();
    if (of.isAwaited !== false) {
      await clock.settle();
      await view.follower.ready();
    }
    return process;
  }

  const append = async (write: Parameters<Log['append']>[0]): Promise<Position> => (await log.append(write)).position;
  const origin = 'stranger';

  return {
    clock,
    log,
    subjects,
    process: createProcess,
    stranger: {
      put: (key, value, { tags, basis, expiresAtMs = Number.POSITIVE_INFINITY } = {}) =>
        append(
          encodePut(subjects, key, bytesOf(value), {
            expiresAtMs,
            tags,
            basis,
            contentType: undefined,
            origin,
            natsTtlMs: undefined,
          }),
        ),
      delete: (key) => append(encodeDelete(subjects, key, origin)),
      clear: () => append(encodeClear(subjects, origin, false)),
      tag: (tag) => append(encodeTagInvalidation(subjects, tag, origin)),
      raw: (subject, fields, body = '') => append({ subject, fields, data: bytesOf(body) }),
    },
    async messages() {
      const found: string[] = [];
      const reader = await log.open(1, {
        record(record) {
          const event = decodeBucketRecord({ subjects, log }, record);
          const what = 'key' in event ? event.key : event.type === 'tag.invalidated' ? event.tag : '';
          found.push(`${record.position} ${event.type} ${what}`.trimEnd());
        },
        idle: () => undefined,
        alive: () => undefined,
        ended: () => undefined,
      });
      await clock.settle();
      await reader.close();
      return found;
    },
    async stop() {
      await Promise.all(processes.map(({ view }) => view.stop()));
    },
  };
}
