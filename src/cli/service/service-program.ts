/**
 * A program that serves until it is told to stop: settings, log, signals and exit codes around what it runs. `cache-node` and
 * `cache-controller` are two of them.
 */
import type { Logger } from 'pino';
import { systemClock } from '../../base/clock.ts';
import { onParentGone, stayAlive, supervisedVariable } from '../../broker/process/process-ties.ts';
import { loadSettings } from '../../config/load.ts';
import type { Program, Settings } from '../../config/schema.ts';
import type { SluiceError } from '../../errors.ts';
import { exitCodeOf, exitTable } from '../exit-code.ts';
import { parseFlags } from '../flags.ts';
import { toKnownError } from '../known-error.ts';
import { loadPackageVersion } from '../package-version.ts';
import { formatError } from '../terminal/report-error.ts';
import { createNodeLogger } from './node-logger.ts';

export interface RunningService {
  start(): Promise<void>;
  stop(): Promise<void>;
  /** What is logged once it has started: facts, and a sentence. */
  readonly greeting: readonly [facts: Readonly<Record<string, unknown>>, text: string];
}

export interface ServiceOptions {
  readonly settings: Settings;
  readonly logger: Logger;
  /** Something happened after which this process must stop; to be called once. */
  readonly onFatal: (error: SluiceError) => void;
}

export interface ServiceProgram {
  readonly name: Program;
  /** What it is called in messages: `node`. */
  readonly noun: string;
  readonly help: string;
  /** How long `stop` may take; later, the process ends with 1. */
  readonly stopMaxMs: (settings: Settings) => number;
  readonly create: (options: ServiceOptions) => Promise<RunningService>;
}

const { env } = process;

/** Runs the program with the arguments and the environment of this process, and ends the process. */
export async function runServiceProgram(program: ServiceProgram): Promise<void> {
  const { name, noun } = program;
  let logger: Logger | undefined;

  // A log that nobody reads must not stop the program.
  process.stdout.on('error', () => undefined);
  process.stderr.on('error', () => undefined);
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (error: unknown) => {
      logger?.fatal({ err: error }, `${event}: the ${noun} stops at once`);
      process.stderr.write(`${name}: ${event}\n${formatError(name, error, false)}\n`);
      process.exit(exitTable.defect.code);
    });
  }

  try {
    const flags = parseFlags(process.argv.slice(2));
    if (flags.wantsHelp) process.stdout.write(program.help);
    else if (flags.wantsVersion) process.stdout.write(`${loadPackageVersion()}\n`);
    else {
      // Between parent and child, and no setting.
      const { [supervisedVariable]: _, ...variables } = env;
      const settings = loadSettings({ flags: flags.values, env: variables, program: name });
      logger = createNodeLogger(settings.logging, process.stdout);
      await serve(program, settings, logger);
    }
  } catch (error) {
    const { code, message } = toKnownError(error);
    logger?.fatal(code === 'internal' ? { err: error } : { code }, message);
    process.stderr.write(`${formatError(name, error, false)}\n`);
    process.exit(exitCodeOf(error));
  }
}

async function serve({ noun, stopMaxMs, create }: ServiceProgram, settings: Settings, logger: Logger): Promise<void> {
  // While no server is there, nothing but timers waits, and ours keep no process alive.
  stayAlive();
  let service: RunningService | undefined;
  let isStopping = false;

  async function stop(why: string, exitCode: number): Promise<void> {
    if (isStopping) return;
    isStopping = true;
    logger.info(`${why}: stopping`);
    if (service === undefined) process.exit(exitCode);
    systemClock.timer(stopMaxMs(settings), () => {
      logger.fatal(`the ${noun} did not stop in time`);
      process.exit(exitTable.negative.code);
    });
    await service.stop();
    logger.info('stopped');
    process.exit(exitCode);
  }

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (isStopping) process.exit(exitTable.negative.code);
      void stop(signal, exitTable.ok.code);
    });
  }
  onParentGone({ env, stdin: process.stdin }, () => void stop('the supervisor has ended', exitTable.ok.code));

  service = await create({
    settings,
    logger,
    onFatal(error) {
      logger.fatal({ err: error }, `${error.code}: ${error.message}`);
      void stop(`the ${noun} cannot go on`, exitTable.negative.code);
    },
  });
  try {
    await service.start();
  } catch (error) {
    // A signal during the start ends it, and `stop` says how.
    if (isStopping) return;
    throw error;
  }
  logger.info(...service.greeting);
}
