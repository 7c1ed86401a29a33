/**
 * The changes of a cache as a stream of server-sent events. A reader that reconnects with the last id it has seen misses
 * nothing; one that cannot be served from there is told `reset`.
 */
import type { Position } from '../../../events/record.ts';
import type { Watch } from '../../../service/watch.ts';
import { chooseType } from '../header-text.ts';
import { parseWord } from '../input.ts';
import { notAcceptable } from '../problem.ts';
import { type Call, headerOf, paramOf, type Route, type RouteContext } from './route.ts';
import { parseWatchId, valueForms } from './watch-event.ts';
import { createWatchSession } from './watch-session.ts';

const type = 'text/event-stream';

export function watchRoutes(context: RouteContext): Route[] {
  const { service, clock, streams } = context;

  async function answer(call: Call): Promise<undefined> {
    if (chooseType(headerOf(call, 'accept'), [type]) === undefined) throw notAcceptable([type]);
    const values = parseWord('values', call.query.get('values') ?? 'none', valueForms);
    const { name, settings } = await service.openCache(paramOf(call, 'cache'));
    const from = resumeFrom(call, settings.partitions);
    let watch: Watch | undefined;
    let isOver = call.res.destroyed;

    function stop(): void {
      isOver = true;
      streams.delete(session.stream);
      watch
        ?.stop()
        .catch((error: unknown) => context.log.error({ err: error, cache: name }, 'a watch did not end cleanly'));
    }

    const session = createWatchSession({
      res: call.res,
      clock,
      limits: context.watchLimits,
      partitionCount: settings.partitions,
      from,
      prefix: call.query.get('prefix') ?? '',
      values,
      onEnd: stop,
    });
    streams.add(session.stream);
    try {
      watch = await service.watchCache(name, { from, onEvent: session.tell });
    } catch (error) {
      streams.delete(session.stream);
      throw error;
    }
    if (isOver) stop();
    else session.begin(watch);
  }

  return [{ methods: ['GET'], path: '/v1/caches/:cache/watch', query: ['prefix', 'values', 'from'], answer }];
}

/** `Last-Event-ID` is what a reconnecting reader knows now; `from` is what it began with. */
function resumeFrom(call: Call, partitionCount: number): Position[] | undefined {
  const last = headerOf(call, 'last-event-id');
  if (last !== undefined && last !== '') return parseWatchId('Last-Event-ID', last, partitionCount);
  const from = call.query.get('from');
  return from === undefined ? undefined : parseWatchId('from', from, partitionCount);
}
