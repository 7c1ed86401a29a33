/** What the messages that were applied last can say about a log that may have been rolled back, and grown again. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LogRecord } from '../../../src/events/record.ts';
import { createWitnesses } from '../../../src/log/copy/witnesses.ts';
import { createMemoryLog, type MemoryLog } from '../../../src/log/memory-log.ts';
import { createFakeClock } from '../../../src/testing/fake-clock.ts';

const signal = new AbortController().signal;
const clock = createFakeClock();

async function append(log: MemoryLog, subject: string): Promise<LogRecord> {
  await clock.advance(1);
  await log.append({ subject, fields: '', data: Buffer.from(subject) });
  const stored = await log.latest(subject);
  assert.ok(stored !== undefined);
  return stored;
}

async function applied(...subjects: readonly string[]) {
  const log = createMemoryLog({ name: 'log', clock });
  const witnesses = createWitnesses();
  for (const subject of subjects) witnesses.note(await append(log, subject));
  return { log, witnesses, compare: () => witnesses.testimony().compare(log, 1, signal) };
}

describe('the messages that were applied last', () => {
  it('say nothing against a log that only went on', async () => {
    const { log, compare } = await applied('a', 'b', 'c');
    await append(log, 'c');
    await append(log, 'd');
    assert.equal(await compare(), undefined);
  });

  it('say that another message stands where one of them stood', async () => {
    const { log, compare } = await applied('a', 'b', 'c');
    log.rollBack(2);
    await append(log, 'c');
    assert.equal(await compare(), 'another message stands at 3');
  });

  it('say that a key stands lower than it did', async () => {
    const { log, compare } = await applied('a', 'b', 'c', 'd');
    log.rollBack(2);
    await append(log, 'd');
    assert.equal(await compare(), 'the newest message of d stands at 3, and was at 4');
  });

  it('say that a key stands higher than it did, where another message was applied', async () => {
    const { log, compare } = await applied('a', 'b', 'c');
    log.rollBack(1);
    await append(log, 'x');
    await append(log, 'b');
    await append(log, 'c');
    assert.equal(await compare(), 'the newest message of b stands at 3, and was at 2');
  });

  it('leave it to the delivery when a key stands above all that was applied', async () => {
    const { log, compare } = await applied('a', 'b');
    log.rollBack(1);
    await append(log, 'x');
    await append(log, 'b');
    assert.equal(await compare(), undefined);
  });

  it('are known by their time: the last few, and all since a question to the log began', async () => {
    const { log, witnesses } = await applied('a');
    const first = await log.latest('a');
    const end = witnesses.attend();
    for (let index = 0; index < 40; index += 1) witnesses.note(await append(log, `k${index}`));
    assert.equal(witnesses.storedAtMs(1), first?.atMs);
    assert.equal(witnesses.storedAtMs(2), (await log.latest('k0'))?.atMs);
    end();
    assert.equal(witnesses.storedAtMs(2), undefined);
    assert.equal(witnesses.storedAtMs(41), (await log.latest('k39'))?.atMs);
    assert.equal(witnesses.storedAtMs(0), undefined);
  });
});
