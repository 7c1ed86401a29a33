/**
 * The code about the code: who may import whom, where a package and a risky word may live, how files are named.
 * It reads the sources as text, so it also sees what the compiler and the linter accept.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, normalize } from 'node:path';
import { describe, it } from 'node:test';
import { projectRoot } from './support/project.ts';

const src = join(projectRoot, 'src');
const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
const sources = new Map(files.map((name) => [name, readFileSync(join(src, name), 'utf8')]));

const levels: readonly (readonly string[])[] = [
  ['errors.ts', 'base'],
  ['events', 'placement', 'store', 'openflow', 'config'],
  ['state', 'log'],
  ['replay', 'membership'],
  ['service'],
  ['nats', 'broker', 'http-cache', 'switches', 'api', 'client', 'sinks', 'dashboard'],
  ['cluster'],
  ['node', 'controller', 'library', 'testing'],
  ['cli', 'index.ts'],
];

/** Files of one package's own; every other file must not import it. */
const packageHomes: Readonly<Record<string, readonly string[]>> = {
  '@nats-io/': ['nats/'],
  'lru-cache': ['store/'],
  mongodb: ['sinks/'],
  zod: ['config/', 'api/', 'events/', 'cli/', 'cluster/', 'node/'],
  fastify: ['api/', 'dashboard/'],
  '@grpc/': ['api/grpc/', 'client/'],
  commander: ['cli/'],
  pino: ['cluster/', 'node/', 'controller/', 'cli/'],
  'prom-client': ['node/', 'controller/', 'api/'],
};

/** Words that reach around a parameter (time, chance, environment), and where each may stand. */
const bannedWords: Readonly<Record<string, readonly string[]>> = {
  'Date.now': ['base/clock.ts'],
  'performance.now': ['base/clock.ts'],
  'Math.random': ['base/random.ts'],
  'process.env': ['config/load.ts', 'cli/', 'broker/'],
  'setTimeout(': ['base/clock.ts'],
  'setInterval(': ['base/clock.ts'],
  'console.': ['cli/'],
  'process.exit': ['cli/'],
  '.only(': [],
  ': any': [],
  'as any': [],
  '@ts-ignore': [],
  '@ts-expect-error': [],
};

const vagueNames = /^(utils?|helpers?|common|types|misc|manager|impl)\.ts$/;

const levelOf = new Map(levels.flatMap((names, level) => names.map((name) => [name, level] as const)));
const roomOf = (file: string): string => file.split('/')[0] ?? file;

function importsOf(text: string): string[] {
  const found = text.matchAll(
    /(?:import|export)\s[^'"`;]*?from\s+'([^']+)'|import\(\s*'([^']+)'\s*\)|^import\s+'([^']+)'/gm,
  );
  return [...found].map((match) => match[1] ?? match[2] ?? match[3] ?? '');
}

function localImports(file: string): string[] {
  return importsOf(sources.get(file) ?? '')
    .filter((path) => path.startsWith('.'))
    .map((path) => normalize(join(dirname(file), path)));
}

const isHome = (file: string, homes: readonly string[]): boolean =>
  homes.some((home) => (home.endsWith('/') ? file.startsWith(home) : file === home));

describe('the house plan', () => {
  it('has a level for each folder of src', () => {
    for (const file of files) assert.ok(levelOf.has(roomOf(file)), `${file}: no level for ${roomOf(file)}`);
  });

  it('lets imports only go down, and never sideways between folders of one level', () => {
    const broken: string[] = [];
    for (const file of files) {
      for (const target of localImports(file)) {
        const from = roomOf(file);
        const to = roomOf(target);
        if (from === to) continue;
        const isDown = (levelOf.get(to) ?? 99) < (levelOf.get(from) ?? -1);
        const isFoundation = to === 'errors.ts' && from === 'base';
        if (!isDown && !isFoundation) broken.push(`${file} imports ${target}`);
      }
    }
    assert.deepEqual(broken, []);
  });

  it('has no import cycle', () => {
    const done = new Set<string>();
    const visit = (file: string, path: readonly string[]): void => {
      if (done.has(file)) return;
      assert.ok(!path.includes(file), `cycle: ${[...path, file].join(' > ')}`);
      for (const target of localImports(file)) visit(target, [...path, file]);
      done.add(file);
    };
    for (const file of files) visit(file, []);
  });

  it('imports only files that exist, by their .ts name', () => {
    const missing = files.flatMap((file) =>
      localImports(file)
        .filter((target) => !sources.has(target))
        .map((target) => `${file}: ${target}`),
    );
    assert.deepEqual(missing, []);
  });

  it('keeps each npm package in its home', () => {
    const broken: string[] = [];
    for (const file of files) {
      for (const name of importsOf(sources.get(file) ?? '').filter(
        (path) => !path.startsWith('.') && !path.startsWith('node:'),
      )) {
        const home = Object.entries(packageHomes).find(([prefix]) => name === prefix || name.startsWith(prefix));
        if (home === undefined || !isHome(file, home[1])) broken.push(`${file} imports ${name}`);
      }
    }
    assert.deepEqual(broken, []);
  });

  it('builds on the packages that the project is fixed to', () => {
    const fixed = { '@nats-io/': 'nats/', 'lru-cache': 'store/', pino: 'cli/' };
    for (const [name, home] of Object.entries(fixed)) {
      const isUsed = files.some(
        (file) => file.startsWith(home) && importsOf(sources.get(file) ?? '').some((path) => path.startsWith(name)),
      );
      assert.ok(isUsed, `${home} must be built on ${name}: a fixed choice, not to be replaced by code of our own`);
    }
  });

  it('touches files, sockets and processes only from level 5 up', () => {
    const outside =
      /^node:(fs|fs\/promises|net|http|https|http2|dgram|dns|tls|child_process|cluster|worker_threads|readline)$/;
    const broken = files
      .filter((file) => (levelOf.get(roomOf(file)) ?? 0) < 5 && file !== 'config/load.ts')
      .flatMap((file) =>
        importsOf(sources.get(file) ?? '')
          .filter((name) => outside.test(name))
          .map((name) => `${file}: ${name}`),
      );
    assert.deepEqual(broken, []);
  });
});

describe('words and names', () => {
  it('keeps time, chance, environment and the console in their homes', () => {
    const broken: string[] = [];
    for (const [file, text] of sources) {
      const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '');
      for (const [word, homes] of Object.entries(bannedWords)) {
        if (code.includes(word) && !isHome(file, homes)) broken.push(`${file}: ${word}`);
      }
    }
    assert.deepEqual(broken, []);
  });

  it('names files in kebab-case, and never by a vague word', () => {
    for (const file of files) {
      assert.match(basename(file), /^[a-z0-9]+(-[a-z0-9]+)*\.ts$/, file);
      assert.doesNotMatch(basename(file), vagueNames, file);
    }
  });

  it('opens each file with what it is', () => {
    const bare = files.filter((file) => !/^(#!.*\n)?\/\*\*/.test(sources.get(file) ?? ''));
    assert.deepEqual(bare, []);
  });

  it('keeps files below 400 lines and folders at ten files or fewer', () => {
    const long = files.filter((file) => (sources.get(file) ?? '').split('\n').length > 400);
    assert.deepEqual(long, []);
    const perFolder = new Map<string, number>();
    for (const file of files) perFolder.set(dirname(file), (perFolder.get(dirname(file)) ?? 0) + 1);
    assert.deepEqual(
      [...perFolder].filter(([folder, count]) => folder !== '.' && count > 10),
      [],
    );
  });

  it('skips no test silently', () => {
    const tests = readdirSync(join(projectRoot, 'test'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && name !== 'tidy.test.ts')
      .filter((name) =>
        /\b(?:it|test|describe)\.(?:only|skip|todo)\b|\bt\.skip\(/.test(
          readFileSync(join(projectRoot, 'test', name), 'utf8'),
        ),
      );
    assert.deepEqual(tests, []);
  });
});

describe('the top level', () => {
  it('holds only what belongs there', () => {
    const allowed = new Set(
      'package.json package-lock.json tsconfig.json biome.json src streams config docker test README.md bench docs CHANGELOG.md LICENSE node_modules dist'.split(
        ' ',
      ),
    );
    const odd = readdirSync(projectRoot).filter(
      (name) => !name.startsWith('.') && !allowed.has(name) && !name.endsWith('.tgz'),
    );
    assert.deepEqual(odd, []);
  });

  it('has a lock file without download addresses', () => {
    assert.doesNotMatch(readFileSync(join(projectRoot, 'package-lock.json'), 'utf8'), /"resolved":\s*"https?:/);
  });
});
