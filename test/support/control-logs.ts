/** Control logs for tests: random ones, and recorded ones from `test/fixtures/logs`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { decodeControlRecord, encodeControlEvent, type WritableControlEvent } from '../../src/events/control.ts';
import { type LogRecord, recordOf } from '../../src/events/record.ts';
import { applyControl, type ControlState, initControl } from '../../src/state/control.ts';
import { atMsOf } from './given-when-then.ts';
import { fixturesFolder } from './project.ts';

export const cluster = 'sluice';

export interface ControlMessage {
  readonly subject: string;
  /** The body as text. */
  readonly data: string;
}

export const toRecord = ({ subject, data }: ControlMessage, position: number): LogRecord =>
  recordOf({ position, atMs: atMsOf(position), subject, header: undefined, data: Buffer.from(data) });

/** Applies messages at the positions after `from` to a state. */
export function replay(messages: readonly ControlMessage[], from = 0, state = initControl()): ControlState {
  for (const [index, message] of messages.entries()) {
    applyControl(state, decodeControlRecord(cluster, toRecord(message, from + index + 1)));
  }
  return state;
}

const node = fc.constantFrom('a', 'b', 'c');
const incarnation = fc.constantFrom('1', '2', '3');
const cache = fc.constantFrom('demo', 'demo-00', 'other', 'constructor', '123');
const by = fc.option(fc.string({ maxLength: 5 }), { nil: undefined });
const settings = fc.record({
  partitions: fc.constantFrom(1, 1, 2),
  replicas: fc.constantFrom('all' as const, 2),
  logReplicas: fc.constantFrom(1, 1, 3),
  entriesMax: fc.constantFrom(10, 20),
  bytesMax: fc.constant(1_000),
  ttlMs: fc.constantFrom(null, 5),
  valueBytesMax: fc.constant(100),
  logBytesMax: fc.constant(null),
  whenFull: fc.constant('drop-oldest' as const),
});
const joinFields = fc.record(
  {
    version: fc.string({ maxLength: 3 }),
    http: fc.string({ unit: 'binary', maxLength: 9 }),
    pid: fc.integer({ min: 1 }),
  },
  { requiredKeys: ['version'] },
);
const anyEvent: fc.Arbitrary<WritableControlEvent> = fc.oneof(
  fc
    .tuple(node, incarnation, joinFields)
    .map(([name, life, fields]) => ({ type: 'member.joined' as const, node: name, incarnation: life, ...fields })),
  fc.record({
    type: fc.constant('member.left' as const),
    node,
    incarnation,
    reason: fc.constantFrom('shutdown' as const, 'timeout' as const, 'operator' as const),
    by: fc.string({ maxLength: 5 }),
  }),
  fc.record({ type: fc.constant('cache.declared' as const), cache, settings, by }),
  fc.record({ type: fc.constant('cache.dropped' as const), cache, by }),
  fc.record({
    type: fc.constant('lease.held' as const),
    role: fc.constantFrom('controller', 'janitor'),
    epoch: fc.integer({ min: 1, max: 12 }),
    holder: node,
    durationMs: fc.integer({ min: 1, max: 30_000 }),
  }),
  fc.record({
    type: fc.constant('command.issued' as const),
    verb: fc.constant('start'),
    body: fc.record({ expr: fc.string() }),
  }),
  fc.record({
    type: fc.constant('outcome.reported' as const),
    node,
    command: fc.integer({ min: 1 }),
    ok: fc.boolean(),
  }),
);

/** Mostly events that mean something, on few names so that they meet; some damaged, some of later versions. */
export const anyControlMessage: fc.Arbitrary<ControlMessage> = fc
  .tuple(anyEvent, fc.nat({ max: 19 }), fc.json())
  .map(([event, luck, json]) => {
    const { subject, data } = encodeControlEvent(cluster, event);
    const text = Buffer.from(data).toString('utf8');
    if (luck === 0) return { subject, data: text.slice(0, -1) };
    if (luck === 1) return { subject, data: json };
    if (luck === 2) return { subject: `${subject}.later`, data: text };
    return { subject, data: text };
  });

export interface RecordedLine {
  readonly position: number;
  readonly atMs: number;
  readonly subject: string;
  readonly data: string;
}

/** The records of `test/fixtures/logs/<name>.jsonl`. */
export function loadRecordedLog(name: string): LogRecord[] {
  const text = readFileSync(join(fixturesFolder, 'logs', `${name}.jsonl`), 'utf8');
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line) => {
    const { position, atMs, subject, data } = JSON.parse(line) as RecordedLine;
    return recordOf({ position, atMs, subject, header: undefined, data: Buffer.from(data) });
  });
}
