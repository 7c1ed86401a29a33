/**
 * The command line of the programs that take nothing but settings: `--name value` or `--name=value`. Which names exist is
 * decided by `loadSettings`, which tells all problems at once and knows the nearest name.
 */
import { SluiceError } from '../errors.ts';

export interface ParsedFlags {
  readonly wantsHelp: boolean;
  readonly wantsVersion: boolean;
  /** By name, without dashes. The last one of a name counts. */
  readonly values: Readonly<Record<string, string>>;
}

/** A word that is no flag may be a secret, or the rest of one with a space in it. Only what looks like a name is shown. */
function showWord(word: string, index: number): string {
  const [, name] = /^(-*[A-Za-z][A-Za-z0-9-]{0,63})(=|$)/.exec(word) ?? [];
  if (name === undefined || (index > 0 && !word.startsWith('-') && !word.includes('='))) return `argument ${index + 1}`;
  return JSON.stringify(word.includes('=') ? `${name}=(hidden)` : name);
}

/** Throws `bad-request` for what is not a flag, and for a flag without a value. */
export function parseFlags(argv: readonly string[]): ParsedFlags {
  const values: Record<string, string> = {};
  let wantsHelp = false;
  let wantsVersion = false;
  for (let index = 0; index < argv.length; index += 1) {
    const word = argv[index] ?? '';
    if (word === '--help' || word === '-h') wantsHelp = true;
    else if (word === '--version' || word === '-V') wantsVersion = true;
    else {
      const [, name, inline] = /^--([A-Za-z][A-Za-z0-9-]*)(?:=([\s\S]*))?$/.exec(word) ?? [];
      if (name === undefined) {
        throw new SluiceError(
          'bad-request',
          `${showWord(word, index)}: not a flag; settings are given as --name value`,
        );
      }
      const value = inline ?? argv[index + 1];
      if (value === undefined || (inline === undefined && value.startsWith('--'))) {
        throw new SluiceError('bad-request', `--${name}: needs a value`, { details: { field: `--${name}` } });
      }
      values[name] = value;
      if (inline === undefined) index += 1;
    }
  }
  return { wantsHelp, wantsVersion, values };
}
