#!/usr/bin/env node
/**
 * The commands of Sluice: argv, signals and exit codes. What each command does is in the folders beside this file; none of them
 * ends the process.
 */
import { setMaxListeners } from 'node:events';
import { CommanderError } from 'commander';
import { systemClock } from '../base/clock.ts';
import { systemRandom } from '../base/random.ts';
import { stayAlive } from '../broker/process/process-ties.ts';
import { SluiceError } from '../errors.ts';
import type { ChosenCommand } from './command/context.ts';
import { exitCodeOf, exitTable } from './exit-code.ts';
import { buildProgram, programName } from './program.ts';
import { formatError } from './terminal/report-error.ts';
import { onStopSignal } from './terminal/stop-signals.ts';
import { createTerminal } from './terminal/terminal.ts';

/** How long a command that does not end itself may go on after a signal. */
const interruptGraceMs = 1_000;

/** The command that argv asks for; undefined when help or the version was all. */
function parse(argv: readonly string[]): ChosenCommand | undefined {
  let chosen: ChosenCommand | undefined;
  try {
    buildProgram((command) => {
      chosen = command;
    }).parse([...argv], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return undefined;
    const isBare = error.code === 'commander.help';
    const message = isBare ? `a command is missing; ${programName} --help lists them` : error.message;
    throw new SluiceError(
      'bad-request',
      hideValues(message)
        .replace(/^error: /, '')
        .replaceAll('\n', ' '),
    );
  }
  return chosen;
}

/** `unknown option '--nats-pasword=…'`: what was meant as a value may be a secret. */
const hideValues = (message: string): string => message.replace(/'(-{0,2}[A-Za-z][\w-]*)=[\s\S]*'/, "'$1=(hidden)'");

/** What stands behind `--` belongs to the command. */
function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return (end < 0 ? argv : argv.slice(0, end)).includes('--json');
}

async function main(argv: readonly string[]): Promise<number> {
  let chosen: ChosenCommand | undefined;
  const stopping = new AbortController();
  // Each write under way listens to it.
  setMaxListeners(0, stopping.signal);
  const terminal = createTerminal({
    stdout: process.stdout,
    stderr: process.stderr,
    isJson: wantsJson(argv),
    onClosed: () => {
      if (chosen?.spec.outlivesReader !== true) stopping.abort();
    },
  });
  const report = (error: unknown): number => {
    terminal.status(undefined);
    process.stderr.write(`${formatError(programName, error, terminal.isJson)}\n`);
    return exitCodeOf(error);
  };
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (error: unknown) => process.exit(report(error)));
  }

  try {
    chosen = parse(argv);
    if (chosen === undefined) return exitTable.ok.code;
    const { spec, words, given } = chosen;
    const interrupted = new Promise<number>((resolve) => {
      onStopSignal(
        systemClock,
        () => {
          stopping.abort();
          if (spec.endsItself === true) return;
          systemClock.timer(interruptGraceMs, () => resolve(exitTable.interrupted.code));
        },
        () => process.exit(exitTable.interrupted.code),
      );
    });
    // Our timers keep no process alive, and neither does a connection that is being made.
    stayAlive();
    const run = spec.run({
      terminal,
      stdin: process.stdin,
      env: process.env,
      clock: systemClock,
      random: systemRandom,
      signal: stopping.signal,
      words,
      given,
    });
    return await Promise.race([run.then((name) => exitTable[name].code), interrupted]);
  } catch (error) {
    // A reader that has seen enough is no error.
    return terminal.isClosed ? exitTable.ok.code : report(error);
  } finally {
    await terminal.flush();
  }
}

process.exit(await main(process.argv.slice(2)));
