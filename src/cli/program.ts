/**
 * The list of commands of `sluice`, and the program that commander makes of it. Reading argv and ending the process is done in
 * `sluice.ts`; docs/cli.md has every command and option of this list, and a test keeps it so.
 */
import { Command } from 'commander';
import { auditCommand } from './audit/audit.ts';
import { cachesCommand, declareCommand, dropCommand, showCommand } from './command/caches.ts';
import { clearCommand, invalidateCommand } from './command/clear.ts';
import { addCommand, type ChosenCommand, type CommandSpec } from './command/context.ts';
import { deleteCommand, getCommand, putCommand } from './command/entries.ts';
import { evictCommand, membersCommand, rebuildCommand } from './command/nodes.ts';
import { watchCommand } from './command/watch.ts';
import { exitTable } from './exit-code.ts';
import { logCommand } from './journal/log.ts';
import { listCommand } from './keys/list.ts';
import { loadCommand } from './load/load.ts';
import { loadPackageVersion } from './package-version.ts';
import { upCommand } from './up/up.ts';

export const programName = 'sluice';

export const commands: readonly CommandSpec[] = [
  upCommand,
  putCommand,
  getCommand,
  deleteCommand,
  listCommand,
  watchCommand,
  loadCommand,
  clearCommand,
  invalidateCommand,
];
export const operations: readonly CommandSpec[] = [
  membersCommand,
  evictCommand,
  rebuildCommand,
  auditCommand,
  logCommand,
];
export const cacheCommands: readonly CommandSpec[] = [declareCommand, dropCommand, showCommand, cachesCommand];

/** `choose` is told the command that argv asks for. Wrong words make it throw a CommanderError. */
export function buildProgram(choose: (chosen: ChosenCommand) => void): Command {
  const program = new Command(programName)
    .description('Sluice: a distributed cache whose single source of truth is a replicated log (NATS JetStream)')
    .version(loadPackageVersion(), '-V, --version')
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .showSuggestionAfterError(true);
  for (const spec of commands) addCommand(program, spec, choose);
  const cache = new Command('cache').description('declare, drop, show and list caches').copyInheritedSettings(program);
  for (const spec of cacheCommands) addCommand(cache, spec, choose);
  program.addCommand(cache);
  for (const spec of operations) addCommand(program, spec, choose);
  program.addHelpText('after', `\nExit codes:\n${exitLines().join('\n')}`);
  return program;
}

const exitLines = (): string[] =>
  Object.values(exitTable).map(({ code, meaning }) => `  ${String(code).padStart(3)}  ${meaning}`);
