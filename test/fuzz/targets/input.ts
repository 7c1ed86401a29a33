/** What people write: settings in files, variables and flags, declarations of caches, command lines, durations and sizes. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Command, CommanderError } from 'commander';
import { parseFlags } from '../../../src/cli/flags.ts';
import { buildProgram } from '../../../src/cli/program.ts';
import { builtInCacheSettings, parseCacheSettings, validateCacheName } from '../../../src/config/cache-settings.ts';
import { JsonFault, parseCommentedJson } from '../../../src/config/commented-json.ts';
import { loadSettings } from '../../../src/config/load.ts';
import { settingEntries } from '../../../src/config/schema.ts';
import { formatBytes, formatDuration, readBytes, readDuration } from '../../../src/config/units.ts';
import { validateCacheRelations, validateRelations } from '../../../src/config/validate.ts';
import { readCacheDeclaration } from '../../../src/events/control.ts';
import { buildBucketStream } from '../../../src/nats/stream-definitions.ts';
import { type FuzzTarget, promise, promiseCount, promiseSame, unlessRefused } from '../target.ts';

const units: FuzzTarget = {
  name: 'units',
  promise: 'a duration or size is an exact count that can be written again, or refused',
  dictionary: [
    'ms',
    's',
    'm',
    'h',
    'd',
    'KiB',
    'MiB',
    'TiB',
    'kB',
    'B',
    '.',
    '0',
    '9007199254740993',
    ' ',
    '\u00a0',
    'constructor',
  ],
  cases: 12_000,
  run(bytes) {
    const text = bytes.toString('utf8');
    const durationMs = readDuration(text);
    if (durationMs !== undefined) {
      promiseCount(durationMs, 'duration');
      promiseSame(readDuration(formatDuration(durationMs)), durationMs, 'the duration read again');
    }
    const size = readBytes(text);
    if (size === undefined) return;
    promiseCount(size, 'size');
    promiseSame(readBytes(formatBytes(size)), size, 'the size read again');
  },
};

const jsonWords = [
  '//',
  '/*',
  '*/',
  ',',
  '{',
  '}',
  '[',
  ']',
  '"',
  '\\u0000',
  '\\',
  '__proto__',
  '\ufeff',
  'true',
  'null',
  '1e9',
];

function plainJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const commentedJson: FuzzTarget = {
  name: 'commented-json',
  promise: 'a file with settings is read as JSON reads it, or refused with a place and nothing of the text',
  dictionary: jsonWords,
  cases: 6_000,
  run(bytes) {
    const text = bytes.toString('utf8');
    let value: unknown;
    try {
      value = parseCommentedJson(text);
    } catch (error) {
      if (!(error instanceof JsonFault)) throw error;
      promise(/^line \d+, column \d+: [\x20-\x7e]{1,100}$/.test(error.message), () => error.message);
      return;
    }
    const plain = plainJson(text);
    if (plain !== undefined)
      promiseSame(JSON.parse(JSON.stringify(value)), JSON.parse(JSON.stringify(plain)), 'the value');
  },
};

const folder = mkdtempSync(join(tmpdir(), 'sluice-fuzz-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, 'settings.json');

/** Lines `NAME=value` are variables, lines `--name value` are flags, and what follows an empty line is the file. */
const settings: FuzzTarget = {
  name: 'settings',
  promise: 'settings are frozen, within their ranges and relations, or refused with all problems',
  dictionary: [
    ...jsonWords,
    ...settingEntries.flatMap(({ path, env, flag }) => [`"${path.split('.').at(-1)}": `, `${env}=`, `${flag} `]),
    '30s',
    '64MiB',
    'none',
    'all',
  ],
  cases: 1_000,
  run(bytes) {
    const text = bytes.toString('utf8');
    const end = text.indexOf('\n\n');
    const env: Record<string, string> = {};
    const flags: Record<string, string> = {};
    for (const line of text.slice(0, end < 0 ? 0 : end).split('\n')) {
      const [, name, value = ''] = /^([^= ]*)[= ]([\s\S]*)$/.exec(line) ?? [];
      if (name?.startsWith('--')) flags[name] = value;
      else if (name !== undefined) env[name] = value;
    }
    writeFileSync(file, text.slice(end < 0 ? 0 : end + 2));
    delete flags['--config'];
    delete env['SLUICE_CONFIG'];
    const loaded = unlessRefused(() => loadSettings({ env, flags, file }));
    if (loaded === undefined) return;
    promise(Object.isFrozen(loaded) && Object.isFrozen(loaded.http), () => 'settings that can change');
    promiseSame(validateRelations(loaded, new Set()), [], 'broken relations');
    for (const { path, setting } of settingEntries) {
      const held = path.split('.').reduce<unknown>((branch, name, index, names) => {
        const suffix = index === names.length - 1 ? setting.suffix : '';
        return (branch as Record<string, unknown>)[`${name}${suffix}`];
      }, loaded);
      promiseSame(setting.schema.parse(held), held, path);
    }
  },
};

const declarations: FuzzTarget = {
  name: 'declarations',
  promise: 'a declaration gives settings in range and a stream that a server can make, or is refused',
  dictionary: [
    ...Object.keys(builtInCacheSettings).map((name) => `"${name}":`),
    '"ttl":',
    '"all"',
    '"refuse"',
    '"64MiB"',
    '"1h"',
    '"none"',
    '__proto__',
    '9007199254740991',
  ],
  cases: 4_000,
  run(bytes) {
    const value = plainJson(bytes.toString('utf8'));
    const given = unlessRefused(() => parseCacheSettings(value, builtInCacheSettings));
    if (given !== undefined) {
      promiseSame(validateCacheRelations(given), [], 'broken relations');
      const { ttlMs, ...rest } = given;
      promiseSame(parseCacheSettings({ ...rest, ttl: ttlMs }, builtInCacheSettings), given, 'the settings read again');
      promiseSame(readCacheDeclaration(given), given, 'the settings through the control log');
    }
    unlessRefused(() => validateCacheName(typeof value === 'string' ? value : bytes.toString('utf8')));
    for (const declared of [given, readCacheDeclaration(value)]) {
      if (declared === undefined) continue;
      const stream = buildBucketStream('sluice', 'demo', declared);
      promiseCount(stream.max_msg_size, 'max_msg_size', 1, 2 ** 31 - 1);
      promiseCount(stream.num_replicas, 'num_replicas', 1, 5);
      promiseCount(stream.max_bytes, 'max_bytes', -1);
    }
  },
};

function silence(command: Command): void {
  command.configureOutput({ writeOut: () => undefined, writeErr: () => undefined });
  for (const inner of command.commands) silence(inner);
}

/** A line per word. */
const commandLines: FuzzTarget = {
  name: 'command-lines',
  promise: 'words of a command line are a command, flags, or refused with words',
  dictionary: [
    '--',
    '--json',
    '--help',
    '-h',
    '=',
    '--ttl',
    '--nats-servers=',
    'put',
    'get',
    'cache',
    'declare',
    'log',
    '--__proto__',
    '--constructor',
    '-',
  ],
  cases: 1_000,
  run(bytes) {
    const words = bytes.toString('utf8').split('\n').slice(0, 64);
    const flags = unlessRefused(() => parseFlags(words));
    if (flags !== undefined)
      unlessRefused(() => loadSettings({ env: {}, flags: { ...flags.values, config: undefined } }));
    let chosen = 0;
    try {
      const program = buildProgram(() => {
        chosen += 1;
      });
      silence(program);
      program.parse(words, { from: 'user' });
      promise(chosen <= 1, () => `${chosen} commands were chosen`);
    } catch (error) {
      if (!(error instanceof CommanderError))
        unlessRefused(() => {
          throw error;
        });
      promise(chosen === 0, () => 'a command was chosen and refused');
    }
  },
};

export const inputTargets: readonly FuzzTarget[] = [units, commentedJson, settings, declarations, commandLines];
