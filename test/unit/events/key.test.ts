/**
 * Keys and tokens: golden vectors that were computed by another implementation, and properties over all strings.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isSluiceError } from '../../../src/errors.ts';
import {
  decodeKey,
  decodePlainKey,
  encodeKey,
  escapedTokenBytesMax,
  type KeyToken,
  keyBytesMax,
  validateKey,
} from '../../../src/events/key.ts';
import { fixturesFolder } from '../../support/project.ts';

interface Vectors {
  readonly keys: readonly ({ readonly key: string } & KeyToken)[];
  readonly tokensWithoutKey: readonly string[];
  readonly mismatched: readonly { readonly token: string; readonly escaped: string }[];
}

const vectors = JSON.parse(readFileSync(join(fixturesFolder, 'keys.json'), 'utf8')) as Vectors;

/** What the servers and the KV clients of every language accept after `$KV.<bucket>.`. */
function assertIsKvKey(token: string): void {
  assert.match(token, /^[-/_=.a-zA-Z0-9]+$/);
  assert.doesNotMatch(token, /^\.|\.$|\.\.|^_kv/);
  assert.ok(token.length <= keyBytesMax);
}

/** Characters at which the rules turn. */
const edgy = fc.string({
  unit: fc.constantFrom(...'=.AF09agkv_-/: é🙂%\u0000', '=3A', '=sha256-', '_kv'),
  maxLength: 40,
});
const anyKey = fc
  .oneof(
    edgy,
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.string({ unit: 'binary', minLength: 60, maxLength: 400 }),
    fc.string({ unit: fc.constantFrom('a', '.', ':'), minLength: 80, maxLength: 1024 }),
  )
  .filter((key) => key !== '' && Buffer.byteLength(key) <= keyBytesMax);
const anyToken = fc.oneof(
  edgy,
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.string({ unit: fc.constantFrom(...'=0123456789ABCDEFaf'), maxLength: 80 }),
  fc
    .string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 63, maxLength: 65 })
    .map((hex) => `=sha256-${hex}`),
);
const runs = { numRuns: 2_000 };

describe('the golden vectors of keys', () => {
  it('give each key its token and back', () => {
    for (const { key, token, escaped } of vectors.keys) {
      assert.deepEqual(encodeKey(key), escaped === undefined ? { token } : { token, escaped }, JSON.stringify(key));
      assert.equal(decodeKey(token, escaped), key, token);
      assert.equal(validateKey(key), key);
      assertIsKvKey(token);
    }
  });

  it('cover plain, escaped and hashed keys, and keys of the largest size', () => {
    const kinds = { plain: 0, escaped: 0, hashed: 0, largest: 0 };
    for (const { key, token, escaped } of vectors.keys) {
      kinds[escaped !== undefined ? 'hashed' : key === token ? 'plain' : 'escaped'] += 1;
      if (Buffer.byteLength(key) === keyBytesMax) kinds.largest += 1;
    }
    for (const [kind, count] of Object.entries(kinds)) assert.ok(count >= 5, `${kind}: ${count}`);
  });

  it('give no key for tokens that no key has', () => {
    for (const token of vectors.tokensWithoutKey) assert.equal(decodeKey(token), undefined, JSON.stringify(token));
  });

  it('give no key for a hashed token without its own header', () => {
    for (const { token, escaped } of vectors.mismatched) assert.equal(decodeKey(token, escaped), undefined, escaped);
    for (const { token, escaped } of vectors.keys) if (escaped !== undefined) assert.equal(decodeKey(token), undefined);
  });

  it('ignore the header where the token itself is the key', () => {
    assert.equal(decodeKey('greeting', 'other'), 'greeting');
    assert.equal(decodeKey('user=3A42', 'other'), 'user:42');
  });
});

describe('all keys', () => {
  it('come back from their token', () => {
    fc.assert(
      fc.property(anyKey, (key) => {
        const { token, escaped } = encodeKey(key);
        assert.equal(decodeKey(token, escaped), key);
      }),
      runs,
    );
  });

  it('have a token that NATS KV accepts, of bounded length', () => {
    fc.assert(
      fc.property(anyKey, (key) => {
        const { token } = encodeKey(key);
        assertIsKvKey(token);
        assert.ok(token === key || token.length <= escapedTokenBytesMax);
      }),
      runs,
    );
  });

  it('have different tokens when they differ', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(
          fc.oneof(
            edgy.filter((key) => key !== ''),
            anyKey,
          ),
          { maxLength: 60 },
        ),
        (keys) => {
          assert.equal(new Set(keys.map((key) => encodeKey(key).token)).size, keys.length);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('have a token that is not the token of another key, even when it is a key itself', () => {
    fc.assert(
      fc.property(anyKey, (key) => {
        const { token } = encodeKey(key);
        if (token !== key) assert.notEqual(encodeKey(token).token, token);
      }),
      runs,
    );
  });
});

describe('all tokens', () => {
  it('decode to nothing or to the key that has exactly this token', () => {
    fc.assert(
      fc.property(anyToken, fc.option(fc.oneof(anyToken, anyKey), { nil: undefined }), (token, escaped) => {
        const key = decodeKey(token, escaped);
        if (key !== undefined) assert.equal(encodeKey(validateKey(key)).token, token);
      }),
      { numRuns: 5_000 },
    );
  });

  it('are the key itself when a KV client may have made them and they hold no escape', () => {
    const plain = fc
      .string({ unit: fc.constantFrom(...'abcXYZ019-_/.'), minLength: 1, maxLength: 30 })
      .filter((token) => !/^\.|\.$|\.\.|^_kv/.test(token));
    fc.assert(fc.property(plain, (token) => assert.equal(decodeKey(token), token)));
  });

  it('decode from bytes to what they decode to as text, unless they hold an equals sign', () => {
    const kvLike = fc.string({ unit: fc.constantFrom(...'a.=3AF0_kv/-'), maxLength: 12 });
    const token = fc.oneof(
      kvLike,
      kvLike.map((text) => `_kv${text}`),
      fc.string({ unit: 'binary', maxLength: 12 }),
    );
    fc.assert(
      fc.property(fc.string({ maxLength: 5 }), token, (before, text) => {
        const bytes = Buffer.from(before + text, 'utf8');
        const key = decodePlainKey(bytes, Buffer.byteLength(before));
        const asText = bytes.toString('utf8', Buffer.byteLength(before));
        assert.equal(key, text.includes('=') ? undefined : decodeKey(asText === text ? text : asText));
      }),
      { numRuns: 2_000 },
    );
    const longest = 'k'.repeat(keyBytesMax);
    assert.equal(decodePlainKey(Buffer.from(longest), 0), longest);
    assert.equal(decodePlainKey(Buffer.from(`${longest}k`), 0), undefined);
    assert.equal(decodePlainKey(Buffer.from('abc'), 4), undefined);
  });

  it('are decoded the same after one that was not UTF-8', () => {
    assert.equal(decodeKey('=FF=C3'), undefined);
    assert.equal(decodeKey('=C3=A9'), 'é');
    assert.equal(decodeKey('=EF=BB=BFa'), '\ufeffa');
    assert.equal(decodeKey('=EF=BB=BFa'), '\ufeffa');
  });
});

describe('the validation of a key', () => {
  const refusal = (key: unknown): string => {
    try {
      validateKey(key);
    } catch (error) {
      assert.ok(isSluiceError(error, 'bad-key'));
      return error.message;
    }
    return '';
  };

  it('refuses what is not a non-empty string', () => {
    for (const key of ['', undefined, null, 42, {}, ['a'], Symbol.iterator]) assert.match(refusal(key), /non-empty/);
  });

  it('counts bytes, not characters', () => {
    assert.equal(refusal('a'.repeat(1024)), '');
    assert.match(refusal('a'.repeat(1025)), /1025 bytes.*1024/);
    assert.equal(refusal('é'.repeat(512)), '');
    assert.match(refusal(`${'é'.repeat(512)}a`), /1025 bytes/);
    assert.equal(refusal(`${'日'.repeat(341)}a`), '');
    assert.match(refusal(`${'日'.repeat(341)}é`), /1025 bytes/);
    assert.match(refusal('日'.repeat(342)), /1026 bytes/);
  });

  it('refuses exactly the strings that are not well-formed Unicode', () => {
    const units = fc.array(fc.oneof(fc.integer({ min: 0xd7f0, max: 0xe00f }), fc.integer({ min: 1, max: 0xffff })), {
      minLength: 1,
      maxLength: 8,
    });
    fc.assert(
      fc.property(units, (codes) => {
        const key = String.fromCharCode(...codes);
        const isWellFormed = Buffer.from(key, 'utf8').toString('utf8') === key;
        assert.equal(refusal(key) === '', isWellFormed);
      }),
      runs,
    );
  });
});
