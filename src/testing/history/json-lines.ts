/**
 * Histories as text: one JSON object a line, the first of them the name and version of the format. `docs/history-format.md` says
 * what stands in them. Reading refuses what it does not know, because a misspelt field would quietly weaken a check.
 */
import { SluiceError } from '../../errors.ts';
import type { History, HistoryRecord } from './record.ts';
import { recordFields } from './record-fields.ts';

export const historyFormat = { format: 'sluice-history', version: 1 } as const;

/** With a line feed after each line. */
export function formatHistory(history: History): string {
  return [historyFormat, ...history].map((line) => `${JSON.stringify(line, withoutInfinity)}\n`).join('');
}

/** JSON has no Infinity: what never ended, or never expires, has no such field. */
const withoutInfinity = (_name: string, value: unknown): unknown =>
  value === Number.POSITIVE_INFINITY ? undefined : value;

/** Throws `bad-request` that names the line, the field, the value and the rule. Fields that begin with `_` are left out. */
export function parseHistory(text: string): HistoryRecord[] {
  const lines = text.split('\n').map((line, index) => ({ line: line.trim(), number: index + 1 }));
  const [first, ...rest] = lines.filter(({ line }) => line !== '');
  const head = first === undefined ? undefined : objectOf(first.line, first.number);
  if (head?.['format'] !== historyFormat.format || head['version'] !== historyFormat.version)
    throw refusal(first?.number ?? 1, `must be ${JSON.stringify(historyFormat)}`);
  return rest.map(({ line, number }) => parseRecord(objectOf(line, number), number));
}

function objectOf(line: string, number: number): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw refusal(number, 'is not JSON', cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw refusal(number, 'must be a JSON object');
  return value as Record<string, unknown>;
}

function parseRecord(given: Record<string, unknown>, number: number): HistoryRecord {
  const { type } = given;
  const fields = typeof type === 'string' && Object.hasOwn(recordFields, type) ? recordFields[type] : undefined;
  if (fields === undefined)
    throw refusal(number, `type ${JSON.stringify(type)}: must be one of ${Object.keys(recordFields).join(', ')}`);
  const record: Record<string, unknown> = { type };
  for (const [name, value] of Object.entries(given)) {
    if (name === 'type' || name.startsWith('_')) continue;
    const rule = Object.hasOwn(fields.needed, name)
      ? fields.needed[name]
      : Object.hasOwn(fields.optional, name)
        ? fields.optional[name]
        : undefined;
    if (rule === undefined) throw refusal(number, `${name}: is no field of ${type}`);
    const problem = rule(value);
    if (problem !== undefined) throw refusal(number, `${name} ${JSON.stringify(value)}: ${problem}`);
    record[name] = value;
  }
  for (const name of Object.keys(fields.needed))
    if (record[name] === undefined) throw refusal(number, `${name}: is missing, and each ${type} has it`);
  const problem = problemOf(record);
  if (problem !== undefined) throw refusal(number, problem);
  if ('outcome' in record) record['end'] ??= Number.POSITIVE_INFINITY;
  return record as unknown as HistoryRecord;
}

const eventsWithKey = ['put', 'delete'];

/** What one field demands of another. */
function problemOf({
  type,
  outcome,
  start,
  end,
  revision,
  value,
  event,
  key,
  tag,
}: Record<string, unknown>): string | undefined {
  if (outcome !== undefined) {
    if (outcome !== 'unknown' && end === undefined) return `end: is missing, and the outcome is ${outcome}`;
    if (end !== undefined && (end as number) < (start as number)) return `end ${end}: must not be below start ${start}`;
    if (type !== 'read' && outcome !== 'ok' && revision !== undefined)
      return `revision ${revision}: only of an ok write`;
    if (type === 'read' && outcome === 'ok' && value === undefined) return 'value: is missing, and the read is ok';
  }
  if (type !== 'log' && type !== 'watch') return undefined;
  if (eventsWithKey.includes(event as string) && key === undefined) return `key: is missing, and the event is ${event}`;
  if (event === 'tag' && tag === undefined) return 'tag: is missing, and the event is tag';
  if (type === 'log' && event === 'put' && value === undefined) return 'value: is missing, and the event is put';
  return undefined;
}

function refusal(line: number, problem: string, cause?: unknown): SluiceError {
  return new SluiceError('bad-request', `history, line ${line}: ${problem}`, {
    details: { line },
    ...(cause === undefined ? {} : { cause }),
  });
}
