#!/usr/bin/env node
/**
 * A node of the cluster as a process: settings, log, signals and exit codes around the daemon. What a node does is in
 * src/node; here is only how it begins and ends.
 */
import type { Logger } from 'pino';
import { type Clock, systemClock } from '../base/clock.ts';
import { systemRandom } from '../base/random.ts';
import { onParentGone, stayAlive, supervisedVariable } from '../broker/process/process-ties.ts';
import { loadSettings } from '../config/load.ts';
import { buildHelp } from '../config/reference.ts';
import type { Settings } from '../config/schema.ts';
import { createDaemon, type Daemon } from '../node/daemon.ts';
import { exitCodeOf, exitTable } from './exit-code.ts';
import { parseFlags } from './flags.ts';
import { toKnownError } from './known-error.ts';
import { createNodeLogger } from './node-logger.ts';
import { loadPackageVersion } from './package-version.ts';
import { formatError } from './terminal/report-error.ts';

const programName = 'cache-node';
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

const { env } = process;
const clock: Clock = systemClock;
let logger: Logger | undefined;

function fail(error: unknown): never {
  const { code, message } = toKnownError(error);
  logger?.fatal(code === 'internal' ? { err: error } : { code }, message);
  process.stderr.write(`${formatError(programName, error, false)}\n`);
  process.exit(exitCodeOf(error));
}

// A log that nobody reads must not stop the node.
process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);
for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(event, (error: unknown) => {
    logger?.fatal({ err: error }, `${event}: the node stops at once`);
    process.stderr.write(`${programName}: ${event}\n${formatError(programName, error, false)}\n`);
    process.exit(exitTable.defect.code);
  });
}

async function run(settings: Settings, log: Logger): Promise<void> {
  // While no server is there, nothing but timers waits, and ours keep no process alive.
  stayAlive();
  let daemon: Daemon | undefined;
  let isStopping = false;

  async function stop(why: string, exitCode: number): Promise<void> {
    if (isStopping) return;
    isStopping = true;
    log.info(`${why}: stopping`);
    if (daemon === undefined) process.exit(exitCode);
    clock.timer(2 * settings.http.drainTimeoutMs + stopSlackMs, () => {
      log.fatal('the node did not stop in time');
      process.exit(exitTable.negative.code);
    });
    await daemon.stop();
    log.info('stopped');
    process.exit(exitCode);
  }

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (isStopping) process.exit(exitTable.negative.code);
      void stop(signal, exitTable.ok.code);
    });
  }
  onParentGone({ env, stdin: process.stdin }, () => void stop('the supervisor has ended', exitTable.ok.code));

  const created = await createDaemon({
    settings,
    clock,
    random: systemRandom,
    logger: log,
    version: loadPackageVersion(),
    onFatal(error) {
      log.fatal({ err: error }, `${error.code}: ${error.message}`);
      void stop('the node cannot go on', exitTable.negative.code);
    },
  });
  daemon = created;
  try {
    await created.start();
  } catch (error) {
    // A signal during the start ends it, and `stop` says how.
    if (isStopping) return;
    throw error;
  }
  const { node, address, service } = created;
  const incarnation = service.members().find((member) => member.node === node)?.incarnation;
  log.info({ node, address, incarnation }, `${node} listens on ${address}, incarnation ${incarnation}`);
}

try {
  const flags = parseFlags(process.argv.slice(2));
  if (flags.wantsHelp) process.stdout.write(help);
  else if (flags.wantsVersion) process.stdout.write(`${loadPackageVersion()}\n`);
  else {
    // Between parent and child, and no setting.
    const { [supervisedVariable]: _, ...variables } = env;
    const settings = loadSettings({ flags: flags.values, env: variables, program: 'cache-node' });
    logger = createNodeLogger(settings.logging, process.stdout);
    await run(settings, logger);
  }
} catch (error) {
  fail(error);
}
