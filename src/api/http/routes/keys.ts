/**
 * One key: read, written, deleted. Freshness demands and conditions of HTTP become options of the cache; the rules
 * themselves are behind the service.
 */
import { SluiceError } from '../../../errors.ts';
import type { Position } from '../../../events/record.ts';
import type { CacheService, PutOptions, ReadOptions } from '../../../service/cache-service.ts';
import { type Answer, emptyAnswer } from '../answer.ts';
import { demandedRevision, formatEntityTag, isMatch, parseCondition, revisionConflict } from '../conditions.ts';
import { entryAnswer, notModifiedAnswer } from '../entry-answer.ts';
import { parseTagList } from '../header-text.ts';
import { keyOf, parsePosition, parseTime, parseWord, refuse } from '../input.ts';
import { HttpProblem } from '../problem.ts';
import { type Call, headerOf, paramOf, type Route, type RouteContext } from './route.ts';

const path = '/v1/caches/:cache/keys/*';

export function keyRoutes(context: RouteContext): Route[] {
  const { service, clock } = context;

  async function read(call: Call): Promise<Answer> {
    const key = keyOf(call.url);
    const ifMatch = parseCondition('If-Match', headerOf(call, 'if-match'));
    const ifNoneMatch = parseCondition('If-None-Match', headerOf(call, 'if-none-match'));
    const options = readOptions(call, context.readWaitMaxMs);
    const cache = await service.openCache(paramOf(call, 'cache'));
    const { found, position } = await cache.get(key, options);
    if (found === undefined) throw missing(cache, key, position);
    if (ifMatch !== undefined && !isMatch(ifMatch, found.revision, 'strong')) throw revisionConflict(found.revision);
    if (ifNoneMatch !== undefined && isMatch(ifNoneMatch, found.revision, 'weak')) {
      return notModifiedAnswer(found, position, clock.now());
    }
    return entryAnswer(found, position, clock.now());
  }

  async function put(call: Call): Promise<Answer> {
    const key = keyOf(call.url);
    refuseTransformed(call);
    const ttl = call.query.get('ttl');
    const tags = headerOf(call, 'sluice-tags');
    const options: PutOptions = {
      ttlMs: ttl === undefined ? undefined : parseTime('ttl', ttl),
      tags: tags === undefined ? undefined : parseTagList(tags),
      contentType: headerOf(call, 'content-type'),
    };
    const ifMatch = parseCondition('If-Match', headerOf(call, 'if-match'));
    const ifAbsent = parseIfAbsent(call);
    if (ifAbsent && ifMatch !== undefined) {
      throw new SluiceError('bad-request', 'If-Match and If-None-Match: only one of both can be demanded of a write');
    }
    const cache = await service.openCache(paramOf(call, 'cache'));
    const ifRevision = ifMatch === undefined ? undefined : await demandedRevision(cache, key, ifMatch, call.signal);
    const { revision } = await cache.put(key, call.body, { ...options, ifAbsent, ifRevision });
    return emptyAnswer(204, ['ETag', formatEntityTag(revision), 'Sluice-Position', String(revision)]);
  }

  async function remove(call: Call): Promise<Answer> {
    const key = keyOf(call.url);
    const ifMatch = parseCondition('If-Match', headerOf(call, 'if-match'));
    if (headerOf(call, 'if-none-match') !== undefined) {
      throw new SluiceError('bad-request', 'If-None-Match: has no meaning for a delete', {
        details: { field: 'If-None-Match' },
      });
    }
    const cache = await service.openCache(paramOf(call, 'cache'));
    const ifRevision = ifMatch === undefined ? undefined : await demandedRevision(cache, key, ifMatch, call.signal);
    const { revision } = await cache.delete(key, { ifRevision });
    return emptyAnswer(204, ['Sluice-Position', String(revision)]);
  }

  return [
    { methods: ['GET', 'HEAD'], path, query: ['consistency', 'wait'], answer: read },
    // A write that has begun is not given up with its client: it is bounded by its own deadline, and its outcome is known.
    { methods: ['PUT'], path, query: ['ttl'], bodyBytesMax: context.bodyBytesMax, answer: put },
    { methods: ['DELETE'], path, query: [], answer: remove },
  ];
}

/** What the client demands of the answer's age. */
function readOptions(call: Call, waitMaxMs: number): ReadOptions {
  const consistency = call.query.get('consistency');
  const wait = call.query.get('wait');
  const minPosition = headerOf(call, 'sluice-min-position');
  const maxStaleness = headerOf(call, 'sluice-max-staleness');
  return {
    consistency: consistency === undefined ? undefined : parseWord('consistency', consistency, ['local', 'latest']),
    minPosition: minPosition === undefined ? undefined : parsePosition('Sluice-Min-Position', minPosition),
    maxStalenessMs: maxStaleness === undefined ? undefined : parseTime('Sluice-Max-Staleness', maxStaleness),
    waitMs: wait === undefined ? waitMaxMs : Math.min(parseTime('wait', wait), waitMaxMs),
    signal: call.signal,
  };
}

function missing(cache: CacheService, key: string, position: Position): HttpProblem {
  const shown = JSON.stringify(key.length > 64 ? `${key.slice(0, 64)}…` : key);
  return new HttpProblem(
    'not-found',
    `cache ${cache.name} has no ${shown}`,
    { headers: ['Sluice-Position', String(position)] },
    { position },
  );
}

function parseIfAbsent(call: Call): boolean {
  const text = headerOf(call, 'if-none-match');
  if (text === undefined) return false;
  if (text.trim() !== '*')
    refuse('If-None-Match', text, 'must be * for a write: create the key, or fail when it exists');
  return true;
}

/** Bodies that are not the value itself would be stored as if they were. */
function refuseTransformed(call: Call): void {
  const encoding = headerOf(call, 'content-encoding');
  if (encoding !== undefined && encoding.trim().toLowerCase() !== 'identity') {
    throw new HttpProblem(
      'bad-request',
      `Content-Encoding: ${JSON.stringify(encoding.slice(0, 64))}: values are stored as they come; name a compressed one by its own Content-Type`,
      { status: 415, headers: ['Accept-Encoding', 'identity'] },
      { field: 'Content-Encoding' },
    );
  }
  if (headerOf(call, 'content-range') !== undefined) {
    throw new SluiceError('bad-request', 'Content-Range: a value can only be replaced as a whole', {
      details: { field: 'Content-Range' },
    });
  }
}
