#!/usr/bin/env node
/**
 * The controller as a process: settings, log, signals and exit codes. What it does is in src/controller; here is only how it
 * begins and ends.
 */
import type { Logger } from 'pino';
import { systemClock } from '../base/clock.ts';
import { systemRandom } from '../base/random.ts';
import { onParentGone, stayAlive, supervisedVariable } from '../broker/process/process-ties.ts';
import { loadSettings } from '../config/load.ts';
import { buildHelp } from '../config/reference.ts';
import type { Settings } from '../config/schema.ts';
import { type Controller, createController } from '../controller/controller.ts';
import { exitCodeOf, exitTable } from './exit-code.ts';
import { parseFlags } from './flags.ts';
import { toKnownError } from './known-error.ts';
import { createNodeLogger } from './node-logger.ts';
import { loadPackageVersion } from './package-version.ts';
import { formatError } from './terminal/report-error.ts';

const programName = 'cache-controller';

const help = `Usage: cache-controller [--config FILE] [--SETTING VALUE …]

The controller of a Sluice cluster: compares the copies of nodes with the log, measures how stale they are, and serves
/metrics, /healthz and /readyz. Nodes agree on members and caches through the log, and need no controller.

Settings (weakest first: default, file, variable, flag):
${buildHelp(programName)}

  --help, --version

SIGTERM and SIGINT: end the audit under way, exit 0. A second signal ends at once, exit 1.
Exit codes: docs/cli.md, section "Exit codes" (69: no NATS server, 73: port in use, 78: bad settings).
`;

/** Beyond what requests under way may take. */
const stopSlackMs = 15_000;

const { env } = process;
let logger: Logger | undefined;

function fail(error: unknown): never {
  const { code, message } = toKnownError(error);
  logger?.fatal(code === 'internal' ? { err: error } : { code }, message);
  process.stderr.write(`${formatError(programName, error, false)}\n`);
  process.exit(exitCodeOf(error));
}

// A log that nobody reads must not stop the controller.
process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);
for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(event, (error: unknown) => {
    logger?.fatal({ err: error }, `${event}: the controller stops at once`);
    process.stderr.write(`${programName}: ${event}\n${formatError(programName, error, false)}\n`);
    process.exit(exitTable.defect.code);
  });
}

async function run(settings: Settings, log: Logger): Promise<void> {
  // While no server is there, nothing but timers waits, and ours keep no process alive.
  stayAlive();
  let controller: Controller | undefined;
  let isStopping = false;

  async function stop(why: string, exitCode: number): Promise<void> {
    if (isStopping) return;
    isStopping = true;
    log.info(`${why}: stopping`);
    if (controller === undefined) process.exit(exitCode);
    systemClock.timer(settings.http.drainTimeoutMs + stopSlackMs, () => {
      log.fatal('the controller did not stop in time');
      process.exit(exitTable.negative.code);
    });
    await controller.stop();
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

  const created = await createController({
    settings,
    clock: systemClock,
    random: systemRandom,
    logger: log,
    onFatal(error) {
      log.fatal({ err: error }, `${error.code}: ${error.message}`);
      void stop('the controller cannot go on', exitTable.negative.code);
    },
  });
  controller = created;
  try {
    await created.start();
  } catch (error) {
    // A signal during the start ends it, and `stop` says how.
    if (isStopping) return;
    throw error;
  }
  const { name, address } = created;
  log.info({ controller: name, address }, `${name} listens on ${address}`);
}

try {
  const flags = parseFlags(process.argv.slice(2));
  if (flags.wantsHelp) process.stdout.write(help);
  else if (flags.wantsVersion) process.stdout.write(`${loadPackageVersion()}\n`);
  else {
    // Between parent and child, and no setting.
    const { [supervisedVariable]: _, ...variables } = env;
    const settings = loadSettings({ flags: flags.values, env: variables, program: programName });
    logger = createNodeLogger(settings.logging, process.stdout);
    await run(settings, logger);
  }
} catch (error) {
  fail(error);
}
