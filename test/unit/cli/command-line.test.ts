/** From words to what is meant. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { declarationOf } from '../../../src/cli/command/caches.ts';
import { loadCommandSettings, originOf } from '../../../src/cli/command/connection.ts';
import type { ChosenCommand } from '../../../src/cli/command/context.ts';
import { countOption, durationOption, textOption, textsOption } from '../../../src/cli/command/options.ts';
import { parseFlags } from '../../../src/cli/flags.ts';
import { parseSince } from '../../../src/cli/journal/log.ts';
import { contentTypeOf } from '../../../src/cli/load/content-type.ts';
import { createMatcher } from '../../../src/cli/load/glob.ts';
import { buildProgram } from '../../../src/cli/program.ts';
import { isSluiceError } from '../../../src/errors.ts';

function parse(...argv: string[]): ChosenCommand {
  let chosen: ChosenCommand | undefined;
  buildProgram((command) => {
    chosen = command;
  }).parse(argv, { from: 'user' });
  assert.ok(chosen !== undefined);
  return chosen;
}

const isBadRequest = (pattern: RegExp) => (error: unknown) =>
  isSluiceError(error, 'bad-request') && pattern.test(error.message);

describe('commands', () => {
  it('get their words and options', () => {
    const { spec, words, given } = parse('put', 'demo', 'key', 'value', '--ttl', '30s', '--tag', 'a,b', '--tag', 'c');
    assert.equal(spec.usage, 'put <cache> <key> [value]');
    assert.deepEqual(words, ['demo', 'key', 'value']);
    assert.deepEqual([durationOption(given, 'ttl'), textsOption(given, 'tag')], [30_000, ['a', 'b', 'c']]);
  });

  it('take words that begin with a dash behind --', () => {
    assert.deepEqual(parse('put', 'demo', '--', '-k', '--json').words, ['demo', '-k', '--json']);
  });

  it('stand in groups', () => {
    assert.equal(parse('cache', 'list').spec.usage, 'list');
    assert.equal(parse('list', 'demo').spec.usage, 'list <cache>');
    assert.deepEqual(parse('invalidate', 'demo', 'a', 'b').words, ['demo', 'a', 'b']);
  });

  it('have no options of two meanings', () => {
    const { given } = parse('cache', 'declare', 'demo', '--log-replicas', '3', '--ttl', 'none', '--replicas', 'all');
    assert.deepEqual(declarationOf(given), { logReplicas: 3, ttl: null, replicas: 'all' });
  });
});

describe('options', () => {
  it('are refused with their name, their text and the rule', () => {
    assert.throws(
      () => countOption({ limit: '-1' }, 'limit'),
      isBadRequest(/^--limit: "-1": must be a whole number from 0$/),
    );
    assert.throws(() => countOption({ limit: '0' }, 'limit', 1), isBadRequest(/from 1/));
    assert.throws(() => countOption({ ifRevision: '1e3' }, 'ifRevision'), isBadRequest(/^--if-revision: "1e3"/));
    assert.throws(() => durationOption({ ttl: '0' }, 'ttl'), isBadRequest(/^--ttl: "0": must be a duration/));
    assert.throws(() => originOf({ as: 'no spaces' }), isBadRequest(/^--as: /));
  });

  it('that are not given are undefined', () => {
    assert.deepEqual(
      [countOption({}, 'a'), durationOption({}, 'a'), textOption({}, 'a'), textsOption({}, 'a')],
      [undefined, undefined, undefined, undefined],
    );
  });

  it('name who writes, by default the user of the machine', () => {
    assert.equal(originOf({ as: 'me' }), 'me');
    assert.match(originOf({}), /^cli-[A-Za-z0-9_-]+$/);
  });

  it('of the connection are stronger than variables, and a short wait is the default', () => {
    const env = { SLUICE_NATS_SERVERS: 'nats://one:4222', SLUICE_CLUSTER: 'west' };
    const settings = loadCommandSettings({ env, given: { nats: 'nats://two:4222' } });
    assert.deepEqual(
      [settings.nats.servers, settings.cluster, settings.nats.connectWaitMs],
      [['nats://two:4222'], 'west', 5_000],
    );
    const patient = loadCommandSettings({ env: { SLUICE_NATS_CONNECT_WAIT: '1m' }, given: {} });
    assert.equal(patient.nats.connectWaitMs, 60_000);
    assert.equal(loadCommandSettings({ env: { SLUICE_SUPERVISED: '1' }, given: {} }).cluster, 'sluice');
  });
});

describe('flags of the programs without commands', () => {
  it('are pairs or have an equals sign; the last one counts', () => {
    assert.deepEqual(parseFlags(['--http-port', '1', '--node-id=a=b', '--http-port', '2', '--x', '-1']), {
      wantsHelp: false,
      wantsVersion: false,
      values: { 'http-port': '2', 'node-id': 'a=b', x: '-1' },
    });
    assert.deepEqual([parseFlags(['-h']).wantsHelp, parseFlags(['--version']).wantsVersion], [true, true]);
  });

  it('are refused without a value, and words are refused', () => {
    assert.throws(() => parseFlags(['--config']), isBadRequest(/^--config: needs a value/));
    assert.throws(() => parseFlags(['--config', '--help']), isBadRequest(/^--config: needs a value/));
    assert.throws(() => parseFlags(['start']), isBadRequest(/^"start": not a flag/));
    assert.throws(() => parseFlags(['-p', '1']), isBadRequest(/^"-p": not a flag/));
  });

  it('are refused without a value being shown, which may be a secret or a part of one', () => {
    assert.throws(() => parseFlags(['-p=geheim']), isBadRequest(/^"-p=\(hidden\)": not a flag/));
    assert.throws(
      () => parseFlags(['nats-password=a=geheim']),
      isBadRequest(/^"nats-password=\(hidden\)": not a flag/),
    );
    assert.throws(() => parseFlags(['--nats-password', 'two', 'words']), isBadRequest(/^argument 3: not a flag/));
    assert.throws(() => parseFlags(['ge!heim']), isBadRequest(/^argument 1: not a flag/));
  });
});

describe('times', () => {
  it('are a while ago or a date', () => {
    assert.equal(parseSince('10m', 1_000_000), 400_000);
    assert.equal(parseSince('1970-01-01T00:00:01Z', 5), 1_000);
  });

  it('of other forms are refused', () => {
    for (const text of ['yesterday', '10', '', '2026-13-45']) {
      assert.throws(() => parseSince(text, 0), isBadRequest(/^--since: /), text);
    }
  });
});

describe('patterns', () => {
  it('without a slash are about the name, with one about the path', () => {
    const cases: readonly [pattern: string, path: string, matches: boolean][] = [
      ['*.js', 'a/b/c.js', true],
      ['*.js', 'a/b/c.jsx', false],
      ['c.?s', 'c.ts', true],
      ['a/*.js', 'a/b.js', true],
      ['a/*.js', 'a/b/c.js', false],
      ['a/**/*.js', 'a/c.js', true],
      ['a/**/*.js', 'a/b/b/c.js', true],
      ['**/test/**', 'x/test/y/z', true],
      ['**/test/**', 'x/tests/y', false],
      ['a+(b).js', 'a+(b).js', true],
      ['a.js', 'aXjs', false],
    ];
    for (const [pattern, path, matches] of cases)
      assert.equal(createMatcher(pattern)(path), matches, `${pattern} ${path}`);
  });

  it('without wildcards match themselves and nothing else', () => {
    const name = fc.stringMatching(/^[^*?/]{1,20}$/);
    fc.assert(
      fc.property(name, name, (one, other) => {
        assert.equal(createMatcher(one)(`x/${one}`), true);
        assert.equal(createMatcher(one)(other), one === other);
      }),
    );
  });
});

describe('content types', () => {
  it('follow from the end of the name', () => {
    assert.equal(contentTypeOf('a/b.JSON'), 'application/json');
    assert.equal(contentTypeOf('README.md'), 'text/markdown; charset=utf-8');
    for (const path of ['LICENSE', '.json', 'a.json/b', 'x.constructor', 'x.'])
      assert.equal(contentTypeOf(path), undefined);
  });
});
