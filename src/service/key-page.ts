/**
 * Pages of keys in key order, out of stores that have none. One pass keeps the smallest `limit` keys; pages of several
 * partitions are merged.
 */
import type { KeyPage, ListedKey, ListOptions } from './cache-service.ts';

/** Revision, size and the marks around them, as JSON. */
const lineBytes = 64;

const byKey = (a: ListedKey, b: ListedKey): number => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);

/** The next `limit` keys after `after` that begin with `prefix`. */
export function pageOf(
  keys: Iterable<ListedKey>,
  { prefix = '', after, limit }: ListOptions,
  isComplete: boolean,
): KeyPage {
  let best: ListedKey[] = [];
  let hasMore = false;
  let bound: string | undefined;
  for (const listed of keys) {
    const { key } = listed;
    if (!key.startsWith(prefix) || (after !== undefined && key <= after)) continue;
    if (bound !== undefined && key > bound) {
      hasMore = true;
      continue;
    }
    best.push(listed);
    // Cutting at twice the size makes the sorting linear in the number of keys.
    if (best.length < 2 * limit + 64) continue;
    best = best.sort(byKey).slice(0, limit);
    bound = best.at(-1)?.key;
    hasMore = true;
  }
  best.sort(byKey);
  hasMore ||= best.length > limit;
  best = best.slice(0, limit);
  return { keys: best, next: hasMore ? best.at(-1)?.key : undefined, isComplete };
}

/** The part of a page that has at most so many bytes of keys, and one key at least. */
export function cutPage(page: KeyPage, bytesMax: number): KeyPage {
  let bytes = 0;
  const end = page.keys.findIndex(({ key }) => {
    bytes += Buffer.byteLength(JSON.stringify(key)) + lineBytes;
    return bytes > bytesMax;
  });
  if (end < 0) return page;
  const keys = page.keys.slice(0, Math.max(1, end));
  return keys.length === page.keys.length ? page : { ...page, keys, next: keys.at(-1)?.key };
}

/** One page out of the pages of several partitions; each has `limit` keys, or says with `next` where it was cut. */
export function mergePages(pages: readonly KeyPage[], limit: number): KeyPage {
  // What a page that was cut has behind its end is not known here.
  const ends = pages.flatMap(({ next }) => next ?? []).sort();
  const [end] = ends;
  const all = pages
    .flatMap((page) => page.keys)
    .filter(({ key }) => end === undefined || key <= end)
    .sort(byKey);
  const keys = all.slice(0, limit);
  const hasMore = all.length > limit || pages.some((page) => page.next !== undefined);
  return { keys, next: hasMore ? keys.at(-1)?.key : undefined, isComplete: pages.every((page) => page.isComplete) };
}
