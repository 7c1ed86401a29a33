/**
 * One setting: a form (what may be written, and what it becomes), a default and a sentence. The forms below are all
 * there are; each carries its zod schema and its rule in words. A tree of settings gives the type of what the program
 * sees, so that no name or unit is written twice.
 */
import { z } from 'zod';
import { bytesRule, durationRule, readBytes, readDuration } from './units.ts';

/** `Suffix` is the unit that the name gets inside the program: `connectWait` "60s" becomes `connectWaitMs` 60000. */
export interface Form<Value, Suffix extends string = string> {
  /** What to write, in a word or two: "duration", "integer or none" … */
  readonly type: string;
  /** What the value must be, as it completes "must be …". */
  readonly rule: string;
  /** The same in few words, where the type is known. */
  readonly range: string;
  readonly schema: z.ZodType<Value>;
  /** The text of an environment variable or flag as a JSON value; nonsense stays text, for the schema to refuse. */
  readonly fromText: (line: string) => unknown;
  /** Whether a refused value must not be shown. */
  readonly isHidden: (raw: unknown) => boolean;
  readonly suffix: Suffix;
}

export interface Setting<Value, Suffix extends string = string> extends Form<Value, Suffix> {
  readonly kind: 'setting';
  /** The default as written in a file: a JSON value. */
  readonly written: unknown;
  /** The default as the program sees it. */
  readonly initial: Value;
  readonly says: string;
}

export interface SettingTree {
  readonly [name: string]: Setting<unknown> | SettingTree;
}

/** The settings that a tree describes: nested as the tree, with units in the names. */
export type SettingsOf<Tree> = {
  readonly [Name in keyof Tree & string as Tree[Name] extends Setting<unknown, infer Suffix>
    ? `${Name}${Suffix}`
    : Name]: Tree[Name] extends Setting<infer Value> ? Value : SettingsOf<Tree[Name]>;
};

/** A setting of the given form. Throws at once when the default breaks the form's own rule. */
export function setting<Value, Suffix extends string>(
  form: Form<Value, Suffix>,
  written: unknown,
  says: string,
): Setting<Value, Suffix> {
  return { ...form, kind: 'setting', written, initial: form.schema.parse(written), says };
}

export function isSetting(node: Setting<unknown> | SettingTree): node is Setting<unknown> {
  const { kind } = node;
  return kind === 'setting';
}

/** A text that matches `pattern`; `rule` is the pattern in words. */
export function text(pattern: RegExp, rule: string): Form<string, ''> {
  return { ...plain, type: 'text', rule, range: rule, schema: z.string({ error: rule }).regex(pattern, rule) };
}

export function integer(min: number, max: number): Form<number, ''> {
  const range = `${min.toLocaleString('en-US')} to ${max.toLocaleString('en-US')}`;
  const rule = `an integer from ${range}`;
  const schema = z.number({ error: rule }).int(rule).min(min, rule).max(max, rule);
  return { ...plain, type: 'integer', rule, range, schema, fromText: integerFromText };
}

/** Written with a unit, held in milliseconds. */
export function duration(min: string, max: string): Form<number, 'Ms'> {
  const range = `${min} to ${max}`;
  const rule = `${durationRule}, from ${range}`;
  return { ...plain, type: 'duration', rule, range, schema: amount(rule, readDuration, min, max), suffix: 'Ms' };
}

/** Written with a unit or as a number, held in bytes. */
export function bytes(min: string, max: string): Form<number, ''> {
  const range = `${min} to ${max}`;
  const rule = `${bytesRule}, from ${range}`;
  return { ...plain, type: 'size', rule, range, schema: amount(rule, readBytes, min, max) };
}

export function choice<const Word extends string>(...words: readonly Word[]): Form<Word, ''> {
  const range = words.join(', ');
  const rule = `one of ${range}`;
  return { ...plain, type: 'word', rule, range, schema: z.enum(words, { error: rule }) };
}

/** A list of distinct texts; in an environment variable or flag, separated by commas. */
export function textList(item: Form<string, ''>, countMax: number): Form<readonly string[], ''> {
  const range = `1 to ${countMax} different ones, each ${item.range}`;
  const rule = `a list of ${range}`;
  const schema = z
    .array(item.schema, { error: rule })
    .min(1, rule)
    .max(countMax, rule)
    .refine((items) => new Set(items).size === items.length, rule);
  return {
    ...plain,
    type: 'list',
    rule,
    range,
    schema,
    fromText: (line) => line.split(',').map((part) => part.trim()),
  };
}

/** Also takes one word besides its values, as `all` for a number of replicas. */
export function orWord<Value, const Word extends string, Suffix extends string>(
  word: Word,
  form: Form<Value, Suffix>,
): Form<Value | Word, Suffix> {
  const rule = `${word} or ${form.rule}`;
  const schema = z.union([z.literal(word), form.schema], { error: rule });
  return { ...form, type: `${form.type} or ${word}`, rule, range: `${word}, or ${form.range}`, schema };
}

/** Also takes none: written `null` or "none" (and `alias`, if given), held as null. */
export function orNone<Value, Suffix extends string>(
  form: Form<Value, Suffix>,
  alias?: number,
): Form<Value | null, Suffix> {
  const rule = alias === undefined ? `none or ${form.rule}` : `none (or ${alias}) or ${form.rule}`;
  const isNone = (raw: unknown): boolean => raw === 'none' || (alias !== undefined && raw === alias);
  const schema = z.preprocess((raw) => (isNone(raw) ? null : raw), z.union([z.null(), form.schema], { error: rule }));
  const fromText = (line: string): unknown =>
    line.trim() === 'none' || line.trim() === String(alias) ? null : form.fromText(line);
  return { ...form, type: `${form.type} or none`, rule, range: `none, or ${form.range}`, schema, fromText };
}

/** Never shows a refused value; with a test, not those that it holds for. */
export function hidden<Value, Suffix extends string>(
  form: Form<Value, Suffix>,
  isHidden: (raw: unknown) => boolean = () => true,
): Form<Value, Suffix> {
  return { ...form, isHidden };
}

const plain = { fromText: (line: string): unknown => line, isHidden: (): boolean => false, suffix: '' } as const;

function amount(
  rule: string,
  read: (raw: string | number) => number | undefined,
  min: string,
  max: string,
): z.ZodType<number> {
  return z
    .union([z.string(), z.number()], { error: rule })
    .transform((raw) => read(raw) ?? Number.NaN)
    .pipe(
      z
        .number({ error: rule })
        .min(read(min) ?? 0, rule)
        .max(read(max) ?? 0, rule),
    );
}

function integerFromText(line: string): unknown {
  return /^\s*-?\d{1,15}\s*$/.test(line) ? Number(line) : line;
}
