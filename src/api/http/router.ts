/**
 * Attaches the routes to Fastify, which parses, limits and dispatches. What goes out is written by `answer.ts` alone:
 * Fastify's own error pages never reach a client.
 */
import type { ServerResponse } from 'node:http';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { isSluiceError, SluiceError } from '../../errors.ts';
import { type Answer, emptyAnswer, writeAnswer, writeEarlyAnswer } from './answer.ts';
import { parseQuery, pathOf } from './input.ts';
import { HttpProblem, isExpected, problemAnswer } from './problem.ts';
import type { Call, DoorLog, Route } from './routes/route.ts';

export interface RouterOptions {
  readonly routes: readonly Route[];
  /** True when each response ends its connection. */
  readonly isLast: () => boolean;
  readonly log: DoorLog;
}

/** Bodies in JSON: settings and lists of tags. */
const jsonBytesMax = 64 * 1024;
/** Longer than any target that the limit of a request's head lets through. */
const paramLengthMax = 1024 * 1024;

const nothing = new Uint8Array(0);

/** The router never listens: `routing` takes the requests of a server that is not its own. */
export function createRouter({ routes, isLast, log }: RouterOptions): FastifyInstance {
  const patterns = routes.map((route) => ({ pattern: patternOf(route.path), methods: route.methods }));
  const app = fastify({
    exposeHeadRoutes: false,
    bodyLimit: jsonBytesMax,
    routerOptions: { maxParamLength: paramLengthMax, querystringParser: () => ({}) },
    frameworkErrors: (error, request, reply) => refused(request, reply, addressProblem(error, request.raw.url ?? '')),
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.setErrorHandler((error, request, reply) => refused(request, reply, error));
  app.setNotFoundHandler((request, reply) => unrouted(request, reply));
  for (const route of routes) {
    app.route({
      method: [...route.methods],
      url: route.path,
      ...(route.bodyBytesMax === undefined ? {} : { bodyLimit: route.bodyBytesMax }),
      handler: (request, reply) => handle(route, request, reply),
    });
  }

  async function handle(route: Route, request: FastifyRequest, reply: FastifyReply): Promise<void> {
    reply.hijack();
    const { raw: res } = reply;
    try {
      const answer = await route.answer(callOf(route, request, res));
      if (answer !== undefined) send(res, answer);
    } catch (error) {
      fail(request, res, error);
    }
  }

  function send(res: ServerResponse, answer: Answer): void {
    writeAnswer(res, answer, isLast());
  }

  function fail(request: FastifyRequest, res: ServerResponse, error: unknown): void {
    if (!isExpected(error))
      log.error({ err: error, method: request.method, path: pathOf(request.raw.url ?? '') }, 'a request failed');
    // A response that has begun cannot become another one.
    if (res.headersSent) res.destroy();
    else writeEarlyAnswer(res, problemAnswer(error, pathOf(request.raw.url ?? '')), isLast());
  }

  function refused(request: FastifyRequest, reply: FastifyReply, error: unknown): void {
    reply.hijack();
    fail(request, reply.raw, error);
  }

  function unrouted(request: FastifyRequest, reply: FastifyReply): void {
    const path = pathOf(request.raw.url ?? '');
    const allowed = new Set(patterns.filter(({ pattern }) => pattern.test(path)).flatMap(({ methods }) => methods));
    const allow = [...allowed, 'OPTIONS'].join(', ');
    reply.hijack();
    if (allowed.size === 0)
      return fail(
        request,
        reply.raw,
        new SluiceError('not-found', `${path.slice(0, 256)}: no such resource; GET /v1 lists them`),
      );
    if (request.method === 'OPTIONS') return send(reply.raw, emptyAnswer(204, ['Allow', allow]));
    const message = `${request.method}: not for this resource, which takes ${allow}`;
    fail(request, reply.raw, new HttpProblem('bad-request', message, { status: 405, headers: ['Allow', allow] }));
  }

  return app;
}

function callOf(route: Route, request: FastifyRequest, res: ServerResponse): Call {
  const { url = '', headers } = request.raw;
  let aborter: AbortController | undefined;
  return {
    url,
    headers,
    params: request.params as Readonly<Record<string, string>>,
    query: parseQuery(url, route.query),
    body: request.body instanceof Uint8Array ? request.body : nothing,
    res,
    get signal() {
      if (aborter !== undefined) return aborter.signal;
      const made = new AbortController();
      aborter = made;
      if (res.destroyed) made.abort();
      else res.once('close', () => (res.writableFinished ? undefined : made.abort()));
      return made.signal;
    },
  };
}

/** What the router could not even decode: most often a key. */
function addressProblem(error: unknown, url: string): SluiceError {
  if (isSluiceError(error)) return error;
  const message = 'path: must be percent-encoded UTF-8';
  return new SluiceError(/^\/v1\/caches\/[^/?]+\/keys\//.test(url) ? 'bad-key' : 'bad-request', message, {
    details: { field: 'path' },
  });
}

/** The path of a route as an expression over raw paths. */
function patternOf(path: string): RegExp {
  return new RegExp(`^${path.replace(/:[a-z]+/g, '[^/]+').replace('*', '.*')}$`, 's');
}
