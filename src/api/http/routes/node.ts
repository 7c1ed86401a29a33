/**
 * The node and its cluster: what it is, whether it lives and is ready, its metrics, its members, and the two operations on
 * members.
 */
import { z } from 'zod';
import { SluiceError } from '../../../errors.ts';
import { type Answer, jsonAnswer, textAnswer } from '../answer.ts';
import { parseJson } from '../input.ts';
import { HttpProblem } from '../problem.ts';
import { type Call, headerOf, paramOf, type Route, type RouteContext, requireNothing } from './route.ts';

const metricsType = 'text/plain; version=0.0.4; charset=utf-8';
const rebuildBody = z.strictObject({ cache: z.string().min(1).optional() });

const links = {
  caches: '/v1/caches',
  cache: '/v1/caches/{cache}',
  keys: '/v1/caches/{cache}/keys',
  key: '/v1/caches/{cache}/keys/{key}',
  watch: '/v1/caches/{cache}/watch',
  members: '/v1/members',
  health: '/healthz',
  readiness: '/readyz',
  metrics: '/metrics',
} as const;

export function nodeRoutes({ service }: RouteContext): Route[] {
  async function ready(): Promise<Answer> {
    const { isReady, state, reasons } = service.readiness();
    if (isReady) return jsonAnswer(200, { status: 'ready', state, reasons }, ['Cache-Control', 'no-store']);
    const why = reasons.length === 0 ? state : reasons.join('; ');
    throw new HttpProblem('not-ready', `${service.node} is not ready: ${why}`, {}, { state, reasons });
  }

  async function evict(call: Call): Promise<Answer> {
    requireNothing(call);
    const node = paramOf(call, 'node');
    await service.evictNode(node);
    return jsonAnswer(200, { node, evicted: true });
  }

  async function rebuild(call: Call): Promise<Answer> {
    const body = rebuildBody.safeParse(parseJson(headerOf(call, 'content-type'), call.body) ?? {});
    if (!body.success) {
      throw new SluiceError('bad-request', 'body: must be empty or {"cache": "name"}', { details: { field: 'body' } });
    }
    const node = paramOf(call, 'node');
    const { cache } = body.data;
    const caches = await (cache === undefined ? service.rebuildNode(node) : service.rebuildNode(node, cache));
    return jsonAnswer(200, { node, caches });
  }

  const { node, cluster, version } = service;
  const about = { name: 'sluice', version, node, cluster, links };
  const alive = { status: 'alive', node };
  return [
    { methods: ['GET', 'HEAD'], path: '/v1', query: [], answer: async () => jsonAnswer(200, about) },
    {
      methods: ['GET', 'HEAD'],
      path: '/healthz',
      query: [],
      answer: async () => jsonAnswer(200, alive, ['Cache-Control', 'no-store']),
    },
    { methods: ['GET', 'HEAD'], path: '/readyz', query: [], answer: ready },
    {
      methods: ['GET', 'HEAD'],
      path: '/metrics',
      query: [],
      answer: async () => textAnswer(200, metricsType, await service.metrics()),
    },
    {
      methods: ['GET', 'HEAD'],
      path: '/v1/members',
      query: [],
      answer: async () => jsonAnswer(200, { epoch: service.epoch(), members: service.members() }),
    },
    { methods: ['POST'], path: '/v1/members/:node/evict', query: [], answer: evict },
    { methods: ['POST'], path: '/v1/members/:node/rebuild', query: [], answer: rebuild },
  ];
}
