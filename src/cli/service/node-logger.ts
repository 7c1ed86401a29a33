/**
 * The log of a process: pino, on standard output, as JSON lines for machines or as text for people. Both go the same way,
 * without a second process, so the last line before an exit is never lost.
 */
import { type Logger, type LoggerOptions, pino, stdTimeFunctions } from 'pino';
import type { Settings } from '../../config/schema.ts';
import { showKey } from '../terminal/text.ts';

export interface LineSink {
  write(text: string): unknown;
}

export function createNodeLogger({ level, format }: Settings['logging'], sink: LineSink): Logger {
  const options: LoggerOptions = {
    level,
    base: { pid: process.pid },
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  };
  return pino(options, format === 'json' ? sink : { write: (line: string) => sink.write(formatPretty(line)) });
}

/** One line of JSON as text: `10:11:12.123 WARN  message  name=value …`, and below it the stack of an error. */
export function formatPretty(line: string): string {
  let fields: Readonly<Record<string, unknown>>;
  try {
    fields = JSON.parse(line);
  } catch {
    return line;
  }
  const { level, time, msg, pid: _, err, ...rest } = fields;
  const clock = typeof time === 'string' ? time.slice(11, 23) : '';
  const facts = Object.entries(rest).map(([name, value]) => `  ${name}=${showFact(value)}`);
  const message = typeof msg === 'string' ? msg : '';
  return `${clock} ${String(level).toUpperCase().padEnd(5)} ${message}${facts.join('')}${showStack(err)}\n`;
}

const showFact = (value: unknown): string =>
  typeof value === 'string' && !value.includes(' ') ? showKey(value) : (JSON.stringify(value) ?? 'undefined');

function showStack(err: unknown): string {
  if (typeof err !== 'object' || err === null) return '';
  const { stack, message } = err as { readonly stack?: unknown; readonly message?: unknown };
  const text = typeof stack === 'string' ? stack : String(message ?? '');
  return `\n  ${text.replaceAll('\n', '\n  ')}`;
}
