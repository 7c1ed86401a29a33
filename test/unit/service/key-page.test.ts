/** Pages of keys, against the same done by sorting everything. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { ListedKey } from '../../../src/service/cache-service.ts';
import { cutPage, mergePages, pageOf } from '../../../src/service/key-page.ts';

const listed = (key: string): ListedKey => ({ key, revision: key.length, bytes: 1 });
const someKeys = fc.uniqueArray(fc.string({ maxLength: 4 }), { maxLength: 400, size: 'max' });
const options = fc.record({
  prefix: fc.option(fc.string({ maxLength: 1 }), { nil: undefined }),
  after: fc.option(fc.string({ maxLength: 4 }), { nil: undefined }),
  limit: fc.integer({ min: 1, max: 40 }),
});

function reference(keys: readonly string[], prefix: string | undefined, after: string | undefined): string[] {
  return keys.filter((key) => key.startsWith(prefix ?? '') && (after === undefined || key > after)).sort();
}

describe('a page of keys', () => {
  it('holds the smallest keys after the given one, and says whether there are more', () => {
    fc.assert(
      fc.property(someKeys, options, (keys, { prefix, after, limit }) => {
        const expected = reference(keys, prefix, after);
        const page = pageOf(keys.map(listed), { prefix, after, limit }, true);
        assert.deepEqual(
          page.keys.map(({ key }) => key),
          expected.slice(0, limit),
        );
        assert.equal(page.next, expected.length > limit ? expected[limit - 1] : undefined);
      }),
    );
  });

  it('taken again and again gives every key once, in order', () => {
    fc.assert(
      fc.property(someKeys, fc.integer({ min: 1, max: 40 }), (keys, limit) => {
        const told: string[] = [];
        let after: string | undefined;
        do {
          const page = pageOf(keys.map(listed), { after, limit }, true);
          told.push(...page.keys.map(({ key }) => key));
          after = page.next;
        } while (after !== undefined);
        assert.deepEqual(told, [...keys].sort());
      }),
    );
  });

  it('of several partitions is the same as of all their keys together', () => {
    fc.assert(
      fc.property(someKeys, options, fc.integer({ min: 1, max: 4 }), (keys, wanted, count) => {
        const parts = Array.from({ length: count }, (_, part) =>
          keys.filter((_key, index) => index % count === part).map(listed),
        );
        const merged = mergePages(
          parts.map((part) => pageOf(part, wanted, true)),
          wanted.limit,
        );
        assert.deepEqual(merged, pageOf(keys.map(listed), wanted, true));
      }),
    );
  });

  it('of several partitions gives every key once, also when each part is cut to a number of bytes', () => {
    fc.assert(
      fc.property(
        someKeys,
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 2_000 }),
        (keys, limit, count, bytesMax) => {
          const parts = Array.from({ length: count }, (_, part) =>
            keys.filter((_key, index) => index % count === part).map(listed),
          );
          const told: string[] = [];
          let after: string | undefined;
          do {
            const pages = parts.map((part) => cutPage(pageOf(part, { after, limit }, true), bytesMax));
            for (const page of pages) {
              const bytes = page.keys.reduce((sum, { key }) => sum + Buffer.byteLength(key) + 64, 0);
              assert.ok(page.keys.length <= 1 || bytes <= bytesMax);
            }
            const merged = mergePages(pages, limit);
            told.push(...merged.keys.map(({ key }) => key));
            after = merged.next;
          } while (after !== undefined);
          assert.deepEqual(told, [...keys].sort());
        },
      ),
    );
  });

  it('is complete only if each of its parts is', () => {
    const empty = { keys: [], next: undefined };
    assert.equal(
      mergePages(
        [
          { ...empty, isComplete: true },
          { ...empty, isComplete: false },
        ],
        5,
      ).isComplete,
      false,
    );
  });
});
