/** From values to bytes and back. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isSluiceError } from '../../../src/errors.ts';
import { bytes, json, text } from '../../../src/library/codec.ts';

const isBad = (error: unknown): boolean => isSluiceError(error, 'bad-request');

describe('codecs', () => {
  it('give back what they were given', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const plain: unknown = JSON.parse(JSON.stringify(value));
        assert.deepEqual(json().decode(json().encode(plain)), plain);
      }),
    );
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (value) => {
        assert.equal(text().decode(text().encode(value)), value);
      }),
    );
    fc.assert(fc.property(fc.uint8Array(), (value) => assert.deepEqual(bytes().decode(bytes().encode(value)), value)));
    assert.equal(text().decode(text().encode('\ufeffmark')), '\ufeffmark');
  });

  it('refuse what has no form, instead of storing something else', () => {
    for (const value of [undefined, () => 1, Symbol('s'), 1n]) assert.throws(() => json().encode(value), isBad);
    assert.throws(() => text().encode(5 as never), isBad);
    assert.throws(() => bytes().encode('text' as never), isBad);
  });

  it('refuse bytes that are not theirs', () => {
    assert.throws(() => json().decode(new Uint8Array([0x7b])));
    assert.throws(() => text().decode(new Uint8Array([0xff])));
    assert.throws(() => json().decode(new Uint8Array(0)));
  });

  it('are one object each, so that caches opened with it share what was decoded', () => {
    assert.equal<unknown>(json<number>(), json<string>());
    assert.equal(text(), text());
    assert.equal(bytes(), bytes());
  });

  it('copy bytes on their way in', () => {
    const array = new Uint8Array([1, 2]);
    const encoded = bytes().encode(array);
    array.fill(0);
    assert.deepEqual(encoded, new Uint8Array([1, 2]));
  });
});
