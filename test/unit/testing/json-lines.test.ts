/** Histories as text and back, what is refused, and the recorder that makes them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isSluiceError, SluiceError } from '../../../src/errors.ts';
import { checkHistory, checks } from '../../../src/testing/check-history.ts';
import { createFakeClock } from '../../../src/testing/fake-clock.ts';
import { formatHistory, parseHistory } from '../../../src/testing/history/json-lines.ts';
import { recordFields } from '../../../src/testing/history/record-fields.ts';
import { createHistoryRecorder } from '../../../src/testing/history/recorder.ts';
import { createSeededRandom } from '../../../src/testing/seeded-random.ts';
import { codeBlocks, loadDocument } from '../../support/document.ts';
import { lost, memberAt, putAt, stateAt, watchSays } from '../../support/history-records.ts';
import { makeHistory } from '../../support/random-history.ts';

const head = '{"format":"sluice-history","version":1}\n';
const withoutUndefined = <Value>(value: Value): Value => JSON.parse(JSON.stringify(value), (_, one) => one) as Value;

describe('a history as JSON Lines', () => {
  it('is the same when it is read again', () => {
    const options = { operations: 40, keys: 3, processes: 3, withRevisions: true, unknownPercent: 20, isRich: true };
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const history = makeHistory(createSeededRandom(seed), options);
        assert.deepEqual(parseHistory(formatHistory(history)), history);
      }),
    );
    const observed = [
      memberAt(1, 'n1', 'joined', 'n2', 5),
      ...watchSays('w', ['opened', 0, { prefix: 'a' }], ['put', 1, { key: 'a', value: 'x' }]),
      stateAt(2, 'n1', 3, [['a', 'x', 1]]),
      { type: 'reset', process: 'n1', at: 4 } as const,
      { type: 'log', event: 'tag', tag: 'red', position: 9 } as const,
    ];
    assert.deepEqual(parseHistory(formatHistory(observed)), withoutUndefined(observed));
  });

  it('leaves out what has no end, empty lines, and the own fields of other tools', () => {
    const text = formatHistory([putAt([1, 2], 'a', 'x', lost)]);
    assert.ok(!text.includes('"end"'));
    assert.equal(text.split('\n').length, 3);
    const [put] = parseHistory(`${text.replace('"key"', '"_tool":{"x":1},"key"').replaceAll('\n', '\r\n\n')}`);
    assert.deepEqual(put, putAt([1, 2], 'a', 'x', lost));
  });

  it('is refused with line, field, value and rule', () => {
    const put = { type: 'put', process: 'p', start: 1, end: 2, outcome: 'ok', key: 'a', value: 'x' };
    const cases: readonly (readonly [string, RegExp])[] = [
      ['', /line 1: must be \{"format":"sluice-history","version":1\}/],
      ['{"format":"sluice-history","version":2}\n', /line 1: must be/],
      [`${head}nonsense`, /line 2: is not JSON/],
      [`${head}[]`, /line 2: must be a JSON object/],
      [`${head}{"type":"toString"}`, /line 2: type "toString": must be one of put, delete, clear/],
      [`${head}${JSON.stringify({ ...put, revison: 1 })}`, /line 2: revison: is no field of put/],
      [`${head}${JSON.stringify({ ...put, key: 7 })}`, /line 2: key 7: must be a string/],
      [`${head}${JSON.stringify({ ...put, key: undefined })}`, /line 2: key: is missing, and each put has it/],
      [`${head}${JSON.stringify({ ...put, outcome: 'maybe' })}`, /outcome "maybe": must be one of ok, failed, unknown/],
      [`${head}${JSON.stringify({ ...put, revision: 0.5 })}`, /revision 0.5: must be a whole number from 1/],
      [`${head}${JSON.stringify({ ...put, end: 0 })}`, /end 0: must not be below start 1/],
      [`${head}${JSON.stringify({ ...put, end: undefined })}`, /end: is missing, and the outcome is ok/],
      [`${head}${JSON.stringify({ ...put, outcome: 'unknown', revision: 1 })}`, /revision 1: only of an ok write/],
      [`${head}${JSON.stringify({ ...put, tags: 'red' })}`, /tags "red": must be an array of strings/],
      [`${head}{"type":"log","event":"put","position":1,"key":"a"}`, /value: is missing, and the event is put/],
      [`${head}{"type":"log","event":"tag","position":1}`, /tag: is missing, and the event is tag/],
    ];
    for (const [text, message] of cases)
      assert.throws(
        () => parseHistory(text),
        (error) => isSluiceError(error, 'bad-request') && message.test(error.message),
        String(message),
      );
  });

  it('ends in records or a refusal, whatever the text is', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.json(), fc.string())), (lines) => {
        try {
          parseHistory(`${head}${lines.join('\n')}`);
        } catch (error) {
          assert.ok(isSluiceError(error, 'bad-request'), String(error));
        }
      }),
    );
  });

  it('is described by a page that names each kind and field, and whose examples can be read', () => {
    const page = loadDocument('docs/history-format.md');
    for (const [type, { needed, optional }] of Object.entries(recordFields)) {
      assert.ok(page.includes(`\`${type}\``), type);
      for (const field of [...Object.keys(needed), ...Object.keys(optional)])
        assert.ok(page.includes(`\`${field}\``), `${type}: ${field}`);
    }
    const examples = codeBlocks(page).filter(({ language }) => language === 'jsonl');
    assert.equal(examples.length, 2);
    const [good = [], bad = []] = examples.map(({ code }) => checkHistory(parseHistory(code)));
    assert.deepEqual(good, []);
    assert.deepEqual([...new Set(bad.map(({ check }) => check))], ['register', 'no-resurrection']);
    assert.ok(page.includes(bad[0]?.message ?? '?'), bad[0]?.message);
  });
});

describe('the recorder', () => {
  it('gives each moment its own time, also while the clock stands still', async () => {
    const clock = createFakeClock({ monotonicMs: 100 });
    const recorder = createHistoryRecorder(clock);
    const first = recorder.begin({ type: 'put', process: 'p', key: 'a', value: 'x' });
    first.ok({ revision: 1 });
    const second = recorder.begin({ type: 'read', process: 'p', key: 'a', consistency: 'local' });
    await clock.advance(50);
    second.ok({ value: 'x', revision: 1 });
    recorder.observe({ type: 'reset', process: 'p' });
    const [put, read, reset] = recorder.history();
    assert.ok(put?.type === 'put' && read?.type === 'read' && reset?.type === 'reset');
    assert.deepEqual([put.outcome, put.revision, put.start], ['ok', 1, 100]);
    assert.ok(put.end > put.start && read.start > put.end && reset.at > read.end && read.end >= 150);
  });

  it('has results that fit the operation, or it does not compile', () => {
    const recorder = createHistoryRecorder(createFakeClock());
    const put = recorder.begin({ type: 'put', process: 'p', key: 'a', value: 'x' });
    const read = recorder.begin({ type: 'read', process: 'p', key: 'a', consistency: 'latest' });
    const clear = recorder.begin({ type: 'clear', process: 'p' });
    // The compiler refuses each of these; if it did not, it would refuse the comment above it. None is run.
    const wrong = [
      // @ts-expect-error a revision is a number
      () => put.ok({ revision: '1' }),
      // @ts-expect-error a put sees no value
      () => put.ok({ value: 'x' }),
      // @ts-expect-error a read must say what it saw
      () => read.ok(),
      // @ts-expect-error what was read is a string or null
      () => read.ok({ value: 1 }),
      // @ts-expect-error a lag is a number
      () => read.ok({ value: null, lagMs: '2' }),
      // @ts-expect-error a read has no condition
      () => read.failed({ conflict: true }),
      // @ts-expect-error neither has a clear
      () => clear.failed({ conflict: true }),
      // @ts-expect-error a conflict is no result of success
      () => put.ok({ conflict: true }),
    ];
    assert.equal(wrong.length, 8);
    put.failed({ conflict: true });
    read.ok({ value: null, position: 0, lagMs: 1.5 });
    clear.ok({ revision: 1 });
    assert.deepEqual(
      recorder.history().map((record) => 'outcome' in record && record.outcome),
      ['failed', 'ok', 'ok'],
    );
  });

  it('takes for unknown what has not ended, and what may have been written', () => {
    const recorder = createHistoryRecorder(createFakeClock());
    const begin = () => recorder.begin({ type: 'put', process: 'p', key: 'a', value: 'x', ifRevision: 3 });
    begin();
    begin().threw(new SluiceError('outcome-unknown', 'x'));
    begin().threw(new Error('who knows'));
    begin().threw(new SluiceError('position-conflict', 'x'));
    begin().threw(new SluiceError('log-unavailable', 'x'));
    const call = begin();
    call.failed();
    call.ok();
    recorder.begin({ type: 'read', process: 'p', key: 'a', consistency: 'latest' }).threw(new Error('no answer'));
    const outcomes = recorder.history().map((record) => {
      assert.ok('outcome' in record);
      return `${record.outcome}${'conflict' in record && record.conflict ? ' conflict' : ''}${record.end === Number.POSITIVE_INFINITY ? ' endless' : ''}`;
    });
    assert.deepEqual(outcomes, [
      'unknown endless',
      'unknown endless',
      'unknown endless',
      'failed conflict',
      'failed',
      'failed',
      'failed',
    ]);
  });
});

describe('docs/testing.md', () => {
  it('takes its sample from a file that prints what the page says', async (t) => {
    const page = loadDocument('docs/testing.md');
    const file = 'test/support/check-history-sample.ts';
    const sample = loadDocument(file)
      .replace(/^\/\*\*[\s\S]*?\*\/\n/, '')
      .trimEnd();
    assert.equal(codeBlocks(page).find(({ source }) => source === file)?.code, sample);
    const print = t.mock.method(console, 'log', () => undefined);
    await import('../../support/check-history-sample.ts');
    const [first, second] = print.mock.calls.map(({ arguments: [line] }) => String(line));
    assert.equal(first, 'holds');
    assert.ok(page.includes(`> ${second}`), second);
  });

  it('names every check and its function', () => {
    const page = loadDocument('docs/testing.md');
    for (const name of Object.keys(checks)) assert.ok(page.includes(`| \`${name}\` |`), name);
  });
});
