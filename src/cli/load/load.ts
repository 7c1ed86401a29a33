/** load: the files of a folder into a cache, the relative path as the key. */
import { Option } from 'commander';
import { readBytes } from '../../config/units.ts';
import { connectionNotes, connectionOptions, withCache } from '../command/connection.ts';
import type { Call, CommandSpec } from '../command/context.ts';
import { countOption, durationOption, listOption, refuseOption, textOption, textsOption } from '../command/options.ts';
import type { ExitName } from '../exit-code.ts';
import { createProgress } from '../terminal/progress.ts';
import { formatCount, formatSize, formatSpan, plural, showKey } from '../terminal/text.ts';
import { createMatcher } from './glob.ts';
import { type Loaded, loadFiles } from './load-files.ts';
import { type Scan, scanFolder } from './scan-folder.ts';

const namedMax = 5;

export const loadCommand: CommandSpec = {
  usage: 'load <folder> <cache>',
  summary: 'put every file of a folder into a cache; the key is the path below the folder',
  endsItself: true,
  options: [
    new Option('--prefix <text>', 'stands before the path in each key'),
    new Option('--match <pattern>', 'only files of this pattern: *.js, docs/**/*.md'),
    new Option('--limit <count>', 'at most so many files'),
    new Option('--limit-bytes <size>', 'at most so many bytes in all, e.g. 64MiB'),
    new Option('--ttl <duration>', 'life of the entries [that of the cache]'),
    listOption('--tag <tag>', 'tag of the entries; may be repeated, or have commas', true),
    ...connectionOptions(),
  ],
  notes: `The content type follows from the end of the name. Links are not followed; files above the largest value of the cache are
passed over and counted. Exit 1 when some files could not be read or stored. ${connectionNotes}`,
  async run(call) {
    const [folder = '', cacheName = ''] = call.words;
    const { given, terminal, clock, signal } = call;
    const pattern = textOption(given, 'match');
    const limits = {
      matches: pattern === undefined ? () => true : createMatcher(pattern),
      filesMax: countOption(given, 'limit', 1) ?? Number.POSITIVE_INFINITY,
      bytesMax: bytesOption(call, 'limitBytes') ?? Number.POSITIVE_INFINITY,
    };
    const ttlMs = durationOption(given, 'ttl');
    return withCache(call, cacheName, async ({ host }) => {
      terminal.status(`looking through ${folder}`);
      const scan = await scanFolder(folder, { ...limits, fileBytesMax: host.settings.valueBytesMax }, signal);
      const total = scan.files.length;
      const progress = createProgress({ terminal, clock, what: 'loading', total, unit: 'files' });
      const startedMs = clock.monotonic();
      const loaded = await loadFiles({
        cache: host.cache,
        folder,
        files: scan.files,
        prefix: textOption(given, 'prefix') ?? '',
        ttlMs,
        tags: textsOption(given, 'tag'),
        signal,
        onProgress: progress.update,
      }).finally(progress.end);
      return report(call, scan, loaded, clock.monotonic() - startedMs);
    });
  },
};

function bytesOption({ given }: Call, name: string): number | undefined {
  const text = textOption(given, name);
  if (text === undefined) return undefined;
  return readBytes(text) ?? refuseOption(name, text, 'must be a size such as 64MiB');
}

function report({ terminal, words, signal }: Call, scan: Scan, loaded: Loaded, elapsedMs: number): ExitName {
  const [, cache = ''] = words;
  const { stored, bytes, refused } = loaded;
  const unreadable = [...scan.unreadable, ...loaded.unreadable];
  if (terminal.isJson) {
    const positions = Object.fromEntries([...loaded.positions].sort(([a], [b]) => a - b));
    const { tooLarge, links, isCut } = scan;
    terminal.printJson({
      cache,
      stored,
      bytes,
      tooLarge,
      links,
      refused,
      unreadable,
      cutByLimit: isCut,
      elapsedMs: Math.round(elapsedMs),
      positions,
    });
  } else {
    const perSecond = elapsedMs > 0 ? Math.round((stored / elapsedMs) * 1000) : stored;
    terminal.print(
      `${cache}: ${plural(stored, 'file')}, ${formatSize(bytes)} in ${formatSpan(elapsedMs)} (${formatCount(perSecond)}/s)`,
    );
    if (scan.tooLarge > 0) terminal.note(`passed over: ${plural(scan.tooLarge, 'file')} above the largest value`);
    if (scan.links > 0) terminal.note(`passed over: ${plural(scan.links, 'link')}`);
    if (scan.isCut) terminal.note('ended by the limit: there are more files');
    nameSome(terminal.note, 'not stored', refused);
    nameSome(terminal.note, 'not readable', unreadable);
  }
  if (signal.aborted) return 'interrupted';
  return refused.length + unreadable.length > 0 ? 'negative' : 'ok';
}

function nameSome(note: (text: string) => void, what: string, lines: readonly string[]): void {
  for (const line of lines.slice(0, namedMax)) note(`${what}: ${showKey(line)}`);
  if (lines.length > namedMax) note(`${what}: and ${formatCount(lines.length - namedMax)} more`);
}
