/** The controller's HTTP door: whether it lives, whether it sees the log, and its metrics. */
import type { AddressInfo } from 'node:net';
import { type Answer, jsonAnswer, textAnswer, writeAnswer } from '../api/http/answer.ts';
import { createLimitedServer } from '../api/http/limited-server.ts';
import { HttpProblem, problemAnswer } from '../api/http/problem.ts';
import type { Clock } from '../base/clock.ts';
import type { Lifecycle } from '../base/lifecycle.ts';
import type { Settings } from '../config/schema.ts';
import { SluiceError } from '../errors.ts';

export interface ControllerDoorOptions {
  readonly settings: Pick<Settings, 'http' | 'controller'>;
  readonly clock: Clock;
  readonly name: string;
  /** Why it is not ready; undefined: it is. */
  readonly unready: () => string | undefined;
  readonly metrics: () => Promise<string>;
}

export interface ControllerDoor extends Lifecycle {
  /** `host:port`, once started. */
  readonly address: string;
}

const metricsType = 'text/plain; version=0.0.4; charset=utf-8';
const fresh = ['Cache-Control', 'no-store'];

export function createControllerDoor(options: ControllerDoorOptions): ControllerDoor {
  const { settings, clock, name, unready, metrics } = options;
  const { host, port } = settings.controller;

  async function answer(method: string, path: string): Promise<Answer> {
    if (method !== 'GET' && method !== 'HEAD')
      throw new HttpProblem('bad-request', `${method}: only GET and HEAD`, {
        status: 405,
        headers: ['Allow', 'GET, HEAD'],
      });
    switch (path) {
      case '/healthz':
        return jsonAnswer(200, { status: 'alive', controller: name }, fresh);
      case '/readyz': {
        const why = unready();
        if (why !== undefined) throw new HttpProblem('not-ready', `${name} is not ready: ${why}`, {});
        return jsonAnswer(200, { status: 'ready', controller: name }, fresh);
      }
      case '/metrics':
        return textAnswer(200, metricsType, await metrics());
      default:
        throw new SluiceError('not-found', `${path.slice(0, 200)}: known are /healthz, /readyz and /metrics`);
    }
  }

  const limited = createLimitedServer({
    http: settings.http,
    clock,
    section: 'controller',
    fast: () => false,
    listener(req, res) {
      const path = (req.url ?? '/').split('?')[0] ?? '/';
      answer(req.method ?? 'GET', path)
        .catch((error: unknown) => problemAnswer(error, path))
        // A body is of no interest, so the connection ends behind the answer to a request that has one.
        .then((found) => writeAnswer(res, found, !req.complete));
    },
  });

  return {
    get address() {
      const at = limited.server.address() as AddressInfo | null;
      return at === null ? `${host}:${port}` : `${at.family === 'IPv6' ? `[${at.address}]` : at.address}:${at.port}`;
    },
    start: () => limited.listen(port, host),
    stop: () => limited.drain(settings.http.drainTimeoutMs),
  };
}
