/** Key → partition: golden vectors of another implementation, every kind of string, evenness, and no garbage. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { hashText, mix32 } from '../../../src/placement/hash.ts';
import { partitionOf } from '../../../src/placement/partition.ts';
import { fixturesFolder } from '../../support/project.ts';

interface Vectors {
  readonly partitionCounts: readonly number[];
  readonly keys: readonly { readonly key: string; readonly hash: number; readonly partitions: readonly number[] }[];
}

const vectors = JSON.parse(readFileSync(join(fixturesFolder, 'placement-keys.json'), 'utf8')) as Vectors;

/** FNV-1a 32 over real bytes with big integers: slow, plain, and written differently. */
function referenceHash(text: string): number {
  let hash = 0x811c9dc5n;
  for (const byte of new TextEncoder().encode(text)) hash = ((hash ^ BigInt(byte)) * 0x01000193n) % 2n ** 32n;
  return Number(hash);
}

describe('the partition of a key', () => {
  it('equals the golden vectors of another implementation', () => {
    assert.ok(vectors.keys.length >= 40);
    for (const { key, hash, partitions } of vectors.keys) {
      assert.equal(mix32(hashText(key)), hash, JSON.stringify(key));
      const computed = vectors.partitionCounts.map((count) => partitionOf(key, count));
      assert.deepEqual(computed, partitions, JSON.stringify(key));
    }
  });

  it('starts from the published FNV-1a and MurmurHash3 values', () => {
    assert.deepEqual(['', 'a', 'foobar'].map(hashText), [0x811c9dc5, 0xe40c292c, 0xbf9cf968]);
    assert.deepEqual([0, 1, 0xffffffff].map(mix32), [0, 0x514e28b7, 0x81f16f39]);
  });

  it('hashes the UTF-8 bytes of any string, lone surrogates as U+FFFD', () => {
    const anyText = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: 'grapheme' }),
      fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
      fc.array(fc.constantFrom('\ud800', '\udc00', '\udfff', '\udbff', 'a', 'é', '€')).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(anyText, (text) => hashText(text) === referenceHash(text)),
      { numRuns: 3000 },
    );
  });

  it('is the upper part of the hash times the number of partitions, and so always below that number', () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 1, max: 1024 }), (key, count) => {
        const expected = Number((BigInt(mix32(referenceHash(key))) * BigInt(count)) >> 32n);
        assert.equal(partitionOf(key, count), expected);
        assert.ok(expected < count);
      }),
    );
  });

  it('is even for keys that differ little', () => {
    for (const name of [(n: number) => `user:${n}`, (n: number) => `${n}`, (n: number) => `/img/${n}/small.png`]) {
      const counts = new Array<number>(1024).fill(0);
      for (let n = 0; n < 102_400; n += 1) {
        const partition = partitionOf(name(n), 1024);
        counts[partition] = (counts[partition] ?? 0) + 1;
      }
      // Chi-square with 1,023 degrees of freedom: 1,023 expected, above 1,250 in less than one of a million fair cases.
      const chiSquare = counts.reduce((sum, count) => sum + (count - 100) ** 2 / 100, 0);
      assert.ok(chiSquare < 1250, `${name(7)}: ${chiSquare}`);
    }
  });

  it('allocates nothing', () => {
    const keys = Array.from({ length: 1000 }, (_, n) => `user:${n}:profile`);
    const use = (): number => {
      let sum = 0;
      for (let round = 0; round < 200; round += 1) for (const key of keys) sum += partitionOf(key, 1024);
      return sum;
    };
    for (let warm = 0; warm < 5; warm += 1) use();
    const bytesPerCall = Array.from({ length: 5 }, () => {
      const before = process.memoryUsage().heapUsed;
      use();
      return Math.abs(process.memoryUsage().heapUsed - before) / 200_000;
    });
    assert.ok(Math.min(...bytesPerCall) < 1, `${bytesPerCall.join(', ')} bytes per call`);
  });

  it('insists on 1 to 1,024 partitions', () => {
    for (const count of [0, -1, 1025, 1.5, Number.NaN]) {
      assert.throws(() => partitionOf('a', count), /partitionCount must be an integer from 1 to 1024/);
    }
  });
});
