/**
 * What a command is, and what it is given. A command reads its words and options through `options.ts`, does its work, and
 * says how it ended; argv, signals and exit codes are the business of `sluice.ts`.
 */
import type { Readable } from 'node:stream';
import { Command, type Option } from 'commander';
import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import type { ExitName } from '../exit-code.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { wrapText } from '../terminal/text.ts';

export interface CommandContext {
  readonly terminal: Terminal;
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly random: Random;
  /** Fires at Ctrl-C, at SIGTERM, and when nobody reads the results of a command that is there for its results. */
  readonly signal: AbortSignal;
}

/** Values of options by their names in camel case; repeated ones are lists. */
export type GivenOptions = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;

export interface Call extends CommandContext {
  /** The words after the command, in the order of its usage. */
  readonly words: readonly string[];
  readonly given: GivenOptions;
}

export interface CommandSpec {
  /** As commander reads it: `put <cache> <key> [value]`. */
  readonly usage: string;
  readonly summary: string;
  /** Shown below the options: what the exit codes mean here, an example. */
  readonly notes?: string;
  readonly options: readonly Option[];
  /** Ends by itself soon after the signal fired; any other command is cut off. */
  readonly endsItself?: boolean;
  /** Goes on when nobody reads its output any more. */
  readonly outlivesReader?: boolean;
  readonly run: (call: Call) => Promise<ExitName>;
}

export interface ChosenCommand {
  readonly spec: CommandSpec;
  readonly words: readonly string[];
  readonly given: GivenOptions;
}

/** Adds a command to a program or a group; `choose` is told when it is the one. */
export function addCommand(parent: Command, spec: CommandSpec, choose: (chosen: ChosenCommand) => void): void {
  const [name = '', ...parameters] = spec.usage.split(' ');
  const command = new Command(name).summary(spec.summary).description(spec.summary);
  for (const parameter of parameters) command.argument(parameter);
  for (const option of spec.options) command.addOption(option);
  if (spec.notes !== undefined) command.addHelpText('after', `\n${wrapText(spec.notes)}`);
  command.copyInheritedSettings(parent).allowExcessArguments(false);
  command.action(() => {
    const words = command.args.slice();
    choose({ spec, words, given: command.opts<GivenOptions>() });
  });
  parent.addCommand(command);
}
