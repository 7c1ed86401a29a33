/**
 * Errors as the programs show them: `program: code: message` on standard error, or one JSON object with `--json`. A defect
 * shows where it was.
 */
import { exitCodeOf } from '../exit-code.ts';
import { toKnownError } from '../known-error.ts';

/** The text without its line end. */
export function formatError(program: string, error: unknown, isJson: boolean): string {
  const { code, message, details } = toKnownError(error);
  const stack = code === 'internal' && error instanceof Error ? error.stack : undefined;
  if (isJson) {
    const shown = Object.keys(details).length > 0 ? details : undefined;
    return JSON.stringify({ error: { code, message, details: shown, exitCode: exitCodeOf(error), stack } });
  }
  return `${program}: ${code}: ${message}${stack === undefined ? '' : `\n${stack}`}`;
}
