#!/usr/bin/env node
/** A node of the cluster as a process. What a node does is in src/node, how such a process begins and ends in service-program.ts. */
import { systemClock } from '../base/clock.ts';
import { systemRandom } from '../base/random.ts';
import { buildHelp } from '../config/reference.ts';
import { createDaemon } from '../node/daemon.ts';
import { loadPackageVersion } from './package-version.ts';
import { runServiceProgram } from './service/service-program.ts';

const help = `Usage: cache-node [--config FILE] [--SETTING VALUE …]

A node of a Sluice cluster: keeps copies of caches from the log and serves them over HTTP.

Settings (weakest first: default, file, variable, flag):
${buildHelp('cache-node')}

  --help, --version

SIGTERM and SIGINT: leave the cluster, let requests under way end, exit 0. A second signal ends at once, exit 1.
Exit codes: docs/cli.md, section "Exit codes" (69: no NATS server, 73: port or data folder in use, 78: bad settings).
`;

/** Beyond what the parts of the node may take by themselves. */
const stopSlackMs = 15_000;

await runServiceProgram({
  name: 'cache-node',
  noun: 'node',
  help,
  stopMaxMs: ({ http }) => 2 * http.drainTimeoutMs + stopSlackMs,
  async create(options) {
    const daemon = await createDaemon({
      ...options,
      clock: systemClock,
      random: systemRandom,
      version: loadPackageVersion(),
    });
    return {
      start: () => daemon.start(),
      stop: () => daemon.stop(),
      get greeting() {
        const { node, address, service } = daemon;
        const incarnation = service.members().find((member) => member.node === node)?.incarnation;
        return [{ node, address, incarnation }, `${node} listens on ${address}, incarnation ${incarnation}`] as const;
      },
    };
  },
});
