/** JSON with comments: equal to JSON where there are none, and clear faults with places. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { JsonFault, parseCommentedJson } from '../../../src/config/commented-json.ts';

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('JSON with comments', () => {
  it('skips line and block comments and takes a comma after the last element', () => {
    const text = `\uFEFF// head
{ /* one */ "a": 1, // two
  "list": [1, 2, /* three */ 3,],
  "inner": { "b": null, },
} // tail`;
    assert.deepEqual(plain(parseCommentedJson(text)), { a: 1, list: [1, 2, 3], inner: { b: null } });
  });

  it('leaves what looks like a comment inside a text alone', () => {
    assert.deepEqual(plain(parseCommentedJson('{"url": "nats://h:1", "b": "/* x */", "q": "a\\"//b"}')), {
      url: 'nats://h:1',
      b: '/* x */',
      q: 'a"//b',
    });
  });

  it('reads every JSON text as JSON.parse does', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 8 }), fc.constantFrom(undefined, 1, '\t'), (json, indent) => {
        const text = JSON.stringify(JSON.parse(json), null, indent);
        assert.equal(JSON.stringify(parseCommentedJson(text)), JSON.stringify(JSON.parse(text)));
      }),
    );
  });

  it('never does anything but return or throw a JsonFault, whatever the text', () => {
    const shard = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      '"',
      ':',
      ',',
      '//',
      '/*',
      '*/',
      '\n',
      '1',
      '-',
      'true',
      'x',
      '\\',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(shard).map((shards) => shards.join('')),
        ),
        (text) => {
          try {
            parseCommentedJson(text);
          } catch (error) {
            assert.ok(error instanceof JsonFault, String(error));
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('says where a fault is, and never quotes the text', () => {
    const cases: readonly (readonly [string, RegExp])[] = [
      ['', /^line 1, column 1: expected a value$/],
      ['{\n  "password": hunter2\n}', /^line 2, column 15: expected a value$/],
      ['{"password": "hunter2\n"}', /^line 1, column 14: expected a text in double quotes/],
      ['{"password": "hunter2\\q"}', /^line 1, column 14: this text has an escape/],
      ['{"a": 1 "hunter2": 2}', /^line 1, column 9: expected , or \}$/],
      ['{"a": 1, "hunter2"}', /^line 1, column 19: expected :$/],
      ['{"hunter2": 1,\n "hunter2": 2}', /^line 2, column 2: this name was given before$/],
      ['{"a": 01}', /expected a value$/],
      ['{"a": 1.}', /expected a value$/],
      ['[1,,2]', /^line 1, column 4: expected a value$/],
      ['{} hunter2', /^line 1, column 4: expected the end of the file$/],
      ['{} /* hunter2', /^line 1, column 4: this comment does not end$/],
      ['['.repeat(100_000), /more than 32 levels$/],
    ];
    for (const [text, message] of cases) {
      assert.throws(
        () => parseCommentedJson(text),
        (error) => {
          assert.ok(error instanceof JsonFault);
          assert.match(error.message, message);
          assert.doesNotMatch(error.message, /hunter2/);
          return true;
        },
      );
    }
  });

  it('treats __proto__ as a name like any other', () => {
    const value = parseCommentedJson('{"__proto__": {"polluted": 1}}') as Record<string, unknown>;
    assert.deepEqual(Object.keys(value), ['__proto__']);
    assert.equal((value as { polluted?: number }).polluted, undefined);
  });

  it('reads a long text quickly', () => {
    const long = 'x'.repeat(900_000);
    assert.equal(parseCommentedJson(JSON.stringify(long)), long);
  });
});
