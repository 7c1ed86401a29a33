/** Pulses and the sets of partitions in them: golden text, limits, and everything that is not a pulse. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isSluiceError } from '../../../src/errors.ts';
import {
  decodePulse,
  encodePulse,
  isRefused,
  mergeReady,
  type Pulse,
  pulseBytesMax,
  readyPartitions,
} from '../../../src/membership/pulse.ts';
import { formatRanges, parseRanges } from '../../../src/membership/ranges.ts';

describe('a set of partitions as text', () => {
  const golden: readonly (readonly [partitions: readonly number[], text: string])[] = [
    [[], ''],
    [[0], '0'],
    [[1023], '1023'],
    [[0, 1], '0-1'],
    [[0, 2], '0,2'],
    [[5, 3, 4, 3, 9], '3-5,9'],
    [[...Array.from({ length: 341 }, (_, index) => index), 500], '0-340,500'],
    [Array.from({ length: 1024 }, (_, index) => index), '0-1023'],
  ];

  it('is as short as the runs allow', () => {
    for (const [partitions, text] of golden) {
      assert.equal(formatRanges(partitions), text);
      assert.deepEqual(
        parseRanges(text),
        [...new Set(partitions)].sort((one, other) => one - other),
      );
    }
  });

  it('comes back for every set, in rising order', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 1023 }), { maxLength: 1_100 }), (partitions) => {
        const sorted = [...new Set(partitions)].sort((one, other) => one - other);
        assert.deepEqual(parseRanges(formatRanges(partitions)), sorted);
      }),
    );
    const everyOther = Array.from({ length: 512 }, (_, index) => index * 2);
    assert.deepEqual(parseRanges(formatRanges(everyOther)), everyOther);
  });

  it('may list neighbours one by one', () => {
    assert.deepEqual(parseRanges('0,1,2-3,4'), [0, 1, 2, 3, 4]);
    const single = Array.from({ length: 1024 }, (_, index) => index);
    assert.deepEqual(parseRanges(single.join(',')), single);
  });

  it('is no set when it breaks a rule', () => {
    const bad = [
      '1024',
      '0-1024',
      '9999',
      '3,2',
      '2,2',
      '1-3,3',
      '3-1',
      '3-3',
      '-1',
      '1-',
      '-',
      ',',
      '1,',
      ',1',
      '1,,2',
    ];
    const odd = ['01', '1-02', '00', ' 1', '1 ', '1, 2', '1–2', '1.0', '1e1', '0x1', 'a', '٣', '1-2-3', '10000', '0-0'];
    for (const text of [...bad, ...odd, '1,'.repeat(5_000)])
      assert.equal(parseRanges(text), undefined, text.slice(0, 20));
  });

  it('is never out of range and never throws, for any text', () => {
    const text = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...'0123456789-,'), maxLength: 40 }));
    fc.assert(
      fc.property(text, (candidate) => {
        const partitions = parseRanges(candidate);
        if (partitions === undefined) return;
        for (const [index, partition] of partitions.entries()) {
          assert.ok(Number.isInteger(partition) && partition >= 0 && partition < 1024);
          assert.ok(index === 0 || partition > (partitions[index - 1] ?? 0));
        }
        assert.deepEqual(parseRanges(formatRanges(partitions)), partitions);
      }),
      { numRuns: 3_000 },
    );
  });

  it('refuses numbers that are no partitions', () => {
    for (const bad of [-1, 1024, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.throws(() => formatRanges([0, bad]), RangeError, String(bad));
    }
    assert.throws(() => formatRanges([1023, 1024]), RangeError);
  });
});

const whole: Pulse = {
  node: 'node-1',
  incarnation: 'k3f9',
  sequence: 17,
  epoch: 12,
  http: 'http://127.0.0.1:7401',
  region: 'eu',
  ready: { demo: '0', sessions: '0-7,12' },
  lagMs: 3.5,
  appliedControl: 40,
  state: 'ready',
};
const least: Pulse = {
  node: 'n',
  incarnation: 'i',
  sequence: 0,
  epoch: 0,
  ready: {},
  appliedControl: 0,
  state: 'starting',
};

const decoded = (data: Uint8Array): Pulse => {
  const result = decodePulse(data);
  assert.ok(!isRefused(result), JSON.stringify(result));
  return result;
};
const refusal = (body: unknown): string => {
  const result = decodePulse(body instanceof Uint8Array ? body : Buffer.from(JSON.stringify(body)));
  assert.ok(isRefused(result), JSON.stringify(body));
  return result.refused;
};
const plain = (pulse: Pulse): Record<string, unknown> => JSON.parse(Buffer.from(encodePulse(pulse)).toString());

describe('a pulse', () => {
  it('is JSON with a version, and comes back', () => {
    assert.equal(
      Buffer.from(encodePulse(whole)).toString(),
      '{"v":1,"node":"node-1","incarnation":"k3f9","sequence":17,"epoch":12,"http":"http://127.0.0.1:7401","region":"eu",' +
        '"lagMs":3.5,"appliedControl":40,"state":"ready","ready":{"demo":"0","sessions":"0-7,12"}}',
    );
    for (const pulse of [whole, least, { ...least, state: 'leaving' } as const]) {
      assert.deepEqual(decoded(encodePulse(pulse)), pulse);
    }
  });

  it('ignores fields that it does not know', () => {
    assert.deepEqual(decoded(Buffer.from(JSON.stringify({ ...plain(whole), later: { x: 1 } }))), whole);
  });

  it('tells the partitions of a cache, also of one with an unlucky name', () => {
    assert.deepEqual(readyPartitions(whole, 'sessions'), [0, 1, 2, 3, 4, 5, 6, 7, 12]);
    for (const cache of ['other', 'constructor', 'toString', '__proto__']) {
      assert.deepEqual(readyPartitions(whole, cache), []);
    }
    const unlucky = decoded(encodePulse({ ...whole, ready: { constructor: '3' } }));
    assert.deepEqual(readyPartitions(unlucky, 'constructor'), [3]);
  });

  it('is refused, naming the field, when one is missing or breaks its rule', () => {
    const wrong: Readonly<Record<string, readonly unknown[]>> = {
      v: [undefined, 2, '1', null],
      node: [undefined, '', 'a.b', 'x'.repeat(65), 1],
      incarnation: [undefined, '', '*', null],
      sequence: [undefined, -1, 1.5, '1', 2 ** 53],
      epoch: [undefined, -1, null],
      ready: [undefined, [], 'x', { demo: 1 }, { demo: '1024' }, { 'a.b': '0' }, { demo: null }],
      appliedControl: [undefined, -1],
      state: [undefined, 'gone', 1, 'toString'],
      http: [null, 1, 'x'.repeat(1_025)],
      region: [null, {}],
      lagMs: [-1, '1', null],
      omitted: [-1, 'x'],
    };
    for (const [name, values] of Object.entries(wrong)) {
      for (const value of values) {
        assert.ok(
          refusal({ ...plain(whole), [name]: value }).startsWith(`${name}: `),
          `${name} ${JSON.stringify(value)}`,
        );
      }
    }
  });

  it('is refused when it is no JSON object, too large, or cut off at any byte', () => {
    for (const body of [null, [], 1, 'text', [whole]]) assert.match(refusal(body), /^body: is not an object/);
    for (const bytes of ['', '{', '\u0000', '{}x']) assert.match(refusal(Buffer.from(bytes)), /^body: is not JSON/);
    assert.match(refusal(Buffer.from([0xff, 0xfe])), /^body: is not JSON/);
    assert.match(refusal(Buffer.concat([encodePulse(whole), Buffer.alloc(pulseBytesMax, ' ')])), /^bytes: /);
    const bytes = encodePulse(whole);
    for (let length = 0; length < bytes.length; length += 1) refusal(bytes.subarray(0, length));
  });

  it('never throws, for any bytes and any JSON', () => {
    const body = fc.oneof(
      fc.uint8Array(),
      fc.json().map((text) => Buffer.from(text)),
      fc.jsonValue().map((value) => Buffer.from(JSON.stringify({ ...plain(whole), ready: value }))),
      fc
        .dictionary(fc.constantFrom(...Object.keys(whole)), fc.jsonValue())
        .map((part) => Buffer.from(JSON.stringify({ ...plain(whole), ...part }))),
    );
    fc.assert(
      fc.property(body, (data) => {
        const result = decodePulse(data);
        if (!isRefused(result)) assert.deepEqual(decoded(encodePulse(result)), result);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('a pulse whose readiness does not fit', () => {
  const everyOther = formatRanges(Array.from({ length: 512 }, (_, index) => index * 2));
  const crowd = Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`cache-${index}`, '0-7']));
  const heavy = Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`cache-${index}`, everyOther]));

  it('carries a part of it, within 8 KiB, and says how much it leaves out', () => {
    for (const ready of [crowd, heavy]) {
      const bytes = encodePulse({ ...whole, ready });
      assert.ok(bytes.length <= pulseBytesMax && bytes.length > pulseBytesMax / 4, String(bytes.length));
      const pulse = decoded(bytes);
      assert.equal(Object.keys(pulse.ready).length + (pulse.omitted ?? 0), Object.keys(ready).length);
      assert.ok((pulse.omitted ?? 0) > 0);
    }
  });

  it('tells everything within a few pulses to a receiver that merges them', () => {
    for (const ready of [crowd, heavy]) {
      let known: Pulse | undefined;
      for (let sequence = 1; sequence <= 4; sequence += 1) {
        known = mergeReady(known, decoded(encodePulse({ ...whole, sequence, ready })));
      }
      assert.deepEqual(known?.ready, ready);
    }
  });

  it('is never one without a limit: what no longer exists is forgotten with the rest', () => {
    const part = { ...whole, ready: { a: '0', b: '0' }, omitted: 1 };
    const known = mergeReady({ ...whole, ready: { c: '1' }, omitted: 2 }, part);
    assert.deepEqual(known.ready, { c: '1', a: '0', b: '0' });
    assert.deepEqual(mergeReady(known, { ...whole, ready: { d: '0' }, omitted: 2 }).ready, { d: '0' });
  });

  it('is taken alone when it is whole, the first, or of another incarnation', () => {
    const before = { ...whole, ready: { old: '1' } };
    assert.deepEqual(mergeReady(before, whole), whole);
    const part = { ...whole, omitted: 5 };
    assert.deepEqual(mergeReady(undefined, part), part);
    assert.deepEqual(mergeReady({ ...before, incarnation: 'other' }, part), part);
    assert.deepEqual(mergeReady({ ...before, node: 'other' }, part), part);
  });

  it('leaves out what could never fit, and says so', () => {
    const giant = {
      ...whole,
      http: 'é'.repeat(900),
      region: '\u0001'.repeat(1_000),
      ready: { giant: '0'.repeat(300), b: '0' },
    };
    const bytes = encodePulse(giant);
    assert.ok(bytes.length <= pulseBytesMax);
    assert.deepEqual(JSON.parse(Buffer.from(bytes).toString()).ready, { b: '0' });
    assert.equal(JSON.parse(Buffer.from(bytes).toString()).omitted, 1);
  });

  it('is refused when the node itself says too much', () => {
    assert.throws(
      () => encodePulse({ ...whole, http: '\u0001'.repeat(2_000) }),
      (error) => isSluiceError(error, 'too-large'),
    );
  });

  it('fits for every set of caches', () => {
    const ready = fc.dictionary(
      fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/),
      fc.array(fc.nat({ max: 1023 }), { maxLength: 600 }).map(formatRanges),
      { maxKeys: 40 },
    );
    fc.assert(
      fc.property(ready, fc.nat(), (caches, sequence) => {
        const bytes = encodePulse({ ...whole, sequence, ready: caches });
        assert.ok(bytes.length <= pulseBytesMax);
        for (const [cache, ranges] of Object.entries(decoded(bytes).ready)) assert.equal(ranges, caches[cache]);
      }),
    );
  });
});
