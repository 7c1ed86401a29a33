/** Two outputs and one screen. */
import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { describe, it } from 'node:test';
import { createProgress } from '../../../src/cli/terminal/progress.ts';
import { formatError } from '../../../src/cli/terminal/report-error.ts';
import { createTerminal, type OutputStream } from '../../../src/cli/terminal/terminal.ts';
import { SluiceError } from '../../../src/errors.ts';
import { createFakeClock } from '../../../src/testing/fake-clock.ts';

/** Collects what is written, tagged by the stream, in the order in which a screen would show it. */
function createScreen(options: { isTTY?: boolean; columns?: number; fail?: NodeJS.ErrnoException } = {}) {
  const written: string[] = [];
  const make = (name: string): OutputStream =>
    Object.assign(
      new Writable({
        write(chunk, _encoding, done) {
          if (name === 'out' && options.fail !== undefined) return done(options.fail);
          written.push(`${name}:${String(chunk)}`);
          done();
        },
      }),
      { isTTY: options.isTTY ?? false, columns: options.columns ?? 80 },
    );
  return { written, stdout: make('out'), stderr: make('err') };
}

describe('a terminal', () => {
  it('writes results and remarks to their own streams', () => {
    const { written, ...streams } = createScreen();
    const terminal = createTerminal({ ...streams, isJson: false });
    terminal.print('result');
    terminal.printJson({ a: 1 });
    terminal.note('remark');
    terminal.status('not on a pipe');
    assert.deepEqual(written, ['out:result\n', 'out:{"a":1}\n', 'err:remark\n']);
  });

  it('removes the status line before other lines, and shows it again below them', () => {
    const { written, ...streams } = createScreen({ isTTY: true });
    const terminal = createTerminal({ ...streams, isJson: false });
    terminal.status('50 %');
    terminal.print('line');
    terminal.status(undefined);
    terminal.print('last');
    const clear = '\r\x1b[2K';
    assert.deepEqual(written, [
      `err:${clear}50 %`,
      `err:${clear}`,
      'out:line\n',
      'err:50 %',
      `err:${clear}`,
      'out:last\n',
    ]);
  });

  it('keeps the status line within the width of the screen', () => {
    const { written, ...streams } = createScreen({ isTTY: true, columns: 20 });
    createTerminal({ ...streams, isJson: false }).status('x'.repeat(100));
    assert.equal(written[0], `err:\r\x1b[2K${'x'.repeat(19)}`);
    const unknown = createScreen({ isTTY: true, columns: 0 });
    createTerminal({ ...unknown, isJson: false }).status('x'.repeat(100));
    assert.equal(unknown.written[0], `err:\r\x1b[2K${'x'.repeat(79)}`);
  });

  it('writes remarks as JSON, and no status, for programs', () => {
    const { written, ...streams } = createScreen({ isTTY: true });
    const terminal = createTerminal({ ...streams, isJson: true });
    terminal.note('a "remark"');
    terminal.status('50 %');
    assert.deepEqual(written, ['err:{"note":"a \\"remark\\""}\n']);
  });

  it('tells once and quietly that nobody reads the results any more', async () => {
    const { written, ...streams } = createScreen({ fail: Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }) });
    let closed = 0;
    const terminal = createTerminal({ ...streams, isJson: false, onClosed: () => (closed += 1) });
    terminal.print('one');
    terminal.print('two');
    await new Promise((resolve) => setImmediate(resolve));
    terminal.print('three');
    await terminal.flush();
    assert.deepEqual({ closed, isClosed: terminal.isClosed, written }, { closed: 1, isClosed: true, written: [] });
  });

  it('says why results cannot be written, when it is not the reader who left', async () => {
    const { written, ...streams } = createScreen({ fail: Object.assign(new Error('no space'), { code: 'ENOSPC' }) });
    const terminal = createTerminal({ ...streams, isJson: false });
    terminal.print('one');
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(written, ['err:standard output: no space\n']);
  });
});

describe('progress on a terminal and elsewhere', () => {
  const work = { what: 'loading', total: 10, unit: 'files' };

  it('draws a bar, not more often than an eye can follow', async () => {
    const { written, ...streams } = createScreen({ isTTY: true, columns: 200 });
    const clock = createFakeClock();
    const progress = createProgress({ ...work, clock, terminal: createTerminal({ ...streams, isJson: false }) });
    for (let done = 1; done <= 10; done += 1) {
      await clock.advance(20);
      progress.update(done, done * 100);
    }
    progress.end();
    assert.equal(written.length, 3);
    assert.match(written[0] ?? '', /\[#########-+\] loading: 40 %, 4 of 10 files, 400 B/);
    assert.equal(written[2], 'err:\r\x1b[2K');
  });

  it('writes a plain line every few seconds', async () => {
    const { written, ...streams } = createScreen();
    const clock = createFakeClock();
    const progress = createProgress({ ...work, clock, terminal: createTerminal({ ...streams, isJson: false }) });
    for (let done = 1; done <= 10; done += 1) {
      await clock.advance(1_000);
      progress.update(done, done);
    }
    progress.end();
    assert.deepEqual(
      written.map((line) => line.slice(0, 18)),
      ['err:loading: 30 %,', 'err:loading: 60 %,', 'err:loading: 90 %,'],
    );
  });

  it('is silent for programs', async () => {
    const { written, ...streams } = createScreen({ isTTY: true });
    const clock = createFakeClock();
    const progress = createProgress({ ...work, clock, terminal: createTerminal({ ...streams, isJson: true }) });
    await clock.advance(10_000);
    progress.update(5, 5);
    assert.deepEqual(written, []);
  });
});

describe('an error', () => {
  const error = new SluiceError('too-large', 'value: 9 bytes', { details: { bytes: 9 } });

  it('is one line with its code', () => {
    assert.equal(formatError('sluice', error, false), 'sluice: too-large: value: 9 bytes');
  });

  it('is one JSON object with code, details and exit code', () => {
    assert.deepEqual(JSON.parse(formatError('sluice', error, true)), {
      error: { code: 'too-large', message: 'value: 9 bytes', details: { bytes: 9 }, exitCode: 65 },
    });
  });

  it('shows its stack when it is a defect, and only then', () => {
    assert.match(
      formatError('sluice', new TypeError('oops'), false),
      /^sluice: internal: oops\nTypeError: oops\n {4}at /,
    );
    assert.match(JSON.parse(formatError('sluice', new TypeError('oops'), true)).error.stack, /TypeError: oops/);
    assert.equal(formatError('sluice', 'a text', false), 'sluice: internal: a text');
  });
});
