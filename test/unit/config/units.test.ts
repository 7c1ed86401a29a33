/** Durations and sizes: what is understood, what is refused, and that writing and reading agree. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatBytes, formatDuration, parseBytes, parseDuration } from '../../../src/config/units.ts';
import { isSluiceError } from '../../../src/errors.ts';

describe('durations', () => {
  it('are read with each unit, with fractions that make whole milliseconds, and as numbers of milliseconds', () => {
    const cases: readonly (readonly [string | number, number])[] = [
      ['500ms', 500],
      ['30s', 30_000],
      ['5m', 300_000],
      ['24h', 86_400_000],
      ['7d', 604_800_000],
      ['1.5h', 5_400_000],
      ['4.35s', 4350],
      [' 10 s ', 10_000],
      ['0', 0],
      ['0s', 0],
      [1250, 1250],
    ];
    for (const [written, ms] of cases) assert.equal(parseDuration(written), ms, String(written));
  });

  it('are refused with the rule when they are nonsense', () => {
    const bad = [
      '',
      's',
      '30',
      '30 seconds',
      '-1s',
      '1e3s',
      '1h30m',
      '30S',
      '1.0005s',
      '٣s',
      '1s;',
      -1,
      1.5,
      Number.NaN,
    ];
    for (const written of [...bad, Number.POSITIVE_INFINITY, '99999999999999999d', '1toString']) {
      assert.throws(
        () => parseDuration(written),
        (error) => isSluiceError(error, 'bad-request') && /must be a duration such as 500ms/.test(error.message),
        String(written),
      );
    }
  });

  it('are written with the largest exact unit', () => {
    assert.deepEqual([0, 1250, 90_000, 86_400_000, 3_600_000].map(formatDuration), [
      '0ms',
      '1250ms',
      '90s',
      '1d',
      '1h',
    ]);
  });

  it('survive being written and read', () => {
    fc.assert(fc.property(fc.maxSafeNat(), (ms) => parseDuration(formatDuration(ms)) === ms));
  });
});

describe('sizes', () => {
  it('are read with decimal and binary units, without a unit, and as numbers', () => {
    const cases: readonly (readonly [string | number, number])[] = [
      ['64MiB', 67_108_864],
      ['1GiB', 2 ** 30],
      ['2TiB', 2 ** 41],
      ['1KiB', 1024],
      ['1kB', 1000],
      ['3MB', 3_000_000],
      ['1.5GiB', 1_610_612_736],
      ['100B', 100],
      ['1024', 1024],
      ['0', 0],
      [4096, 4096],
    ];
    for (const [written, count] of cases) assert.equal(parseBytes(written), count, String(written));
  });

  it('are refused with the rule when they are nonsense', () => {
    for (const written of [
      '',
      'MiB',
      '64M',
      '64mib',
      '1KB',
      '-1',
      '-1MiB',
      '1.5B',
      '0x10',
      '1 2',
      '1e6',
      0.5,
      -1,
      2 ** 53,
    ]) {
      assert.throws(
        () => parseBytes(written),
        (error) => isSluiceError(error, 'bad-request') && /must be a size such as 64MiB/.test(error.message),
        String(written),
      );
    }
  });

  it('are written with the largest exact binary unit', () => {
    assert.deepEqual([0, 1000, 1024, 67_108_864, 1_114_112].map(formatBytes), [
      '0B',
      '1000B',
      '1KiB',
      '64MiB',
      '1088KiB',
    ]);
  });

  it('survive being written and read', () => {
    fc.assert(fc.property(fc.maxSafeNat(), (count) => parseBytes(formatBytes(count)) === count));
  });
});
