/** What people see: nothing that a terminal obeys, and amounts that can be read. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatBar, formatProgress } from '../../../src/cli/terminal/progress.ts';
import { formatTable } from '../../../src/cli/terminal/table.ts';
import {
  formatSize,
  formatSpan,
  isoTime,
  jsonValue,
  plural,
  previewValue,
  showKey,
  wrapText,
} from '../../../src/cli/terminal/text.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);

describe('keys and values before a terminal', () => {
  it('leave ordinary keys as they are', () => {
    for (const key of ['greeting', 'a/b.js', 'größe', '日本', 'with space', '😀']) assert.equal(showKey(key), key);
  });

  it('show a key with control characters, line ends or invisible marks as a JSON string without them', () => {
    assert.equal(showKey('a\nb'), '"a\\nb"');
    assert.equal(showKey('\x1b[31mred'), '"\\u001b[31mred"');
    assert.equal(showKey('a\u202eb'), '"a\\u202eb"');
    assert.equal(showKey('a\u2028b'), '"a\\u2028b"');
    assert.equal(showKey(' padded '), '" padded "');
    assert.equal(showKey('"quoted"'), '"\\"quoted\\""');
  });

  it('can be told apart and read back whatever the key', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1 }), (key) => {
        const shown = showKey(key);
        assert.doesNotMatch(shown, /[\p{Cc}\p{Cf}\u2028\u2029]/u);
        assert.equal(shown.startsWith('"') ? JSON.parse(shown) : shown, key);
      }),
    );
  });

  it('preview the beginning of a text, and nothing of other bytes', () => {
    assert.equal(previewValue(bytes('hello')), '"hello"');
    assert.equal(previewValue(bytes('')), '""');
    assert.equal(previewValue(bytes('x'.repeat(61))), `"${'x'.repeat(60)}"…`);
    assert.equal(previewValue(bytes('a\x07b')), '"a\\u0007b"');
    assert.equal(previewValue(Uint8Array.of(0xff, 0xfe, 0x00)), '');
    // The preview of a long text ends within a character.
    assert.equal(previewValue(bytes(`${'x'.repeat(1023)}ü`)), `"${'x'.repeat(60)}"…`);
  });

  it('never let a control character of a value through, whatever its bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (value) => {
        assert.doesNotMatch(previewValue(value), /[\p{Cc}\p{Cf}\u2028\u2029]/u);
      }),
    );
  });

  it('stand in JSON as text, or as base64 where they are none, and read back as they were', () => {
    assert.deepEqual(jsonValue(bytes('hé')), { encoding: 'text', value: 'hé' });
    assert.deepEqual(jsonValue(Uint8Array.of(0xff)), { encoding: 'base64', value: '/w==' });
    fc.assert(
      fc.property(fc.uint8Array(), (value) => {
        const { encoding, value: text } = jsonValue(value);
        assert.deepEqual(new Uint8Array(Buffer.from(text, encoding === 'text' ? 'utf8' : 'base64')), value);
      }),
    );
  });
});

describe('amounts', () => {
  it('have units that fit', () => {
    assert.deepEqual([0, 512, 1024, 1536, 64 * 1024 * 1024, 3 * 2 ** 40].map(formatSize), [
      '0 B',
      '512 B',
      '1.0 KiB',
      '1.5 KiB',
      '64.0 MiB',
      '3.0 TiB',
    ]);
    assert.deepEqual([0, 119.6, 3_400, 59_960, 125_000, 11_520_000].map(formatSpan), [
      '0 ms',
      '120 ms',
      '3.4 s',
      '1 min 0 s',
      '2 min 5 s',
      '3 h 12 min',
    ]);
    assert.deepEqual(
      [plural(1, 'file'), plural(0, 'file'), plural(4000, 'file')],
      ['1 file', '0 files', '4,000 files'],
    );
    assert.equal(isoTime(0), '1970-01-01T00:00:00.000Z');
    assert.equal(isoTime(Number.POSITIVE_INFINITY), undefined);
    assert.equal(isoTime(9e15), undefined);
  });

  it('stand in columns', () => {
    assert.deepEqual(
      formatTable(
        ['n', 'name'],
        [
          ['10', 'ä'],
          ['5', ''],
        ],
        ['n'],
      ),
      [' n  name', '10  ä', ' 5'],
    );
  });

  it('break at the width of a terminal and nowhere else', () => {
    const text = wrapText('word '.repeat(40).trim());
    assert.ok(text.split('\n').every((line) => line.length <= 80));
    assert.equal(text.replaceAll('\n', ' '), 'word '.repeat(40).trim());
    assert.equal(wrapText('x'.repeat(100)), 'x'.repeat(100));
  });
});

describe('progress', () => {
  it('shows a bar that is full only at the end', () => {
    assert.equal(formatBar(0, 10), `[${'-'.repeat(24)}]`);
    assert.equal(formatBar(5, 10), `[${'#'.repeat(12)}${'-'.repeat(12)}]`);
    assert.equal(formatBar(999, 1000).includes('-'), true);
    assert.equal(formatBar(10, 10), `[${'#'.repeat(24)}]`);
    assert.equal(formatBar(0, 0), `[${'#'.repeat(24)}]`);
  });

  it('says how much is done, how fast, and how long it will take', () => {
    const state = { what: 'loading', unit: 'files', total: 4000, done: 1000, bytes: 2048, elapsedMs: 500 };
    assert.equal(formatProgress(state), 'loading: 25 %, 1,000 of 4,000 files, 2.0 KiB, 2,000/s, 1.5 s left');
    assert.equal(formatProgress({ ...state, done: 0 }), 'loading: 0 %, 0 of 4,000 files, 2.0 KiB');
    assert.equal(formatProgress({ ...state, done: 0, total: 0, bytes: 0 }), 'loading: 100 %, 0 of 0 files, 0 B');
  });
});
