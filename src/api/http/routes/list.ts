/**
 * The keys of a cache: one page as JSON, or all of them as one JSON object per line, read page by page no faster than the
 * client takes them.
 */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { SluiceError } from '../../../errors.ts';
import type { CacheService, ListOptions } from '../../../service/cache-service.ts';
import { type Answer, jsonAnswer } from '../answer.ts';
import { chooseType } from '../header-text.ts';
import { parseCount } from '../input.ts';
import { notAcceptable } from '../problem.ts';
import { type Call, headerOf, paramOf, type Route, type RouteContext } from './route.ts';

const limitDefault = 100;
const limitMax = 1000;
/** Larger than that of single pages: each page is one pass over the store. */
const streamedPage = 10_000;
const types = ['application/json', 'application/x-ndjson'] as const;

export function listRoutes(context: RouteContext): Route[] {
  async function answer(call: Call): Promise<Answer | undefined> {
    const type = chooseType(headerOf(call, 'accept'), types);
    if (type === undefined) throw notAcceptable(types);
    const limit = call.query.get('limit');
    const wanted: ListOptions = {
      prefix: call.query.get('prefix'),
      after: call.query.get('after'),
      limit: limit === undefined ? limitDefault : parseCount('limit', limit, 1, limitMax),
    };
    if (type === 'application/x-ndjson' && limit !== undefined) {
      throw new SluiceError(
        'bad-request',
        'limit: a stream of all keys has none; leave it out, or accept application/json',
        {
          details: { field: 'limit' },
        },
      );
    }
    const cache = await context.service.openCache(paramOf(call, 'cache'));
    if (type === 'application/x-ndjson') return streamAll(cache, wanted, call, context);
    const { keys, next, isComplete } = await cache.list(wanted);
    return jsonAnswer(200, { keys, next, complete: isComplete }, ['Vary', 'Accept']);
  }

  return [{ methods: ['GET', 'HEAD'], path: '/v1/caches/:cache/keys', query: ['prefix', 'after', 'limit'], answer }];
}

/** The last line says how many there were and whether they are all: a stream without it was cut off. */
async function streamAll(
  cache: CacheService,
  wanted: ListOptions,
  call: Call,
  context: RouteContext,
): Promise<undefined> {
  const { res, signal } = call;
  const { prefix } = wanted;
  let page = await cache.list({ ...wanted, limit: streamedPage });
  res.writeHead(200, ['Content-Type', 'application/x-ndjson', 'Vary', 'Accept']);
  if (res.req.method === 'HEAD') {
    res.end();
    return;
  }
  let count = 0;
  let isComplete = true;
  try {
    for (;;) {
      count += page.keys.length;
      isComplete &&= page.isComplete;
      const lines = page.keys.map((listed) => `${JSON.stringify(listed)}\n`).join('');
      if (lines !== '' && !res.write(lines)) await drained(res, signal);
      if (page.next === undefined || signal.aborted) break;
      await context.clock.yield();
      page = await cache.list({ prefix, after: page.next, limit: streamedPage });
    }
    res.end(`${JSON.stringify({ count, complete: isComplete })}\n`);
  } catch (error) {
    // The status is sent already; a connection cut short is the only failure that every client sees.
    if (!signal.aborted) context.log.error({ err: error, cache: cache.name }, 'a list of keys was cut short');
    res.destroy();
  }
}

async function drained(res: ServerResponse, signal: AbortSignal): Promise<void> {
  if (res.writableNeedDrain && !signal.aborted) await once(res, 'drain', { signal });
}
