/**
 * Checks of plain JSON values by tables of rules, for what this program wrote itself and reads again.
 *
 * An operator's input deserves messages and goes through schemas elsewhere; here the answer is a value or the name of
 * the first field that breaks its rule. Nothing throws, and fields without a rule are left out.
 */
import { idPattern } from '../events/subjects.ts';

export type Rule = (value: unknown) => boolean;
export type Rules = Readonly<Record<string, Rule>>;
export type PlainObject = Readonly<Record<string, unknown>>;

const textCharactersMax = 1_024;

export const isObject = (value: unknown): value is PlainObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
export const isId: Rule = (value) => typeof value === 'string' && idPattern.test(value);
export const isText: Rule = (value) => typeof value === 'string' && value.length <= textCharactersMax;
/** An integer from 0 that a double holds exactly: counts, positions, times. */
export const isCount: Rule = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
export const isPositive: Rule = (value) => isCount(value) && value !== 0;
/** Milliseconds, also with a fraction. */
export const isTime: Rule = (value) => typeof value === 'number' && Number.isFinite(value) && value >= 0;
export const isOneOf =
  (...values: readonly string[]): Rule =>
  (value) =>
    values.some((known) => known === value);

/** The fields that have a rule, or the name of the first field that breaks its own. */
export function readFieldsOf(value: PlainObject, required: Rules, optional: Rules = {}): PlainObject | string {
  const fields: Record<string, unknown> = {};
  for (const [name, rule] of [...Object.entries(required), ...Object.entries(optional)]) {
    const field = Object.hasOwn(value, name) ? value[name] : undefined;
    if (field === undefined && Object.hasOwn(optional, name)) continue;
    if (!rule(field)) return name;
    fields[name] = field;
  }
  return fields;
}
