#!/usr/bin/env node
/** The controller as a process. What it does is in src/controller, how such a process begins and ends in service-program.ts. */
import { systemClock } from '../base/clock.ts';
import { systemRandom } from '../base/random.ts';
import { buildHelp } from '../config/reference.ts';
import { createController } from '../controller/controller.ts';
import { runServiceProgram } from './service/service-program.ts';

const help = `Usage: cache-controller [--config FILE] [--SETTING VALUE …]

The controller of a Sluice cluster: compares the copies of nodes with the log, measures how stale they are, and serves
/metrics, /healthz and /readyz. Nodes agree on members and caches through the log, and need no controller.

Settings (weakest first: default, file, variable, flag):
${buildHelp('cache-controller')}

  --help, --version

SIGTERM and SIGINT: end the audit under way, exit 0. A second signal ends at once, exit 1.
Exit codes: docs/cli.md, section "Exit codes" (69: no NATS server, 73: port in use, 78: bad settings).
`;

/** Beyond what requests under way may take. */
const stopSlackMs = 15_000;

await runServiceProgram({
  name: 'cache-controller',
  noun: 'controller',
  help,
  stopMaxMs: ({ http }) => http.drainTimeoutMs + stopSlackMs,
  async create(options) {
    const controller = await createController({ ...options, clock: systemClock, random: systemRandom });
    return {
      start: () => controller.start(),
      stop: () => controller.stop(),
      get greeting() {
        const { name, address } = controller;
        return [{ controller: name, address }, `${name} listens on ${address}`] as const;
      },
    };
  },
});
