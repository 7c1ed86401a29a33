import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isSluiceError } from '../../../src/errors.ts';
import { createCommandFrame } from '../../../src/nats/wire/ready-command.ts';
import { markRisk, PendingWrite, partsOf } from '../../../src/nats/writing/pending-write.ts';
import { createWriteWindow, type WindowLimits, type WriteWindow } from '../../../src/nats/writing/window.ts';
import { createFakeClock, type FakeClock } from '../../../src/testing/fake-clock.ts';

interface Scene {
  readonly clock: FakeClock;
  readonly window: WriteWindow;
  readonly wire: PendingWrite[];
  readonly write: (stream?: string, bodyBytes?: number, deadlineMs?: number) => PendingWrite;
  isConnected: boolean;
}

const frame = createCommandFrame('inbox.');
const generous: WindowLimits = { writesInFlightMax: 100, bytesInFlightMax: 1e6, waitingMax: 1e6, bytesWaitingMax: 1e9 };

function begin(limits: Partial<WindowLimits> = {}): Scene {
  const clock = createFakeClock();
  const wire: PendingWrite[] = [];
  let serial = 0;
  const scene: Scene = {
    clock,
    wire,
    isConnected: true,
    window: createWriteWindow({
      limits: { ...generous, ...limits },
      clock,
      isConnected: () => scene.isConnected,
      transmit: (pending) => void wire.push(pending),
    }),
    write(stream = 's', bodyBytes = 1, deadlineMs = 10_000) {
      serial += 1;
      const pending = new PendingWrite(
        {
          frame,
          serial,
          expected: undefined,
          isNamed: false,
          target: {
            stream,
            duplicateWindowMs: 30_000,
            findStored: async () => undefined,
            head: 0,
            forgetsIds: true,
            isReplicated: false,
            survey: () => Promise.reject(new Error('not asked here')),
          },
          lane: scene.window.laneOf(stream, 0),
          startedAtMs: clock.monotonic(),
          deadlineMs,
          resolve: () => undefined,
          reject: () => undefined,
        },
        partsOf({ subject: stream, fields: '', data: new Uint8Array(bodyBytes) }, `id${serial}`, undefined),
        { memory: Buffer.alloc(bodyBytes + 256), filled: 0 },
      );
      scene.window.accept(pending);
      return pending;
    },
  };
  return scene;
}

const serials = (pendings: readonly PendingWrite[]): number[] => pendings.map(({ serial }) => serial);

describe('the window of writes', () => {
  it('sends at once while there is room, then in order as places become free', () => {
    const { window, wire, write } = begin({ writesInFlightMax: 2 });
    const [first] = [write(), write(), write(), write()];
    assert.deepEqual(serials(wire), [1, 2]);
    assert.deepEqual([window.inFlight.writes, window.waiting.writes], [2, 2]);
    assert.ok(first !== undefined && window.remove(first));
    window.drain();
    assert.deepEqual(serials(wire), [1, 2, 3]);
    assert.equal(window.remove(first), false, 'out is out');
    assert.equal(window.find(wire[2]?.token ?? 0), wire[2]);
    assert.equal(window.find(wire[0]?.token ?? 0), undefined);
  });

  it('sends nothing while disconnected', () => {
    const scene = begin();
    scene.isConnected = false;
    scene.write();
    scene.window.drain();
    assert.deepEqual(serials(scene.wire), []);
    scene.isConnected = true;
    scene.window.drain();
    assert.deepEqual(serials(scene.wire), [1]);
  });

  it('refuses what it has no room to keep', () => {
    const { write, window } = begin({ writesInFlightMax: 1, waitingMax: 2 });
    write();
    write();
    write();
    assert.throws(
      () => write(),
      (error) => isSluiceError(error, 'rate-limited'),
    );
    assert.equal(window.waiting.writes, 2);
    const bytes = begin({ writesInFlightMax: 1, bytesWaitingMax: 1_000 });
    bytes.write();
    bytes.write('s', 5_000);
    assert.throws(
      () => bytes.write('s', 10),
      (error) => isSluiceError(error, 'rate-limited'),
    );
  });

  it('lets a write that is larger than the window pass alone', () => {
    const { wire, write, window } = begin({ bytesInFlightMax: 1_000 });
    const small = write('s', 10);
    write('s', 5_000);
    write('s', 10);
    assert.deepEqual(serials(wire), [1]);
    window.remove(small);
    window.drain();
    assert.deepEqual(serials(wire), [1, 2]);
  });

  it('puts what came back before what was never sent, in the order of admission', () => {
    const { wire, write, window } = begin({ writesInFlightMax: 3 });
    const [one, two, three] = [write(), write(), write(), write(), write()];
    assert.ok(one !== undefined && two !== undefined && three !== undefined);
    for (const pending of [three, one, two]) window.putBack(pending, 'lost');
    wire.length = 0;
    window.drain();
    assert.deepEqual(serials(wire), [1, 2, 3]);
    assert.deepEqual(
      wire.map(({ attempts }) => attempts),
      [2, 2, 2],
    );
  });

  it('sends one write at a time to a stream that takes none, and all of them once it does', async () => {
    const { clock, wire, write, window } = begin();
    const first = write('gone');
    const second = write('gone');
    write('fine');
    for (const pending of [first, second]) {
      window.block(pending.lane, 200);
      window.putBack(pending, 'nobody');
    }
    write('gone');
    write('fine');
    window.drain();
    assert.deepEqual(serials(wire), [1, 2, 3, 5]);
    await clock.advance(200);
    window.drain();
    window.drain();
    assert.deepEqual(serials(wire).slice(4), [1], 'a scout');
    window.block(first.lane, 200);
    window.putBack(first, 'nobody');
    await clock.advance(199);
    window.drain();
    assert.equal(wire.length, 5);
    await clock.advance(1);
    window.drain();
    assert.deepEqual(serials(wire).slice(5), [1]);
    window.unblock(first.lane);
    window.drain();
    assert.deepEqual(serials(wire).slice(6), [2, 4]);
  });

  it('serves the streams in turn', () => {
    const { wire, write, window } = begin({ writesInFlightMax: 1 });
    const blocker = write('a');
    for (let each = 0; each < 3; each += 1) write('a');
    for (let each = 0; each < 3; each += 1) write('b');
    window.remove(blocker);
    for (let each = 0; each < 6; each += 1) {
      window.drain();
      const last = wire.at(-1);
      if (last !== undefined) window.remove(last);
    }
    assert.deepEqual(
      wire.slice(1).map(({ subject }) => subject),
      ['a', 'b', 'a', 'b', 'a', 'b'],
    );
  });

  it('finds the writes whose time is up, and those whose id the stream may forget', async () => {
    const { clock, write, window } = begin({ writesInFlightMax: 1 });
    const sent = write('s', 1, 60_000);
    write('s', 1, 500);
    write('s', 1, 40_000);
    assert.deepEqual(serials(window.sweep(clock.monotonic())), []);
    await clock.advance(500);
    const [over, ...others] = window.sweep(clock.monotonic());
    assert.ok(over !== undefined);
    assert.deepEqual([over.serial, others.length], [2, 0]);
    window.remove(over);
    markRisk(sent);
    window.putBack(sent, 'no acknowledgement');
    await clock.advance(29_499);
    assert.deepEqual(serials(window.sweep(clock.monotonic())), []);
    await clock.advance(1);
    assert.deepEqual(serials(window.sweep(clock.monotonic())), [1], 'long before its deadline');
  });

  it('counts right and keeps its limits, whatever happens', () => {
    const step = fc.record({
      kind: fc.constantFrom('write', 'ack', 'back', 'abort', 'block', 'check', 'drain', 'sweep'),
      pick: fc.nat(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const { clock, write, window } = begin({ writesInFlightMax: 4, bytesInFlightMax: 2_000 });
        const all: PendingWrite[] = [];
        for (const { kind, pick } of steps) {
          const sent = window.sent();
          const one = sent[pick % Math.max(1, sent.length)];
          if (kind === 'write') all.push(write(`s${pick % 3}`, pick % 700));
          if (kind === 'drain') window.drain();
          if (kind === 'sweep') window.sweep(clock.monotonic());
          if (kind === 'abort' && all.length > 0) window.remove(all[pick % all.length] ?? write());
          if (one === undefined) continue;
          if (kind === 'ack') window.remove(one);
          if (kind === 'check') window.check(one);
          if (kind === 'back') window.putBack(one, 'lost');
          if (kind === 'block') window.block(one.lane, 100);
        }
        const places = (place: string): PendingWrite[] => all.filter((pending) => pending.place === place);
        const inFlight = [...places('sent'), ...places('checking')];
        const sum = (pendings: readonly PendingWrite[]): number =>
          pendings.reduce((total, { bytes }) => total + bytes, 0);
        assert.deepEqual(window.inFlight, { writes: inFlight.length, bytes: sum(inFlight) });
        assert.deepEqual(window.waiting, { writes: places('waiting').length, bytes: sum(places('waiting')) });
        assert.ok(window.inFlight.writes <= 4 && (window.inFlight.bytes <= 2_000 || window.inFlight.writes === 1));
        assert.deepEqual(new Set(window.all()), new Set([...inFlight, ...places('waiting')]));
        for (const pending of window.sent()) assert.equal(window.find(pending.token), pending);
      }),
      { numRuns: 300 },
    );
  });
});
