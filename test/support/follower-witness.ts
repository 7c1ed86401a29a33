/**
 * Watches a follower while writes go on, and remembers every lie. The truth it knows: a write that was acknowledged at
 * a moment is in the log from then on, so a copy without it is at least as old as that.
 */
import assert from 'node:assert/strict';
import { systemClock } from '../../src/base/clock.ts';
import type { Position } from '../../src/events/record.ts';
import type { Follower } from '../../src/log/follower.ts';
import type { Log } from '../../src/log/log.ts';

export interface Witness {
  /** Starts to look, about once a millisecond. */
  watch(follower: Follower): void;
  acknowledged(position: Position): void;
  /** Looks at this very moment, too. */
  look(): void;
  /** Fails when the follower ever claimed to be younger than it was. */
  assertHonest(): void;
  close(): void;
}

export function createWitness(): Witness {
  const writes: { position: Position; atMs: number }[] = [];
  const lies: string[] = [];
  let followed: Follower | undefined;
  let timer: NodeJS.Timeout | undefined;
  let looks = 0;

  function look(): void {
    if (followed === undefined) return;
    looks += 1;
    // In this order: a pause of this process between two readings must not look like a lie.
    const now = systemClock.monotonic();
    const { applied } = followed;
    const lagMs = followed.lagMs();
    const missing = writes.find(({ position }) => position > applied);
    while (writes[0] !== undefined && writes[0].position <= applied) writes.shift();
    if (missing === undefined) return;
    const ageMs = now - missing.atMs;
    if (lagMs < ageMs - 0.01)
      lies.push(`applied ${applied}: says ${lagMs} ms, misses ${missing.position} since ${ageMs} ms`);
  }

  return {
    watch(follower) {
      followed = follower;
      timer ??= setInterval(look, 1);
    },
    acknowledged(position) {
      writes.push({ position, atMs: systemClock.monotonic() });
    },
    look,
    close: () => clearInterval(timer),
    assertHonest() {
      look();
      assert.deepEqual(lies.slice(0, 3), []);
      assert.ok(looks > 0);
    },
  };
}

export interface Written {
  readonly position: Position;
  readonly key: string;
  readonly body: string;
}

export interface Writer {
  readonly written: readonly Written[];
  readonly failed: number;
  /** Resolves when the last write has ended. */
  stop(): Promise<readonly Written[]>;
}

export interface WriterOptions {
  readonly log: Log;
  readonly subjectOf: (key: string) => string;
  readonly keys: number;
  /** Pause between two writes. */
  readonly pauseMs: number;
  readonly witness?: Witness | undefined;
  readonly deadlineMs?: number;
}

/** Writes one after the other, every body different, until it is stopped. */
export function startWriter(options: WriterOptions): Writer {
  const { log, subjectOf, keys, pauseMs, witness, deadlineMs = 20_000 } = options;
  const written: Written[] = [];
  let isStopped = false;
  let failed = 0;

  async function run(): Promise<void> {
    for (let index = 0; !isStopped; index += 1) {
      const key = `key${index % keys}`;
      const body = `${key}-${index}`;
      try {
        const write = { subject: subjectOf(key), fields: '', data: new TextEncoder().encode(body) };
        const { position } = await log.append(write, { deadlineMs });
        witness?.acknowledged(position);
        written.push({ position, key, body });
      } catch {
        failed += 1;
      }
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }

  const running = run();
  return {
    written,
    get failed() {
      return failed;
    },
    async stop() {
      isStopped = true;
      await running;
      return written;
    },
  };
}
