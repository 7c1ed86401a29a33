/**
 * Options of commands: how they are declared, and how their texts become values. Every refusal is a `bad-request` that names
 * the option, the text and the rule.
 */
import { Option } from 'commander';
import { showValue } from '../../config/problems.ts';
import { durationRule, readDuration } from '../../config/units.ts';
import { SluiceError } from '../../errors.ts';
import type { GivenOptions } from './context.ts';

/** An option that may be given several times, or once with commas where `splits` is set. */
export function listOption(flags: string, description: string, splits = false): Option {
  return new Option(flags, description).argParser((text: string, before: readonly string[] | undefined) => [
    ...(before ?? []),
    ...(splits ? text.split(',').map((part) => part.trim()) : [text]),
  ]);
}

export const jsonOption = (): Option => new Option('--json', 'write JSON, for programs');

export function textOption(given: GivenOptions, name: string): string | undefined {
  const value = given[name];
  return typeof value === 'string' ? value : undefined;
}

export function textsOption(given: GivenOptions, name: string): readonly string[] | undefined {
  const value = given[name];
  return Array.isArray(value) ? value : undefined;
}

export const hasOption = (given: GivenOptions, name: string): boolean => given[name] === true;

/** A whole number from `min`. */
export function countOption(given: GivenOptions, name: string, min = 0): number | undefined {
  const text = textOption(given, name);
  if (text === undefined) return undefined;
  const count = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(count) || count < min) refuseOption(name, text, `must be a whole number from ${min}`);
  return count;
}

/** A duration with a unit, in ms. */
export function durationOption(given: GivenOptions, name: string): number | undefined {
  const text = textOption(given, name);
  if (text === undefined) return undefined;
  const durationMs = readDuration(text);
  if (durationMs === undefined || durationMs === 0) return refuseOption(name, text, `must be ${durationRule}`);
  return durationMs;
}

/** Throws `bad-request`. */
export function refuseOption(name: string, value: string, rule: string): never {
  const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  throw new SluiceError('bad-request', `${flag}: ${showValue(value)}: ${rule}`, {
    details: { field: flag, value: showValue(value), rule },
  });
}
