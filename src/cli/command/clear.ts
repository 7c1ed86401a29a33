/**
 * clear and invalidate: one event each, after which entries are void everywhere. A clear also removes them from the stream, so
 * that other KV clients see the same; after an invalidation they are deleted one by one, and the command waits for that.
 */
import { Option } from 'commander';
import { isSluiceError, messageOf } from '../../errors.ts';
import type { PartitionPositions } from '../../service/cache-service.ts';
import { readKeys } from '../keys/read-keys.ts';
import { formatCount, plural, showKey } from '../terminal/text.ts';
import { connectionNotes, connectionOptions, type OpenedCache, withCache } from './connection.ts';
import type { Call, CommandSpec } from './context.ts';
import { hasOption } from './options.ts';

const deletesAtOnce = 16;

export const clearCommand: CommandSpec = {
  usage: 'clear <cache>',
  summary: 'make every entry of a cache void, with one event',
  options: connectionOptions(),
  notes: `Prints the position of the event; from there on no node serves an older entry. ${connectionNotes}`,
  async run(call) {
    const [cacheName = ''] = call.words;
    return withCache(call, cacheName, async ({ host }) => {
      const positions = await host.cache.clear({ signal: call.signal });
      report(call, positions, { cache: cacheName }, `${cacheName}: cleared`);
      return 'ok';
    });
  },
};

export const invalidateCommand: CommandSpec = {
  usage: 'invalidate <cache> <tag...>',
  summary: 'make every entry that carries one of the tags void, with one event per tag',
  options: [
    new Option('--no-purge', 'do not remove the void entries from the stream; other KV clients go on seeing them'),
    ...connectionOptions(),
  ],
  notes: `Prints the position of the last event. ${connectionNotes}`,
  async run(call) {
    const [cacheName = '', ...tags] = call.words;
    return withCache(call, cacheName, async (opened) => {
      const positions = await opened.host.cache.invalidateTags(tags, { signal: call.signal });
      const removed = hasOption(call.given, 'purge') ? await tryToRemove(call, opened) : undefined;
      const shown = tags.map(showKey).join(', ');
      const what = removed === undefined ? '' : `, ${plural(removed, 'entry').replace('entrys', 'entries')} removed`;
      report(call, positions, { cache: cacheName, tags, removed }, `${cacheName}: ${shown} invalidated${what}`);
      return 'ok';
    });
  },
};

/** The event is in the log already: what fails now does not undo it. */
const notRemoved = (error: unknown): string =>
  `warning: the void entries were not removed from the stream, so other KV clients may still see them: ${messageOf(error)}`;

async function tryToRemove(call: Call, opened: OpenedCache): Promise<number | undefined> {
  try {
    return await removeVoid(call, opened);
  } catch (error) {
    call.terminal.note(notRemoved(error));
    return undefined;
  }
}

/** Deletes void entries that are still in the streams, if they still have their revisions; resolves with their number. */
async function removeVoid(call: Call, { host }: OpenedCache): Promise<number> {
  const doomed = (await readKeys(call, host)).flatMap(({ index }) => [...index.invalidated]);
  let removed = 0;
  const worker = async (): Promise<void> => {
    for (let next = doomed.pop(); next !== undefined && !call.signal.aborted; next = doomed.pop()) {
      const [key, ifRevision] = next;
      try {
        await host.cache.delete(key, { ifRevision, signal: call.signal });
        removed += 1;
      } catch (error) {
        // Something newer stands there already.
        if (!isSluiceError(error, 'position-conflict')) throw error;
      }
      call.terminal.status(`removing void entries: ${formatCount(removed)} done, ${formatCount(doomed.length)} left`);
    }
  };
  await Promise.all(Array.from({ length: deletesAtOnce }, worker));
  call.terminal.status(undefined);
  return removed;
}

function report({ terminal }: Call, positions: PartitionPositions, facts: object, text: string): void {
  const places = [...positions].sort(([a], [b]) => a - b);
  if (terminal.isJson) {
    const place = places.length === 1 ? { position: places[0]?.[1] } : { positions: Object.fromEntries(places) };
    terminal.printJson({ ...facts, ...place });
  } else {
    const where =
      places.length === 1
        ? `position ${places[0]?.[1]}`
        : `positions ${places.map(([partition, position]) => `${partition}:${position}`).join(' ')}`;
    terminal.print(`${text} at ${where}`);
  }
}
