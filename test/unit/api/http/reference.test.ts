/** docs/http-api.md names every route with its parameters, and none that there is not. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { cacheRoutes } from '../../../../src/api/http/routes/caches.ts';
import { keyRoutes } from '../../../../src/api/http/routes/keys.ts';
import { listRoutes } from '../../../../src/api/http/routes/list.ts';
import { nodeRoutes } from '../../../../src/api/http/routes/node.ts';
import type { Route, RouteContext } from '../../../../src/api/http/routes/route.ts';
import { watchRoutes } from '../../../../src/api/http/routes/watch.ts';
import { systemClock } from '../../../../src/base/clock.ts';
import { errorTable } from '../../../../src/errors.ts';
import { createFakeNode } from '../../../support/fake-node-service.ts';
import { projectRoot } from '../../../support/project.ts';

const context: RouteContext = {
  service: createFakeNode(),
  clock: systemClock,
  bodyBytesMax: 1,
  readWaitMaxMs: 1,
  watchLimits: { eventsMax: 1, bytesMax: 1, budget: { bytes: 0, bytesMax: 1 } },
  streams: new Set(),
  log: { info: () => undefined, error: () => undefined },
};
const routes: Route[] = [cacheRoutes, keyRoutes, listRoutes, watchRoutes, nodeRoutes].flatMap((build) =>
  build(context),
);
const page = readFileSync(join(projectRoot, 'docs', 'http-api.md'), 'utf8');
const sections = new Map(
  page
    .split(/^### /m)
    .slice(1)
    .map((section) => [section.slice(0, section.indexOf('\n')), section]),
);
const titleOf = (method: string, path: string): string =>
  `${method} ${path.replace(/:([a-z]+)/g, '{$1}').replace('*', '{key}')}`;

describe('docs/http-api.md', () => {
  it('has a section for each route and no other', () => {
    const titles = routes.flatMap(({ methods, path }) =>
      methods.filter((method) => method !== 'HEAD').map((method) => titleOf(method, path)),
    );
    assert.deepEqual([...sections.keys()].sort(), titles.sort());
  });

  it('explains each query parameter where it is known', () => {
    for (const { methods, path, query } of routes) {
      for (const name of query) {
        const section = sections.get(titleOf(methods[0] ?? '', path)) ?? '';
        assert.ok(section.includes(`?${name}=`), `${path}: ?${name}=`);
      }
    }
  });

  it('names only error codes that exist', () => {
    for (const [title, section] of sections) {
      const errors = /^Errors: [\s\S]*?(?=\n\n|$)/m.exec(section)?.[0] ?? '';
      for (const [, code = ''] of errors.matchAll(/`([a-z]+(?:-[a-z]+)*)`/g)) {
        assert.ok(code in errorTable, `${title}: ${code}`);
      }
    }
  });
});
