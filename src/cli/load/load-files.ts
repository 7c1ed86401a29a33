/** Files into a cache: many at once, within a bound of memory, and what cannot be stored is counted and not hidden. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isSluiceError, messageOf } from '../../errors.ts';
import type { Position } from '../../events/record.ts';
import type { CacheService } from '../../service/cache-service.ts';
import { contentTypeOf } from './content-type.ts';
import type { FoundFile } from './scan-folder.ts';

export interface LoadOptions {
  readonly cache: CacheService;
  readonly folder: string;
  readonly files: readonly FoundFile[];
  /** Stands before the path in each key. */
  readonly prefix: string;
  readonly ttlMs?: number | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, bytes: number) => void;
}

export interface Loaded {
  readonly stored: number;
  readonly bytes: number;
  /** Files that the cache or the server refused: too large, or no key. Paths and reasons. */
  readonly refused: readonly string[];
  readonly unreadable: readonly string[];
  /** By partition: everything stored is at or below. */
  readonly positions: ReadonlyMap<number, Position>;
}

const filesAtOnce = 64;
const bytesAtOnce = 64 * 1024 * 1024;

/** Rejects with the first write that failed for another reason than its file; what was stored before stays. */
export async function loadFiles(options: LoadOptions): Promise<Loaded> {
  const { cache, folder, files, prefix, ttlMs, tags, signal } = options;
  const refused: string[] = [];
  const unreadable: string[] = [];
  const positions = new Map<number, Position>();
  const underWay = new Set<Promise<void>>();
  let bytesUnderWay = 0;
  let stored = 0;
  let bytes = 0;
  let done = 0;
  let failure: { readonly error: unknown } | undefined;

  async function store({ path }: FoundFile): Promise<void> {
    let value: Uint8Array;
    try {
      value = await readFile(join(folder, path));
    } catch (error) {
      unreadable.push(`${path}: ${messageOf(error)}`);
      return;
    }
    try {
      const put = { contentType: contentTypeOf(path), ttlMs, tags, signal };
      const { partition, revision } = await cache.put(prefix + path, value, put);
      positions.set(partition, Math.max(revision, positions.get(partition) ?? 0));
      stored += 1;
      bytes += value.length;
    } catch (error) {
      if (!isSluiceError(error, 'too-large') && !isSluiceError(error, 'bad-key')) throw error;
      refused.push(`${path}: ${error.message}`);
    }
  }

  function begin(file: FoundFile): void {
    bytesUnderWay += file.bytes;
    const work = store(file)
      .catch((error: unknown) => {
        failure ??= { error };
      })
      .finally(() => {
        underWay.delete(work);
        bytesUnderWay -= file.bytes;
        done += 1;
        options.onProgress(done, bytes);
      });
    underWay.add(work);
  }

  for (const file of files) {
    while (underWay.size >= filesAtOnce || (underWay.size > 0 && bytesUnderWay + file.bytes > bytesAtOnce)) {
      await Promise.race(underWay);
    }
    if (failure !== undefined || signal.aborted) break;
    begin(file);
  }
  await Promise.all(underWay);
  if (failure !== undefined && !signal.aborted) throw failure.error;
  return { stored, bytes, refused, unreadable, positions };
}
