/** Keys of memoized calls: calls that differ never share one. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isSluiceError } from '../../../src/errors.ts';
import { keyOfArguments } from '../../../src/library/argument-key.ts';

describe('the key of a call', () => {
  it('differs for all arguments that differ and have an exact JSON form', () => {
    // -0 and 0 are one number to JSON, and to every caller.
    const argument = fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)) as unknown);
    const list = fc.array(argument, { maxLength: 3 });
    fc.assert(
      fc.property(list, list, (one, other) => {
        const isSame = JSON.stringify(one) === JSON.stringify(other);
        assert.equal(keyOfArguments(one) === keyOfArguments(other), isSame);
      }),
    );
  });

  it('takes `undefined` at the end for not given, and keeps null apart from it', () => {
    assert.equal(keyOfArguments([1, undefined, undefined]), keyOfArguments([1]));
    assert.equal(keyOfArguments([undefined]), keyOfArguments([]));
    assert.notEqual(keyOfArguments([1, null]), keyOfArguments([1]));
    assert.equal(keyOfArguments([{ a: 1, b: undefined }]), keyOfArguments([{ a: 1 }]));
  });

  it('refuses what JSON would make equal to something else', () => {
    class Point {
      x = 1;
    }
    const circular: unknown[] = [];
    circular.push(circular);
    const odd = [
      Number.NaN,
      Number.POSITIVE_INFINITY,
      1n,
      Symbol('s'),
      () => 1,
      new Map(),
      new Set([1]),
      new Date(),
      new Point(),
      /x/,
      [undefined],
      { when: new Date() },
      { toJSON: () => 1 },
      circular,
      new Uint8Array(2),
      Array.from({ length: 2 }).fill(undefined),
    ];
    for (const argument of odd) {
      assert.throws(
        () => keyOfArguments(['first', argument]),
        (error) => isSluiceError(error, 'bad-request') && error.message.includes('argument 2'),
      );
    }
    assert.throws(() => keyOfArguments([undefined, 1]));
  });
});
