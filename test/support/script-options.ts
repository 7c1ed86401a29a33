/** The options of a program for developers: `--help`, and one line with the usage for what it does not know. */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { messageOf } from '../../src/errors.ts';

type Options = NonNullable<ParseArgsConfig['options']>;
type Values<Given extends Options> = ReturnType<typeof parseArgs<{ options: Given }>>['values'];

/** The values; ends the process with 0 after `--help`, with 64 when an option is unknown. */
export function parseScriptOptions<Given extends Options>(usage: string, options: Given): Values<Given> {
  if (process.argv.includes('--help')) {
    console.log(usage);
    process.exit(0);
  }
  try {
    return parseArgs({ options }).values as Values<Given>;
  } catch (error) {
    return refuseOption(messageOf(error), usage);
  }
}

export function refuseOption(why: string, usage: string): never {
  console.error(`${why}\n\n${usage}`);
  process.exit(64);
}
