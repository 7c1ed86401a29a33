/**
 * Recorded control logs that every later version must still understand: the same log gives the same state (G7).
 *
 * A digest here changes only together with the version of the control reducer.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { decodeControlRecord } from '../../src/events/control.ts';
import type { LogRecord } from '../../src/events/record.ts';
import { decodeCheckpoint, encodeCheckpoint, isRefusedCheckpoint } from '../../src/state/checkpoint.ts';
import { applyControl, type ControlState, controlReducer } from '../../src/state/control.ts';
import { aliveMembers } from '../../src/state/members.ts';
import { cluster, loadRecordedLog } from '../support/control-logs.ts';
import { fixturesFolder } from '../support/project.ts';

interface Expected {
  readonly reducerVersion: number;
  readonly position: number;
  readonly checkpointSha256: string;
  readonly epoch: number;
  /** `<node>.<incarnation>` */
  readonly alive: readonly string[];
  readonly left: readonly string[];
  /** Name → positions of declaration and last change. */
  readonly caches: Readonly<Record<string, readonly [number, number]>>;
  /** Role → epoch, holder, position of the last renewal. */
  readonly leases: Readonly<Record<string, readonly [number, string, number]>>;
  readonly unreadable: number;
  readonly unknown: number;
}

const folder = join(fixturesFolder, 'logs');
const names = readdirSync(folder).flatMap((name) => (name.endsWith('.jsonl') ? [name.slice(0, -6)] : []));

function fold(records: readonly LogRecord[], state: ControlState = controlReducer.init()): ControlState {
  for (const record of records) applyControl(state, decodeControlRecord(cluster, record));
  return state;
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

function summaryOf(state: ControlState, position: number): Expected {
  const { members, caches, leases } = state;
  return {
    reducerVersion: controlReducer.version,
    position,
    checkpointSha256: sha256(encodeCheckpoint(state, position)),
    epoch: members.epoch,
    alive: aliveMembers(members).map(({ node, incarnation }) => `${node}.${incarnation}`),
    left: [...members.leftNodes].map((node) => `${node}.${members.members.get(node)?.incarnation}`),
    caches: Object.fromEntries(
      [...caches.caches].map(([name, { declaredAt, changedAt }]) => [name, [declaredAt, changedAt] as const]),
    ),
    leases: Object.fromEntries(
      [...leases.leases].map(([role, { epoch, holder, renewedAt }]) => [role, [epoch, holder, renewedAt] as const]),
    ),
    unreadable: state.unreadable.count,
    unknown: state.unknown.count,
  };
}

describe('a recorded control log', () => {
  it('is there for a rolling restart, for races and for garbage', () => {
    assert.deepEqual(names.sort(), ['garbage', 'races-and-repeats', 'rolling-restart']);
  });

  for (const name of names) {
    const records = loadRecordedLog(name);
    const position = records.at(-1)?.position ?? 0;

    it(`gives the expected state and checkpoint: ${name}`, () => {
      const expected: unknown = JSON.parse(readFileSync(join(folder, `${name}.expected.json`), 'utf8'));
      assert.deepEqual(summaryOf(fold(records), position), expected);
    });

    it(`gives the same checkpoint from each checkpoint on the way: ${name}`, () => {
      const whole = sha256(encodeCheckpoint(fold(records), position));
      for (const [index, { position: reached }] of records.entries()) {
        const start = decodeCheckpoint(encodeCheckpoint(fold(records.slice(0, index + 1)), reached));
        assert.ok(!isRefusedCheckpoint(start));
        const rest = records.filter((record) => record.position > start.position);
        assert.equal(sha256(encodeCheckpoint(fold(rest, start.state), position)), whole, `from ${reached}`);
      }
    });
  }
});
