/** The raw header block, its text and the durations that stand in it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatNatsTtl, parseNatsTtl } from '../../../src/events/duration.ts';
import { encodeHeader, formatField, headerText, readField, readFields } from '../../../src/events/header.ts';

const block = (text: string): string => headerText(Buffer.from(text, 'latin1'));

describe('a header block', () => {
  it('has the bytes of the NATS protocol', () => {
    const bytes = encodeHeader(formatField('KV-Operation', 'DEL') + formatField('Sluice-Basis', 17));
    const golden = '4e4154532f312e300d0a4b562d4f7065726174696f6e3a2044454c0d0a536c756963652d42617369733a2031370d0a0d0a';
    assert.equal(Buffer.from(bytes).toString('hex'), golden);
    assert.equal(Buffer.from(encodeHeader('')).toString('hex'), '4e4154532f312e300d0a0d0a');
  });

  it('gives the first value of a name, in its own case only', () => {
    const text = block('NATS/1.0\r\nA: 1\r\na: 2\r\nA: 3\r\nAB: 4\r\n\r\n');
    assert.equal(readField(text, 'A'), '1');
    assert.equal(readField(text, 'a'), '2');
    assert.equal(readField(text, 'AB'), '4');
    assert.equal(readField(text, 'B'), undefined);
    assert.equal(readField(text, 'NATS/1.0'), undefined);
  });

  it('gives values without the space around them, and empty ones as empty', () => {
    const text = block('NATS/1.0\r\nNone:\r\nTight:x\r\nWide:   y \t\r\nColon: a:b: c\r\n\r\n');
    assert.equal(readField(text, 'None'), '');
    assert.equal(readField(text, 'Tight'), 'x');
    assert.equal(readField(text, 'Wide'), 'y');
    assert.equal(readField(text, 'Colon'), 'a:b: c');
  });

  it('is read up to its end when it was cut off', () => {
    assert.equal(readField(block('NATS/1.0\r\nA: 12'), 'A'), '12');
    assert.equal(readField(block('NATS/1.0\r\nA:'), 'A'), '');
    assert.equal(readField(block('NATS/1.0\r\nA'), 'A'), undefined);
  });

  it('lists all its fields in order, skipping lines that are none', () => {
    const text = block('NATS/1.0 503 No Responders\r\nA: 1\r\nbroken\r\n: nameless\r\nB: x: y\r\nA: 2\r\n\r\n');
    assert.deepEqual(readFields(text), [
      ['A', '1'],
      ['B', 'x: y'],
      ['A', '2'],
    ]);
    assert.deepEqual(readFields(''), []);
  });

  it('is read from a slice of a larger buffer as from its own', () => {
    const whole = Buffer.concat([Buffer.from('garbage'), encodeHeader(formatField('A', 'é')), Buffer.from('tail')]);
    const slice = new Uint8Array(whole.buffer, whole.byteOffset + 7, whole.length - 11);
    assert.equal(readField(headerText(slice), 'A'), 'é');
  });

  it('gives back every value that holds no line break and no outer space', () => {
    const value = fc.string({ unit: 'binary' }).filter((text) => !/[\r\n]/.test(text) && text === text.trim());
    fc.assert(
      fc.property(value, value, (first, second) => {
        const text = headerText(encodeHeader(formatField('First', first) + formatField('Second', second)));
        assert.equal(readField(text, 'First'), first);
        assert.equal(readField(text, 'Second'), second);
        assert.deepEqual(readFields(text), [
          ['First', first],
          ['Second', second],
        ]);
      }),
    );
  });

  it('never throws for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.string({ minLength: 1 }), (bytes, name) => {
        const text = headerText(bytes);
        readField(text, name);
        readFields(text);
      }),
    );
  });
});

describe('Nats-TTL', () => {
  it('is a whole number of seconds', () => {
    assert.equal(parseNatsTtl('1'), 1_000);
    assert.equal(parseNatsTtl('0'), 0);
    assert.equal(parseNatsTtl('86400'), 86_400_000);
  });

  it('is a duration as Go writes it', () => {
    const golden: readonly (readonly [text: string, ms: number])[] = [
      ['1h30m', 5_400_000],
      ['1h30m0s', 5_400_000],
      ['1.5s', 1_500],
      ['.5h', 1_800_000],
      ['2.h', 7_200_000],
      ['+3m', 180_000],
      ['750ms', 750],
      ['2000us', 2],
      ['2000\u00b5s', 2],
      ['2000\u03bcs', 2],
      ['3000000ns', 3],
      ['1m1m', 120_000],
    ];
    for (const [text, ms] of golden) assert.equal(parseNatsTtl(text), ms, text);
  });

  it('is never, in any case', () => {
    for (const text of ['never', 'Never', 'NEVER']) assert.equal(parseNatsTtl(text), Number.POSITIVE_INFINITY);
  });

  it('is nothing else', () => {
    const bad = [
      '',
      ' ',
      '-1',
      '-1s',
      '1d',
      '1 h',
      's',
      '.s',
      '.',
      '1.2',
      '1e3',
      '0x10',
      '1h30',
      'forever',
      '∞',
      'NaN',
    ];
    for (const text of [...bad, '1s'.repeat(40), '9'.repeat(16), `${'9'.repeat(62)}h!`]) {
      assert.equal(parseNatsTtl(text), undefined, text);
    }
  });

  it('never throws and is never negative or NaN', () => {
    const text = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...'0123456789.+-hmsnuµ'), maxLength: 70 }));
    fc.assert(
      fc.property(text, (candidate) => {
        const ms = parseNatsTtl(candidate);
        assert.ok(ms === undefined || ms >= 0);
      }),
      { numRuns: 2_000 },
    );
  });

  it('is written as whole seconds, rounded up, at least the server minimum of one', () => {
    const golden = [
      [-5, '1'],
      [0, '1'],
      [1, '1'],
      [1_000, '1'],
      [1_001, '2'],
      [86_400_000, '86400'],
    ] as const;
    for (const [ms, text] of golden) assert.equal(formatNatsTtl(ms), text);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e12 }), (ms) => {
        const read = parseNatsTtl(formatNatsTtl(ms)) ?? -1;
        assert.ok(read >= ms && read < ms + 1_000);
      }),
    );
  });
});
