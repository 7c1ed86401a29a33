/** watch: the changes of a cache as they happen. */
import { Option } from 'commander';
import type { WatchEvent } from '../../service/watch.ts';
import { watchCache } from '../../service/watch.ts';
import { isoTime, jsonValue, plural, previewValue, showKey } from '../terminal/text.ts';
import { connectionNotes, connectionOptions, withCache } from './connection.ts';
import type { CommandSpec } from './context.ts';
import { countOption, hasOption, textOption } from './options.ts';

export const watchCommand: CommandSpec = {
  usage: 'watch <cache>',
  summary: 'show puts, deletes, clears and tag invalidations as they happen, until Ctrl-C',
  endsItself: true,
  options: [
    new Option('--prefix <text>', 'only keys that begin with it (clears and tags are always shown)'),
    new Option('--from <position>', 'begin behind this position of the log (0: with all that it holds) [now]'),
    new Option('--limit <count>', 'end after so many events'),
    new Option('--no-values', 'leave the values out'),
    ...connectionOptions(),
  ],
  notes: `A partitioned cache has one log per partition: --from applies to each, and events are in order within one.
Exit code 0 at Ctrl-C. ${connectionNotes}`,
  async run(call) {
    const [cacheName = ''] = call.words;
    const { given, terminal, clock, random, signal } = call;
    const prefix = textOption(given, 'prefix') ?? '';
    const from = countOption(given, 'from');
    const limit = countOption(given, 'limit', 1) ?? Number.POSITIVE_INFINITY;
    const hasValues = hasOption(given, 'values');
    return withCache(call, cacheName, async ({ host }) => {
      let shown = 0;
      let finish: () => void = () => undefined;
      const done = new Promise<void>((resolve) => {
        finish = resolve;
      });
      signal.addEventListener('abort', finish, { once: true });
      if (signal.aborted) finish();
      const watch = await watchCache({
        partitions: host.partitions,
        clock,
        random,
        from: from === undefined ? undefined : host.partitions.map(() => from),
        backlogMax: Number.POSITIVE_INFINITY,
        onEvent(event, partition) {
          if (shown >= limit || ('key' in event && !event.key.startsWith(prefix))) return;
          shown += 1;
          if (terminal.isJson) terminal.printJson(toJson(event, partition, hasValues));
          else terminal.print(formatWatchEvent(event, host.partitions.length > 1 ? partition : undefined, hasValues));
          if (shown === limit) finish();
        },
      });
      terminal.note(`watching ${cacheName} from ${watch.positions.join(', ')}; Ctrl-C ends it`);
      await done;
      await watch.stop();
      return 'ok';
    });
  },
};

function toJson(event: WatchEvent, partition: number, hasValues: boolean): unknown {
  if (event.type !== 'put') return { ...event, partition };
  const { type, key, position, value, contentType, tags, expiresAtMs } = event;
  return {
    type,
    key,
    position,
    partition,
    bytes: value.length,
    contentType,
    tags,
    expires: isoTime(expiresAtMs),
    ...(hasValues ? jsonValue(value) : {}),
  };
}

/** `put     17  greeting  5 bytes "hello"` */
export function formatWatchEvent(event: WatchEvent, partition: number | undefined, hasValues: boolean): string {
  const place = partition === undefined ? String(event.position) : `${partition}:${event.position}`;
  return `${event.type.padEnd(6)} ${place.padStart(8)}  ${describe(event, hasValues)}`.trimEnd();
}

function describe(event: WatchEvent, hasValues: boolean): string {
  switch (event.type) {
    case 'put': {
      const { key, value, contentType, tags, expiresAtMs } = event;
      const parts = [
        showKey(key),
        plural(value.length, 'byte'),
        hasValues ? previewValue(value) : '',
        contentType ?? '',
        tags === undefined ? '' : `tags ${tags.map(showKey).join(',')}`,
        Number.isFinite(expiresAtMs) ? `expires ${isoTime(expiresAtMs)}` : '',
      ];
      return parts.filter((part) => part !== '').join('  ');
    }
    case 'delete':
      return showKey(event.key);
    case 'tag':
      return showKey(event.tag);
    case 'clear':
      return 'all entries';
    case 'reset':
      return `what was shown before is void: ${event.reason}`;
  }
}
