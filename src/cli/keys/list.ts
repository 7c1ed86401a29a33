/** list: the keys of a cache, read from its log. */
import { Option } from 'commander';
import type { IndexedKey } from '../../cluster/key-index.ts';
import { connectionNotes, connectionOptions, withCache } from '../command/connection.ts';
import type { Call, CommandSpec } from '../command/context.ts';
import { countOption, hasOption, textOption } from '../command/options.ts';
import { formatTable } from '../terminal/table.ts';
import { formatCount, isoTime, plural, showKey } from '../terminal/text.ts';
import { readKeys } from './read-keys.ts';

export const listCommand: CommandSpec = {
  usage: 'list <cache>',
  summary: 'list the keys of a cache in order, one per line',
  options: [
    new Option('--prefix <text>', 'only keys that begin with it'),
    new Option('--after <key>', 'only keys behind this one'),
    new Option('--limit <count>', 'at most so many'),
    new Option('--long', 'with revision, size, time, expiry and tags'),
    ...connectionOptions(),
  ],
  notes: `Reads the whole log of the cache, so it shows what every node will have. With --json: one object per line. A key that
holds control characters is shown as a JSON string. ${connectionNotes}`,
  async run(call) {
    const [cacheName = ''] = call.words;
    const limit = countOption(call.given, 'limit', 1) ?? Number.POSITIVE_INFINITY;
    return withCache(call, cacheName, async ({ host }) => {
      const partitions = await readKeys(call, host);
      const all = partitions.flatMap(({ index }) => [...index.entries(call.clock.now())]);
      show(call, selectKeys(all, call, limit), limit);
      return 'ok';
    });
  },
};

/** Sorted by UTF-16 code units, as the pages of a node are. */
function selectKeys(all: readonly IndexedKey[], { given }: Call, limit: number): IndexedKey[] {
  const prefix = textOption(given, 'prefix') ?? '';
  const after = textOption(given, 'after');
  return all
    .filter(({ key }) => key.startsWith(prefix) && (after === undefined || key > after))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .slice(0, limit);
}

function show({ terminal, given }: Call, keys: readonly IndexedKey[], limit: number): void {
  if (terminal.isJson) {
    for (const { key, revision, atMs, bytes, expiresAtMs, tags, contentType } of keys) {
      terminal.printJson({
        key,
        revision,
        bytes,
        at: isoTime(atMs),
        expires: isoTime(expiresAtMs),
        tags,
        type: contentType,
      });
    }
  } else if (hasOption(given, 'long')) {
    const rows = keys.map(({ key, revision, atMs, bytes, expiresAtMs, tags }) => [
      String(revision),
      formatCount(bytes),
      isoTime(atMs) ?? '',
      isoTime(expiresAtMs) ?? '-',
      tags?.map(showKey).join(',') ?? '-',
      showKey(key),
    ]);
    const head = ['revision', 'bytes', 'time', 'expires', 'tags', 'key'];
    for (const line of formatTable(head, rows, ['revision', 'bytes'])) terminal.print(line);
    terminal.note(plural(keys.length, 'key') + (keys.length === limit ? ', the limit' : ''));
  } else {
    for (const { key } of keys) terminal.print(showKey(key));
  }
}
