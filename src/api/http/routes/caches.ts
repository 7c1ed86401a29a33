/**
 * Caches as a whole: declared, described, dropped, cleared, invalidated by tag.
 */
import { z } from 'zod';
import { isSluiceError, SluiceError } from '../../../errors.ts';
import type { CacheService, PartitionPositions } from '../../../service/cache-service.ts';
import { type Answer, emptyAnswer, jsonAnswer } from '../answer.ts';
import { parseJson, parseWord } from '../input.ts';
import { HttpProblem } from '../problem.ts';
import { type Call, headerOf, paramOf, type Route, type RouteContext, requireNothing } from './route.ts';

const path = '/v1/caches/:cache';
const tagsBody = z.strictObject({ tags: z.array(z.string()).min(1) });

export function cacheRoutes(context: RouteContext): Route[] {
  const { service } = context;

  async function declare(call: Call): Promise<Answer> {
    const name = paramOf(call, 'cache');
    const input = parseJson(headerOf(call, 'content-type'), call.body) ?? {};
    const { outcome, settings } = await service.declareCache(name, input);
    const isNew = outcome === 'created';
    return jsonAnswer(
      isNew ? 201 : 200,
      { name, outcome, settings },
      isNew ? ['Location', `/v1/caches/${encodeURIComponent(name)}`] : [],
    );
  }

  async function drop(call: Call): Promise<Answer> {
    const name = paramOf(call, 'cache');
    if (await service.dropCache(name)) return emptyAnswer(204, []);
    throw new SluiceError('cache-unknown', `no cache ${JSON.stringify(name.slice(0, 64))} is declared`, {
      details: { cache: name.slice(0, 64) },
    });
  }

  async function clear(call: Call): Promise<Answer> {
    const wait = parseWait(call);
    requireNothing(call);
    const cache = await service.openCache(paramOf(call, 'cache'));
    return changed(call, cache, await cache.clear(), wait);
  }

  async function invalidate(call: Call): Promise<Answer> {
    const wait = parseWait(call);
    const body = tagsBody.safeParse(parseJson(headerOf(call, 'content-type'), call.body));
    if (!body.success) {
      throw new SluiceError('bad-request', 'body: must be {"tags": ["a", …]} with at least one tag', {
        details: { field: 'body' },
      });
    }
    const cache = await service.openCache(paramOf(call, 'cache'));
    return changed(call, cache, await cache.invalidateTags(body.data.tags), wait);
  }

  /** Where the change stands in the log and, on request, who has applied it. */
  async function changed(
    call: Call,
    cache: CacheService,
    positions: PartitionPositions,
    wait: 'all' | undefined,
  ): Promise<Answer> {
    const place = placeOf(cache, positions);
    if (wait === undefined) return jsonAnswer(200, place);
    try {
      const nodes = await service.waitEverywhere(cache.name, positions, {
        waitMs: context.readWaitMaxMs,
        signal: call.signal,
      });
      return jsonAnswer(200, { ...place, nodes });
    } catch (error) {
      if (!isSluiceError(error)) throw error;
      // The change itself is in the log and will be applied: the answer must say so.
      throw new HttpProblem(error.code, error.message, { members: place }, error.details);
    }
  }

  return [
    {
      methods: ['GET', 'HEAD'],
      path: '/v1/caches',
      query: [],
      answer: async () => jsonAnswer(200, { caches: service.cacheNames() }),
    },
    {
      methods: ['GET', 'HEAD'],
      path,
      query: [],
      answer: async (call) => jsonAnswer(200, await service.describeCache(paramOf(call, 'cache'))),
    },
    { methods: ['PUT'], path, query: [], answer: declare },
    { methods: ['DELETE'], path, query: [], answer: drop },
    { methods: ['POST'], path: `${path}/clear`, query: ['wait'], answer: clear },
    { methods: ['POST'], path: `${path}/invalidate`, query: ['wait'], answer: invalidate },
  ];
}

function parseWait(call: Call): 'all' | undefined {
  const wait = call.query.get('wait');
  return wait === undefined ? undefined : parseWord('wait', wait, ['all']);
}

function placeOf(cache: CacheService, positions: PartitionPositions): Readonly<Record<string, unknown>> {
  if (cache.settings.partitions === 1) return { position: positions.get(0) };
  return { positions: Object.fromEntries([...positions].sort(([a], [b]) => a - b)) };
}
