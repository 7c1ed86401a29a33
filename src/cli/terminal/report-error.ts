/**
 * Errors as the programs show them: `program: code: message` on standard error, or one JSON object with `--json`. What is
 * no SluiceError is a defect, and shows its stack.
 */
import { isSluiceError, messageOf } from '../../errors.ts';
import { exitCodeOf } from '../exit-code.ts';

/** The text without its line end. */
export function formatError(program: string, error: unknown, isJson: boolean): string {
  const isOurs = isSluiceError(error);
  const code = isOurs ? error.code : 'internal';
  const message = messageOf(error);
  if (isJson) {
    const details = isOurs && Object.keys(error.details).length > 0 ? error.details : undefined;
    const stack = !isOurs && error instanceof Error ? error.stack : undefined;
    return JSON.stringify({ error: { code, message, details, exitCode: exitCodeOf(error), stack } });
  }
  const isDefect = code === 'internal' && error instanceof Error && error.stack !== undefined;
  return `${program}: ${code}: ${message}${isDefect ? `\n${error.stack}` : ''}`;
}
