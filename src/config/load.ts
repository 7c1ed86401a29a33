/**
 * Settings from the outside world: defaults < file < environment < flags. This file alone reads files and the
 * environment below level 5. All problems are collected and thrown together; a value that is given wrong is a problem
 * even where a stronger source overrides it.
 */
import { readFileSync, statSync } from 'node:fs';
import { messageOf } from '../errors.ts';
import { JsonFault, parseCommentedJson } from './commented-json.ts';
import { hiddenValue, type Problem, problemError, showValue, unknownNameRule } from './problems.ts';
import {
  otherVariables,
  type Program,
  type SettingEntry,
  type Settings,
  settingEntries,
  settingTree,
} from './schema.ts';
import { isSetting, type Setting, type SettingTree } from './setting.ts';
import { validateRelations } from './validate.ts';

export interface SettingSources {
  /** By name, `http-port` or `httpPort`, without dashes in front; undefined counts as not given. */
  readonly flags?: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Default: that of the process. An empty value counts as not given. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** JSON with comments. Default: the flag `config`, else the variable SLUICE_CONFIG, else none. */
  readonly file?: string;
  /** Whose flags are known. Default: cache-node. */
  readonly program?: Program;
}

/** A setting as one source gives it. */
interface Given {
  readonly path: string;
  readonly setting: Setting<unknown>;
  /** The path, and the variable or flag that it came from. */
  readonly field: string;
  readonly raw: unknown;
}

const envPrefix = 'SLUICE_';
const fileEnv = 'SLUICE_CONFIG';
const fileFlag = 'config';
const fileBytesMax = 1024 * 1024;

/** What Kubernetes sets for a service whose name begins with `sluice`, as NAME=value; never ours. */
const serviceVariable =
  /^SLUICE_(\w+_)?(SERVICE_HOST=|SERVICE_PORT(_\w+)?=|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?=|PORT=(tcp|udp|sctp):\/\/)/;

/** The complete settings, deep-frozen. Throws bad-config, with every problem in `details.problems`. */
export function loadSettings(sources: SettingSources): Settings {
  const problems: Problem[] = [];
  const flags = readFlags(sources, problems);
  const env = readEnv(sources, problems);
  const given = [...readFile(fileOf(sources), problems), ...env, ...flags];

  const values = new Map(settingEntries.map(({ path, setting }) => [path, setting.initial]));
  const wrongFields = new Set<string>();
  for (const { path, setting, field, raw } of given) {
    const parsed = setting.schema.safeParse(raw);
    if (parsed.success) {
      values.set(path, parsed.data);
    } else {
      wrongFields.add(path);
      const value = setting.isHidden(raw) ? hiddenValue : showValue(raw);
      problems.push({ field, value, rule: `must be ${setting.rule}` });
    }
  }
  // `buildBranch` follows the very tree that the type is made from.
  const settings = buildBranch(settingTree, '', values) as unknown as Settings;
  problems.push(...validateRelations(settings, wrongFields));
  if (problems.length > 0) throw problemError('bad-config', 'the configuration is not valid', problems);
  return settings;
}

function fileOf({ file, flags, env }: SettingSources): string | undefined {
  const flag = flags?.[fileFlag];
  const variable = (env ?? process.env)[fileEnv];
  return file ?? (typeof flag === 'string' ? flag : undefined) ?? (variable === '' ? undefined : variable);
}

function readFile(file: string | undefined, problems: Problem[]): Given[] {
  if (file === undefined) return [];
  const refuse = (rule: string): Given[] => {
    problems.push({ field: fileFlag, value: showValue(file), rule });
    return [];
  };
  let root: unknown;
  try {
    if (statSync(file).size > fileBytesMax) return refuse('must be a file of at most 1MiB');
    root = parseCommentedJson(readFileSync(file, 'utf8'));
  } catch (error) {
    const isFault = error instanceof JsonFault;
    return refuse(`${isFault ? 'must be JSON with comments' : 'must be a readable file'}: ${messageOf(error)}`);
  }
  return readSection(root, settingTree, '', problems);
}

/** The settings in one object of the file. Values of unknown names are not shown: they may be misspelt secrets. */
function readSection(raw: unknown, tree: SettingTree, prefix: string, problems: Problem[]): Given[] {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    const field = prefix === '' ? fileFlag : prefix.slice(0, -1);
    problems.push({ field, value: hiddenValue, rule: 'must be an object with settings' });
    return [];
  }
  return Object.entries(raw).flatMap(([name, value]): Given[] => {
    const path = `${prefix}${name}`;
    const node = Object.hasOwn(tree, name) ? tree[name] : undefined;
    if (node === undefined) {
      const known = [
        ...Object.keys(tree).map((key) => `${prefix}${key}`),
        ...settingEntries.map((entry) => entry.path),
      ];
      const rule = name.includes('.')
        ? 'is not a setting; sections are written as objects in objects'
        : unknownNameRule(path, known);
      problems.push({ field: path, value: hiddenValue, rule });
      return [];
    }
    return isSetting(node)
      ? [{ path, setting: node, field: path, raw: value }]
      : readSection(value, node, `${path}.`, problems);
  });
}

function readEnv({ env = process.env }: SettingSources, problems: Problem[]): Given[] {
  const known = new Map(settingEntries.map((entry) => [entry.env, entry]));
  return Object.entries(env).flatMap(([name, line]): Given[] => {
    if (!name.startsWith(envPrefix) || line === undefined || line === '') return [];
    const entry = known.get(name);
    if (entry !== undefined) return [fromText(entry, entry.env, line)];
    if (!isOthers(name, line)) {
      problems.push({ field: name, value: hiddenValue, rule: unknownNameRule(name, [...known.keys()]) });
    }
    return [];
  });
}

function isOthers(name: string, line: string): boolean {
  const isListed = (listed: string): boolean => (listed.endsWith('_') ? name.startsWith(listed) : name === listed);
  return serviceVariable.test(`${name}=${line}`) || Object.keys(otherVariables).some(isListed);
}

function readFlags({ flags = {}, program = 'cache-node' }: SettingSources, problems: Problem[]): Given[] {
  const known = new Map(
    settingEntries.filter(({ programs }) => programs.includes(program)).map((entry) => [entry.flag, entry]),
  );
  return Object.entries(flags).flatMap(([name, value]): Given[] => {
    if (value === undefined || name === fileFlag) return [];
    const flag = `--${name.replace(/^-+/, '').replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    const entry = known.get(flag);
    if (entry !== undefined) return [fromText(entry, flag, typeof value === 'string' ? value : value.join(','))];
    problems.push({ field: flag, value: hiddenValue, rule: unknownNameRule(flag, [...known.keys()]) });
    return [];
  });
}

function fromText({ path, setting }: SettingEntry, source: string, line: string): Given {
  return { path, setting, field: `${path} (${source})`, raw: setting.fromText(line) };
}

/** The frozen object of one section, with the unit of each setting added to its name. */
function buildBranch(tree: SettingTree, prefix: string, values: ReadonlyMap<string, unknown>): object {
  const branch = Object.entries(tree).map(([name, node]): [string, unknown] =>
    isSetting(node)
      ? [`${name}${node.suffix}`, frozenList(values.get(`${prefix}${name}`))]
      : [name, buildBranch(node, `${prefix}${name}.`, values)],
  );
  return Object.freeze(Object.fromEntries(branch));
}

function frozenList(value: unknown): unknown {
  return Array.isArray(value) ? Object.freeze(value) : value;
}
