/** The declaration of a cache: units, defaults, and refusals that name field, value and rule. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  builtInCacheSettings,
  cacheSettingsSchema,
  parseCacheSettings,
  validateCacheName,
} from '../../../src/config/cache-settings.ts';
import { loadSettings } from '../../../src/config/load.ts';
import type { CacheSettings } from '../../../src/config/schema.ts';
import { isSluiceError } from '../../../src/errors.ts';

const parse = (input: unknown) => parseCacheSettings(input, builtInCacheSettings);

interface Refusal {
  readonly message: string;
  readonly details: {
    readonly field?: unknown;
    readonly value?: unknown;
    readonly rule?: unknown;
    readonly problems?: unknown;
  };
}

function refusalOf(work: () => unknown): Refusal {
  try {
    work();
  } catch (error) {
    assert.ok(isSluiceError(error, 'bad-request'), String(error));
    return error;
  }
  return assert.fail('the declaration was accepted');
}

describe('a cache declaration', () => {
  it('gets what it leaves out from the defaults', () => {
    assert.deepEqual(parse({}), builtInCacheSettings);
    const defaults: CacheSettings = { ...builtInCacheSettings, partitions: 8, ttlMs: 60_000, logBytesMax: null };
    assert.deepEqual(parseCacheSettings({ replicas: 2 }, defaults), { ...defaults, replicas: 2 });
  });

  it('takes durations and sizes as texts and as numbers', () => {
    const written = {
      partitions: 16,
      replicas: 3,
      logReplicas: 3,
      entriesMax: 5000,
      bytesMax: '64MiB',
      ttl: '5m',
      valueBytesMax: '256KiB',
      logBytesMax: '2GiB',
      whenFull: 'refuse',
    };
    const expected: CacheSettings = {
      partitions: 16,
      replicas: 3,
      logReplicas: 3,
      entriesMax: 5000,
      bytesMax: 67_108_864,
      ttlMs: 300_000,
      valueBytesMax: 262_144,
      logBytesMax: 2_147_483_648,
      whenFull: 'refuse',
    };
    assert.deepEqual(parse(written), expected);
    assert.deepEqual(parse({ ...written, bytesMax: 67_108_864, ttl: 300_000, valueBytesMax: 262_144 }), expected);
    assert.deepEqual(cacheSettingsSchema.parse(written), expected);
  });

  it('says none as null, as "none", and for the log as -1, also against a default', () => {
    const defaults: CacheSettings = { ...builtInCacheSettings, ttlMs: 60_000 };
    for (const ttl of [null, 'none']) assert.equal(parseCacheSettings({ ttl }, defaults).ttlMs, null);
    for (const logBytesMax of [null, 'none', -1]) assert.equal(parse({ logBytesMax }).logBytesMax, null);
    assert.equal(parse({ replicas: 'all' }).replicas, 'all');
  });

  it('is refused with every problem at once, each with field, value and rule', () => {
    const { message, details } = refusalOf(() =>
      parse({ partitions: 0, replicas: 17, ttl: '5 minutes', replica: 3, entriesMax: '7', whenFull: 'explode' }),
    );
    assert.deepEqual(details.problems, [
      'partitions: 0: must be an integer from 1 to 1,024',
      'replicas: 17: must be all or an integer from 1 to 16',
      'entriesMax: "7": must be an integer from 1 to 16,000,000',
      'ttl: "5 minutes": must be none or a duration such as 500ms, 30s, 5m, 24h or 7d (a plain number counts milliseconds), from 1ms to 3650d',
      'whenFull: "explode": must be one of drop-oldest, refuse',
      'replica: 3: is not a setting; did you mean replicas?',
    ]);
    assert.equal(details.field, 'partitions');
    assert.equal(details.value, '0');
    assert.equal(details.rule, 'must be an integer from 1 to 1,024');
    assert.ok(message.includes('whenFull: "explode"'));
  });

  it('is refused when its settings contradict each other, also through a default', () => {
    assert.deepEqual(refusalOf(() => parse({ partitions: 1024 })).details.problems, [
      'logBytesMax: 1GiB: must be at least 2 × partitions × valueBytesMax, or none (partitions is 1024, valueBytesMax is 1MiB)',
    ]);
    assert.deepEqual(refusalOf(() => parse({ bytesMax: '512KiB' })).details.problems, [
      'bytesMax: 512KiB: must be at least valueBytesMax (valueBytesMax is 1MiB)',
    ]);
    assert.equal(parse({ partitions: 1024, logBytesMax: 'none' }).partitions, 1024);
  });

  it('is refused when it is no object', () => {
    for (const input of [null, undefined, 7, 'x', [], true]) {
      assert.match(refusalOf(() => parse(input)).message, /settings: .*: must be an object/s);
    }
  });

  it('never crashes otherwise, whatever the body', () => {
    const names = fc.constantFrom(...Object.keys(builtInCacheSettings), 'ttl', '__proto__', 'constructor', 'toString');
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), fc.dictionary(names, fc.jsonValue())), (input) => {
        try {
          assert.ok(Object.isFrozen(parse(input)));
        } catch (error) {
          assert.ok(isSluiceError(error, 'bad-request'), String(error));
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('has the built-in defaults that a node without settings has', () => {
    assert.deepEqual({ ...loadSettings({ env: {} }).cacheDefaults }, { ...builtInCacheSettings });
  });
});

describe('a cache name', () => {
  it('is 1 to 64 letters, digits, dashes and underscores, beginning with a letter or digit', () => {
    for (const name of ['a', '0', 'Demo_cache-1', 'x'.repeat(64)]) assert.equal(validateCacheName(name), name);
    for (const name of ['', '-a', '_a', 'a.b', 'a b', 'ä', 'a\n', 'x'.repeat(65), '*', '>', 7, null, undefined]) {
      const { message, details } = refusalOf(() => validateCacheName(name));
      assert.match(message, /^cache name: .*: must be 1 to 64 letters/s);
      assert.equal(details.field, 'cache');
    }
  });
});
