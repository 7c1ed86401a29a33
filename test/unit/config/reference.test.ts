/**
 * The schema, and the texts that come from it. `UPDATE_DOCS=1` rewrites docs/configuration.md and config/cache-node.json
 * instead of comparing them.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { loadSettings } from '../../../src/config/load.ts';
import { buildDefaultFile, buildHelp, buildReference } from '../../../src/config/reference.ts';
import type { CacheSettings, Settings } from '../../../src/config/schema.ts';
import { settingEntries, settingTree } from '../../../src/config/schema.ts';
import { projectRoot } from '../../support/project.ts';

function assertFileIs(name: string, text: string): void {
  const path = join(projectRoot, name);
  const { UPDATE_DOCS } = process.env;
  if (UPDATE_DOCS === '1') writeFileSync(path, text);
  assert.ok(
    readFileSync(path, 'utf8') === text,
    `${name} differs from the schema; rewrite it: UPDATE_DOCS=1 node .ci/test.mjs unit/config`,
  );
}

/** Compiles only while the section of the settings and the settings of a cache are the same type. */
const cacheDefaultsOf = (settings: Settings): CacheSettings => settings.cacheDefaults;

describe('the schema', () => {
  it('gives each setting names of its own', () => {
    for (const names of ['path', 'env', 'flag'] as const) {
      const all = settingEntries.map((entry) => entry[names]);
      assert.equal(new Set(all).size, all.length, names);
    }
  });

  it('derives variable and flag from the path', () => {
    const entry = settingEntries.find(({ path }) => path === 'node.dataFolder');
    assert.equal(entry?.env, 'SLUICE_NODE_DATA_FOLDER');
    assert.equal(entry?.flag, '--node-data-folder');
    assert.ok(settingEntries.some(({ flag }) => flag === '--nats-tls-ca-file'));
  });

  it('says each setting in a sentence', () => {
    for (const { path, setting } of settingEntries) assert.match(setting.says, /^[A-Z].*\.$/, path);
  });

  it('has cache defaults that are the settings of a cache', () => {
    assert.equal(cacheDefaultsOf(loadSettings({ env: {} })).replicas, 'all');
  });
});

describe('the texts from the schema', () => {
  it('are docs/configuration.md', () => {
    assertFileIs('docs/configuration.md', buildReference());
  });

  it('are config/cache-node.json', () => {
    assertFileIs('config/cache-node.json', buildDefaultFile());
  });

  it('name every setting, variable and flag in the reference, and those of the program in the help', () => {
    const reference = buildReference();
    const help = buildHelp('cache-node');
    const sluiceHelp = buildHelp('sluice');
    for (const { path, env, flag, programs } of settingEntries) {
      for (const name of [path, env, flag]) assert.ok(reference.includes(`\`${name}\``), name);
      const isThere = help.includes(`  ${flag} <`) && help.includes(`(${env})`);
      assert.equal(isThere, programs.includes('cache-node'), flag);
    }
    assert.ok(buildHelp('cache-controller').includes('--audit-interval <duration>'));
    assert.ok(sluiceHelp.includes('--nats-servers <list>'));
    assert.ok(!sluiceHelp.includes('--http-port'));
  });
});

describe('the files in config/', () => {
  it('hold in the default file exactly the defaults', () => {
    const file = join(projectRoot, 'config', 'cache-node.json');
    assert.deepEqual(loadSettings({ env: {}, file }), loadSettings({ env: {} }));
    const text = readFileSync(file, 'utf8');
    for (const section of Object.keys(settingTree)) assert.ok(text.includes(`"${section}": `), section);
  });

  it('are all valid, also together with the variables that the examples ask for', () => {
    const folder = join(projectRoot, 'config', 'examples');
    const names = readdirSync(folder);
    assert.deepEqual(names.sort(), ['laptop.json', 'secured-node.json', 'three-nodes.json']);
    const env = { SLUICE_NODE_ID: 'node-1', SLUICE_NATS_USER: 'sluice', SLUICE_NATS_PASSWORD: 'secret' };
    for (const name of names) {
      const file = join(folder, name);
      loadSettings({ env: {}, file });
      assert.equal(loadSettings({ env, file }).node.id, 'node-1', name);
    }
    const production = loadSettings({ env: {}, file: join(folder, 'three-nodes.json') });
    assert.equal(production.log.replicas, 3);
    assert.equal(production.cacheDefaults.logReplicas, 3);
  });
});
