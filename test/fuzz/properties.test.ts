/** What structured input promises: whatever is allowed to be written is read back as it was, through each codec that has two ends. */
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseCondition } from '../../src/api/http/conditions.ts';
import { formatTagList, parseTagList } from '../../src/api/http/header-text.ts';
import { formatWatchEvent, formatWatchId, parseWatchId } from '../../src/api/http/routes/watch-event.ts';
import { parseFlags } from '../../src/cli/flags.ts';
import { decodePeerAnswer, encodePeerBody } from '../../src/cluster/peer-protocol.ts';
import { loadSettings } from '../../src/config/load.ts';
import { settingEntries } from '../../src/config/schema.ts';
import { decodePulse, encodePulse, type Pulse } from '../../src/membership/pulse.ts';
import { formatRanges, parseRanges } from '../../src/membership/ranges.ts';
import { createSeededRandom } from '../../src/testing/seeded-random.ts';
import { caseBytesMax, mutate } from './mutate.ts';
import { promise, promiseSame, unlessRefused } from './target.ts';

const position = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const id = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_-]{0,20}$/);
const partitions = fc.uniqueArray(fc.integer({ min: 0, max: 1_023 }), { maxLength: 40 });

describe('what may be written', () => {
  it('as the id of an event is read back, for any number of partitions', () => {
    fc.assert(
      fc.property(fc.array(position, { minLength: 1, maxLength: 64 }), (positions) => {
        promiseSame(parseWatchId('from', formatWatchId(positions), positions.length), positions, 'the positions');
      }),
    );
  });

  it('as an event stream is one event: a line each, whatever key, tags and value are', () => {
    const put = fc.record({
      type: fc.constant('put' as const),
      key: fc.string({ unit: 'binary', minLength: 1 }),
      position,
      value: fc.uint8Array(),
      contentType: fc.constant('text/plain'),
      tags: fc.array(fc.string({ unit: 'binary' })),
      expiresAtMs: fc.constant(Number.POSITIVE_INFINITY),
    });
    fc.assert(
      fc.property(put, fc.constantFrom('none' as const, 'base64' as const, 'text' as const), (event, form) => {
        const text = formatWatchEvent(event, 0, form);
        promise(/^event: put\ndata: [^\r\n]*\n$/.test(text), () => text);
        promiseSame(JSON.parse(text.slice(text.indexOf('{'))).key, event.key, 'the key');
      }),
    );
  });

  it('as tags of a header is read back', () => {
    const tag = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }).filter((text) => text === text.trim());
    fc.assert(
      fc.property(fc.array(tag, { maxLength: 10 }), (tags) => {
        const whole = tags.filter((text) => !text.includes(',') && !/\p{Surrogate}/u.test(text));
        promiseSame(parseTagList(formatTagList(whole)), whole, 'the tags');
      }),
    );
  });

  it('as a list of revisions is read back', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(position, fc.boolean()), { minLength: 1, maxLength: 64 }), (list) => {
        const text = list.map(([revision, isWeak]) => `${isWeak ? 'W/' : ''}"${revision}"`).join(', ');
        const read = parseCondition('If-Match', text);
        const expected = list.map(([revision, isWeak]) => ({
          isWeak,
          revision: revision === 0 ? undefined : revision,
        }));
        promiseSame(read, expected, text);
      }),
    );
  });

  it('as a pulse is read back', () => {
    const pulse: fc.Arbitrary<Pulse> = fc.record(
      {
        node: id,
        incarnation: id,
        sequence: position,
        epoch: position,
        ready: fc.dictionary(id, partitions.map(formatRanges), { maxKeys: 10, noNullPrototype: true }),
        appliedControl: position,
        state: fc.constantFrom('starting' as const, 'ready' as const, 'leaving' as const),
      },
      { noNullPrototype: true },
    );
    fc.assert(fc.property(pulse, (one) => promiseSame({ ...decodePulse(encodePulse(one)) }, { ...one }, 'the pulse')));
  });

  it('as a set of partitions is read back in order', () => {
    fc.assert(
      fc.property(partitions, (set) => {
        promiseSame(
          parseRanges(formatRanges(set)),
          [...set].sort((one, other) => one - other),
          'the partitions',
        );
      }),
    );
  });

  it('as an answer of a node is read back with its value', () => {
    const found = fc.record(
      {
        revision: position,
        atMs: position,
        expiresAtMs: fc.option(position),
        tags: fc.array(fc.string()),
      },
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(position, found, fc.uint8Array(), (at, entry, value) => {
        const answer = decodePeerAnswer('get', encodePeerBody({ position: at, found: entry }, value));
        promiseSame(answer.fields, { position: at, found: entry }, 'the fields');
        promiseSame([...answer.bytes], [...value], 'the value');
      }),
    );
  });

  it('on a command line comes to the same as in a variable', () => {
    const written = settingEntries.filter(
      ({ setting }) => typeof setting.written === 'string' || typeof setting.written === 'number',
    );
    const text = fc.oneof(
      fc.string({ minLength: 1 }),
      fc.constantFrom('0', '1', '5s', '1MiB', 'none', 'all', '70000', 'file', 'debug'),
    );
    fc.assert(
      fc.property(fc.constantFrom(...written), text, ({ flag, env, programs: [program = 'cache-node'] }, value) => {
        const flags = unlessRefused(() => parseFlags([`${flag}=${value}`]).values) ?? {};
        const fromFlag = unlessRefused(() => loadSettings({ env: {}, flags, program }));
        promiseSame(
          fromFlag,
          unlessRefused(() => loadSettings({ env: { [env]: value } })),
          `${flag} and ${env}`,
        );
      }),
    );
  });
});

describe('a mutation', () => {
  it('is the same for the same seed, and never larger than a case may be', () => {
    const corpus = [Buffer.from('{"a":1}\nline two\n'), Buffer.alloc(caseBytesMax, 65)];
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const [one, other] = [1, 2].map(() => mutate(createSeededRandom(seed), corpus, [Buffer.from('token')]));
        promise(one !== undefined && other !== undefined && one.equals(other), () => 'two different cases');
        promise((one?.length ?? 0) <= caseBytesMax, () => `${one?.length} bytes`);
      }),
      { numRuns: 300 },
    );
  });
});
