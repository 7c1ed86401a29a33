/**
 * The documents about the code: what they point at exists. A link, a file that is named, a test that a guarantee stands on, a
 * sample: when the thing moves, this fails, so that no page can quietly become untrue.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, it } from 'node:test';
import { codeBlocks, loadDocument } from './support/document.ts';
import { projectRoot } from './support/project.ts';

const pages = [
  'README.md',
  'CHANGELOG.md',
  ...readdirSync(join(projectRoot, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
].sort();

/** The text without code blocks, whose line breaks stay. */
function proseOf(page: string): string {
  return loadDocument(page).replace(/^```[\s\S]*?^```$/gm, (block) => block.replace(/[^\n]/g, ''));
}

const withoutCodeSpans = (text: string): string => text.replace(/`[^`\n]*`/g, '');

/** The names by which headings are linked: as GitHub makes them. */
function anchorsOf(page: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading = ''] of proseOf(page).matchAll(/^#{1,6} (.+)$/gm)) {
    const base = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-');
    let anchor = base;
    for (let count = 1; anchors.has(anchor); count += 1) anchor = `${base}-${count}`;
    anchors.add(anchor);
  }
  return anchors;
}

const linksOf = (page: string): string[] =>
  [...withoutCodeSpans(proseOf(page)).matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] ?? '');

const sourceOf = (path: string): string => readFileSync(join(projectRoot, path), 'utf8');

describe('the documents', () => {
  it('link only to files and sections that exist', () => {
    const broken: string[] = [];
    for (const page of pages) {
      for (const link of linksOf(page)) {
        if (/^(https?|mailto):/.test(link)) continue;
        const [path = '', anchor] = link.split('#');
        const target = path === '' ? page : normalize(join(dirname(page), path));
        if (!existsSync(join(projectRoot, target))) broken.push(`${page}: ${link}`);
        else if (anchor !== undefined && !anchorsOf(target).has(decodeURIComponent(anchor)))
          broken.push(`${page}: ${link}`);
      }
    }
    assert.deepEqual(broken, []);
  });

  it('name only files and folders of the project that exist', () => {
    const broken: string[] = [];
    const path = /^(?:src|test|streams|config|bench|docs|\.ci)\/[\w./-]*$/;
    for (const page of pages) {
      for (const [, code = ''] of proseOf(page).matchAll(/`([^`\n]+)`/g)) {
        if (path.test(code) && !existsSync(join(projectRoot, code))) broken.push(`${page}: ${code}`);
      }
    }
    assert.deepEqual(broken, []);
  });

  it('are all reached from README.md', () => {
    const reached = new Set(['README.md']);
    for (const page of reached) {
      for (const link of linksOf(page)) {
        const target = normalize(join(dirname(page), link.split('#')[0] ?? ''));
        if (target.endsWith('.md') && pages.includes(target)) reached.add(target);
      }
    }
    assert.deepEqual(
      pages.filter((page) => !reached.has(page)),
      [],
    );
  });

  it('say nothing of this or that machine', () => {
    const local = /\/(?:root|home|tmp|work)\/|localhost:\d|192\.168\./;
    const broken = pages.flatMap((page) =>
      loadDocument(page)
        .split('\n')
        .filter((line) => local.test(line))
        .map((line) => `${page}: ${line}`),
    );
    assert.deepEqual(broken, []);
  });
});

describe('docs/guarantees.md', () => {
  const page = 'docs/guarantees.md';
  const sections = loadDocument(page)
    .split(/^## /m)
    .filter((section) => /^G\d /.test(section));
  /** `- [file](../test/file.ts): "title"; "title"` */
  const evidence = /^- \[[^\]]+\]\(\.\.\/(test\/[^)]+)\): (.+)$/gm;

  it('has each of the nine, in order', () => {
    assert.deepEqual(
      sections.map((section) => section.slice(0, 2)),
      Array.from({ length: 9 }, (_, index) => `G${index + 1}`),
    );
  });

  it('gives each its promise, its means, its limits, and tests by file and title that exist', () => {
    for (const section of sections) {
      const name = section.slice(0, 2);
      for (const part of ['**Promise.**', '**How.**', '**Limits.**', '**Tests.**'])
        assert.ok(section.includes(part), `${name} lacks ${part}`);
      const files = [...section.matchAll(evidence)];
      assert.ok(files.length >= 2, `${name} has ${files.length} files of tests`);
      for (const [, file = '', list = ''] of files) {
        const titles = [...list.matchAll(/"([^"]+)"/g)].map((match) => match[1] ?? '');
        assert.ok(titles.length > 0, `${name}: ${file} without a title`);
        const source = sourceOf(file);
        for (const title of titles) {
          const isThere = [`'${title.replaceAll("'", "\\'")}'`, `"${title}"`, `\`${title}\``].some((quoted) =>
            source.includes(quoted),
          );
          assert.ok(isThere, `${name}: ${file} has no "${title}"`);
        }
      }
    }
  });
});

describe('docs/security.md', () => {
  it('names tests by file and title that exist', () => {
    const evidence = /\]\(\.\.\/(test\/[^)]+)\)((?:;? "(?:[^"\\]|\\.)+")+)/g;
    const files = [...loadDocument('docs/security.md').matchAll(evidence)];
    assert.ok(files.length >= 20, `${files.length} lines with tests`);
    for (const [, file = '', list = ''] of files) {
      const source = sourceOf(file);
      for (const [, quoted = ''] of list.matchAll(/"((?:[^"\\]|\\.)+)"/g)) {
        const title = quoted.replaceAll('\\"', '"');
        const isThere = [`'${title}'`, `"${title}"`, `\`${title}\``].some((text) => source.includes(text));
        assert.ok(isThere, `${file} has no "${title}"`);
      }
    }
  });
});

describe('docs/operations.md', () => {
  it('explains every metric that a node or a controller has, and no other', () => {
    const source = sourceOf('src/node/metrics.ts') + sourceOf('src/controller/metrics.ts');
    // A table of [name, sentence, …]; the names of caches' metrics lack their common beginning.
    const ofCaches = [...source.matchAll(/\[\s*'(?!sluice_)([a-z_]+)',\s*'[A-Z]/g)].map(
      (match) => `sluice_cache_${match[1]}`,
    );
    const ofNode = [...source.matchAll(/'(sluice_[a-z_]+)'/g)].map((match) => match[1] ?? '');
    const known = new Set([...ofCaches, ...ofNode]);
    const explained = new Set(
      [...loadDocument('docs/operations.md').matchAll(/`(sluice_[a-z_]+)`/g)].map((match) => match[1] ?? ''),
    );
    assert.ok(known.size > 25, [...known].join(' '));
    assert.deepEqual([...explained].sort(), [...known].sort());
  });
});

describe('README.md', () => {
  const folder = 'test/samples';
  const blocks = codeBlocks(loadDocument('README.md'));

  /** A sample as it is shown: without the comment that opens the file. */
  const shown = (file: string): string =>
    sourceOf(file)
      .replace(/^\/\*\*[\s\S]*?\*\/\n/, '')
      .trimEnd();

  it('takes its samples literally from files that tests run', () => {
    for (const { language, code, source, line } of blocks) {
      if (language === '') continue;
      if (!source?.startsWith(`${folder}/`)) assert.fail(`line ${line}: a sample that no file holds`);
      assert.equal(code, shown(source), source);
    }
  });

  it('shows every sample there is', () => {
    const files = readdirSync(join(projectRoot, folder)).map((name) => `${folder}/${name}`);
    assert.deepEqual(blocks.flatMap(({ source }) => source ?? []).sort(), files.sort());
  });
});
