/** Failure detection: silence makes suspect, then overdue; a deaf observer evicts nobody; one observer speaks first. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  createFailureDetector,
  type FailureDetector,
  type Standing,
} from '../../../src/membership/failure-detector.ts';
import { rankMax, rankOf } from '../../../src/membership/rank.ts';
import type { Member } from '../../../src/state/members.ts';

const options = {
  observer: 'me',
  suspectAfterMs: 1_000,
  evictAfterMs: 3_000,
  tickMs: 250,
  pauseMs: 500,
  rankDelayMs: 150,
};
const member = (node: string, incarnation = '1'): Member => ({
  node,
  incarnation,
  status: 'alive',
  version: '1',
  joinedAt: 1,
  atMs: 0,
});

/** An observer that ticks every 250 ms, and nodes that pulse at each of its ticks. */
class Watch {
  readonly detector: FailureDetector;
  members: Member[];
  /** Lives that pulse, as `<node>.<incarnation>`. */
  pulsing: Set<string>;
  isListening = true;
  nowMs = 1_000_000;
  standings: ReadonlyMap<string, Standing> = new Map();
  readonly left: { readonly life: string; readonly atMs: number }[] = [];

  constructor(nodes: readonly string[], observer = 'me') {
    this.detector = createFailureDetector({ ...options, observer });
    this.members = nodes.map((node) => member(node));
    this.pulsing = new Set(nodes.map((node) => `${node}.1`));
    this.tick();
  }

  pulse(): void {
    for (const life of this.pulsing) {
      const [node = '', incarnation = ''] = life.split('.');
      this.detector.heard(node, incarnation, this.nowMs);
    }
  }

  tick(): void {
    const { members, isListening, nowMs } = this;
    const { standings, left } = this.detector.assess({ members, isListening, nowMs });
    this.standings = standings;
    for (const { node, incarnation, reason, by } of left) {
      assert.deepEqual([reason, by], ['timeout', 'me']);
      this.left.push({ life: `${node}.${incarnation}`, atMs: nowMs });
    }
  }

  /** Lets time pass; pulses are heard just before each tick. */
  run(durationMs: number): void {
    for (const endMs = this.nowMs + durationMs; this.nowMs < endMs; ) {
      this.nowMs += options.tickMs;
      if (this.isListening) this.pulse();
      this.tick();
    }
  }

  /** The process stands still: no pulse is read and no tick comes. */
  freeze(durationMs: number): void {
    this.nowMs += durationMs;
  }

  get lives(): string[] {
    return this.left.map(({ life }) => life);
  }
}

describe('a member that pulses', () => {
  it('is alive, and never left', () => {
    const watch = new Watch(['me', 'a', 'b']);
    watch.run(60_000);
    assert.deepEqual(
      [...watch.standings],
      [
        ['me', 'alive'],
        ['a', 'alive'],
        ['b', 'alive'],
      ],
    );
    assert.deepEqual(watch.lives, []);
  });

  it('is suspect after a second of silence, overdue after three, and alive with the next pulse', () => {
    const watch = new Watch(['me', 'a']);
    watch.run(1_000);
    watch.pulsing.delete('a.1');
    watch.run(750);
    assert.equal(watch.standings.get('a'), 'alive');
    watch.run(250);
    assert.equal(watch.standings.get('a'), 'suspect');
    watch.run(1_750);
    assert.equal(watch.standings.get('a'), 'suspect');
    assert.deepEqual(watch.lives, []);
    watch.run(250);
    assert.equal(watch.standings.get('a'), 'overdue');
    watch.pulsing.add('a.1');
    watch.run(250);
    assert.equal(watch.standings.get('a'), 'alive');
  });
});

describe('a member that is silent', () => {
  it('gets its left published once, and again only if the log lacks it still', () => {
    const watch = new Watch(['me', 'a']);
    watch.pulsing.delete('a.1');
    watch.run(3_500);
    assert.deepEqual(watch.lives, ['a.1']);
    watch.run(2_250);
    assert.deepEqual(watch.lives, ['a.1']);
    watch.run(1_000);
    assert.deepEqual(watch.lives, ['a.1', 'a.1']);
    watch.members = [member('me')];
    watch.run(60_000);
    assert.deepEqual(watch.lives, ['a.1', 'a.1']);
    assert.equal(watch.standings.has('a'), false);
  });

  it('counts from when it was learned of, when it was never heard', () => {
    const watch = new Watch(['me']);
    watch.run(10_000);
    watch.members.push(member('a'));
    watch.run(1_000);
    assert.equal(watch.standings.get('a'), 'alive');
    watch.run(2_000);
    assert.equal(watch.standings.get('a'), 'suspect');
    assert.deepEqual(watch.lives, []);
    watch.run(1_000);
    assert.deepEqual(watch.lives, ['a.1']);
  });

  it('is not kept alive by pulses of another incarnation, nor ended for their silence', () => {
    const watch = new Watch(['me', 'a']);
    watch.pulsing.add('a.0');
    watch.run(1_000);
    watch.pulsing.delete('a.1');
    watch.run(4_000);
    assert.deepEqual(watch.lives, ['a.1']);
    watch.members = [member('me'), member('a', '2')];
    watch.pulsing = new Set(['me.1', 'a.2']);
    watch.run(10_000);
    assert.deepEqual(watch.lives, ['a.1']);
    assert.equal(watch.standings.get('a'), 'alive');
  });

  it('is known from its pulses before its joined has arrived', () => {
    const watch = new Watch(['me']);
    watch.pulsing.add('a.1');
    watch.run(1_000);
    watch.pulsing.delete('a.1');
    watch.run(500);
    watch.members.push(member('a'));
    watch.run(500);
    assert.equal(watch.standings.get('a'), 'suspect');
  });

  it('is not counted when it has left already', () => {
    const watch = new Watch(['me']);
    watch.members.push({ ...member('a'), status: 'left' });
    watch.run(10_000);
    assert.deepEqual(watch.lives, []);
    assert.equal(watch.standings.has('a'), false);
  });
});

describe('an observer that cannot hear', () => {
  it('publishes no left after it stood still for a minute, though nobody was heard', () => {
    // A controller is no member, so it has no pulse of its own to miss.
    for (const nodes of [
      ['me', 'a', 'b'],
      ['a', 'b'],
    ]) {
      const watch = new Watch(nodes);
      watch.run(5_000);
      watch.freeze(60_000);
      watch.tick();
      assert.deepEqual(watch.lives, []);
      watch.run(10_000);
      assert.deepEqual(watch.lives, []);
      assert.equal(watch.standings.get('a'), 'alive');
    }
  });

  it('gives every member a whole eviction time after a pause, and keeps suspecting who was suspect', () => {
    const watch = new Watch(['me', 'a', 'b']);
    watch.run(1_000);
    watch.pulsing.delete('a.1');
    watch.run(2_500);
    watch.freeze(60_000);
    watch.tick();
    assert.equal(watch.standings.get('a'), 'suspect');
    assert.equal(watch.standings.get('b'), 'alive');
    const resumedMs = watch.nowMs;
    watch.run(2_750);
    assert.deepEqual(watch.lives, []);
    watch.run(1_000);
    assert.deepEqual(watch.lives, ['a.1']);
    assert.ok((watch.left[0]?.atMs ?? 0) >= resumedMs + options.evictAfterMs);
  });

  it('takes a tick that is a little late for nothing', () => {
    const watch = new Watch(['me', 'a']);
    watch.pulsing.delete('a.1');
    for (let round = 0; round < 8; round += 1) {
      watch.freeze(450);
      watch.run(250);
    }
    assert.deepEqual(watch.lives, ['a.1']);
  });

  it('evicts nobody while it is disconnected, and starts anew when it is back', () => {
    const watch = new Watch(['me', 'a', 'b']);
    watch.run(1_000);
    watch.isListening = false;
    watch.run(30_000);
    assert.equal(watch.standings.get('a'), 'alive');
    watch.isListening = true;
    watch.pulsing.delete('b.1');
    watch.run(2_750);
    assert.deepEqual(watch.lives, []);
    watch.run(1_000);
    assert.deepEqual(watch.lives, ['b.1']);
    assert.equal(watch.standings.get('a'), 'alive');
  });

  it('evicts nobody when it does not even hear itself', () => {
    const watch = new Watch(['me', 'a', 'b']);
    watch.run(1_000);
    watch.pulsing.clear();
    watch.run(30_000);
    assert.deepEqual(watch.lives, []);
    watch.pulsing = new Set(['me.1', 'a.1']);
    watch.run(4_000);
    assert.deepEqual(watch.lives, ['b.1']);
  });

  it('judges by others alone when its own pulses never come back to it', () => {
    const watch = new Watch(['me', 'a', 'b']);
    watch.pulsing = new Set(['b.1']);
    watch.run(4_000);
    assert.deepEqual(watch.lives, ['a.1']);
  });

  it('never evicts itself', () => {
    const watch = new Watch(['me']);
    watch.pulsing.clear();
    watch.run(60_000);
    assert.equal(watch.standings.get('me'), 'alive');
    assert.deepEqual(watch.lives, []);
  });

  it('publishes no left of a node that pulses, whatever pauses it has itself', () => {
    const pause = fc.record({
      runMs: fc.integer({ min: 1, max: 4_000 }),
      freezeMs: fc.integer({ min: 0, max: 60_000 }),
    });
    fc.assert(
      fc.property(fc.array(pause, { maxLength: 20 }), fc.boolean(), fc.boolean(), (pauses, isTickFirst, isMember) => {
        const watch = new Watch(isMember ? ['me', 'a', 'b'] : ['a', 'b']);
        for (const { runMs, freezeMs } of pauses) {
          watch.run(runMs);
          watch.freeze(freezeMs);
          if (isTickFirst) watch.tick();
        }
        assert.deepEqual(watch.lives, []);
      }),
    );
  });
});

describe('several observers', () => {
  const nodes = ['me', 'a', 'b', 'c', 'd', 'e', 'f', 'g'];

  it('have different ranks for a life, from 0, the same in every process', () => {
    for (const subject of ['x.1', 'x.2', 'y.1']) {
      const ranks = nodes.map((node) => rankOf(node, [...nodes].reverse(), subject));
      assert.deepEqual([...ranks].sort(), [0, 1, 2, 3, 4, 5, 6, 7]);
    }
  });

  it('take turns: no node is first for everybody', () => {
    const firsts = new Map<string, number>();
    for (let index = 0; index < 800; index += 1) {
      const first = nodes.find((node) => rankOf(node, nodes, `n${index}.1`) === 0) ?? '';
      firsts.set(first, (firsts.get(first) ?? 0) + 1);
    }
    for (const node of nodes) assert.ok((firsts.get(node) ?? 0) > 50, `${node}: ${firsts.get(node)}`);
  });

  it('count themselves in, also when they are no member, and wait for a limited number of others', () => {
    const others = Array.from({ length: 500 }, (_, index) => `n${index}`);
    const ranks = Array.from({ length: 200 }, (_, index) => rankOf('controller', others, `x${index}.1`));
    assert.equal(Math.max(...ranks), rankMax);
    assert.equal(rankOf('controller', [], 'x.1'), 0);
    assert.equal(rankOf('controller', ['controller'], 'x.1'), 0);
  });

  it('speak one after the other: each waits its rank', () => {
    const watch = new Watch(nodes);
    for (const node of ['b', 'c']) watch.pulsing.delete(`${node}.1`);
    const silentFromMs = watch.nowMs;
    watch.run(6_000);
    const observers = nodes.filter((node) => node !== 'b' && node !== 'c');
    for (const { life, atMs } of watch.left.slice(0, 2)) {
      const dueMs = silentFromMs + options.evictAfterMs + rankOf('me', observers, life) * options.rankDelayMs;
      assert.ok(atMs >= dueMs && atMs < dueMs + options.tickMs, `${life} at ${atMs}, due ${dueMs}`);
    }
    assert.deepEqual(watch.lives.slice(0, 2).sort(), ['b.1', 'c.1']);
  });
});

describe('the memory of the detector', () => {
  it('has a limit of strangers whose pulses are remembered, beyond which new members are still heard', () => {
    const watch = new Watch(['me']);
    for (let index = 0; index < 5_000; index += 1) watch.detector.heard(`x${index}`, '1', watch.nowMs);
    watch.detector.heard('late', '1', watch.nowMs);
    watch.run(750);
    watch.members.push(member('x0'), member('late'));
    watch.run(250);
    assert.equal(watch.standings.get('x0'), 'suspect', 'heard a second ago');
    assert.equal(watch.standings.get('late'), 'alive', 'not heard, only learned of now');
    watch.pulsing.add('late.1');
    watch.run(10_000);
    assert.equal(watch.standings.get('late'), 'alive');
    assert.equal(watch.lives.includes('late.1'), false);
  });

  it('takes pulses and members in any order without a throw, and judges each live member once', () => {
    const step = fc.record({
      pulses: fc.array(fc.tuple(fc.constantFrom('me', 'a', 'b'), fc.constantFrom('1', '2')), { maxLength: 4 }),
      nodes: fc.uniqueArray(fc.constantFrom('me', 'a', 'b', 'c'), { maxLength: 4 }),
      elapsedMs: fc.nat({ max: 5_000 }),
      isListening: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const detector = createFailureDetector(options);
        let nowMs = 0;
        for (const { pulses, nodes, elapsedMs, isListening } of steps) {
          nowMs += elapsedMs;
          for (const [node, incarnation] of pulses) detector.heard(node, incarnation, nowMs);
          const members = nodes.map((node) => member(node));
          const { standings, left } = detector.assess({ members, isListening, nowMs });
          assert.deepEqual([...standings.keys()], nodes);
          for (const { node } of left) assert.ok(standings.get(node) === 'overdue' && isListening && node !== 'me');
        }
      }),
      { numRuns: 500 },
    );
  });
});
