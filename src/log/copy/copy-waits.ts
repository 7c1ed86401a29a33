/**
 * Callers that wait for a copy: to be ready, to reach a position, to be as new as the log, or young enough. Each wait
 * ends: by its condition, its time-out, its signal, the end of the copy, or the end of the history that it refers to.
 */
import type { Clock } from '../../base/clock.ts';
import { createWaiters, type Waiters, type WaitOptions } from '../../base/waiters.ts';
import { SluiceError } from '../../errors.ts';
import type { Position } from '../../events/record.ts';
import type { Age } from './freshness.ts';
import type { Probe } from './probe.ts';

export interface CopyWaits {
  ready(wait?: WaitOptions): Promise<void>;
  reached(position: Position, wait?: WaitOptions): Promise<void>;
  latest(wait?: WaitOptions): Promise<Position>;
  fresh(maxMs: number, wait?: WaitOptions): Promise<void>;
  /** The copy moved on; true for `isReady` when it has become ready. */
  advance(applied: Position, isReady: boolean): void;
  /** The copy was shown to be as new as the log was at `atMs` (monotonic). */
  prove(atMs: number): void;
  /** The log began a new life: positions of the old one will never be reached. */
  restart(reason: string): void;
  close(): void;
}

export interface CopyState {
  readonly applied: Position;
  /** The newest position that the log has acknowledged to this process. */
  readonly acknowledged: Position;
  readonly isReady: boolean;
}

export interface CopyWaitsOptions {
  readonly log: string;
  readonly clock: Clock;
  readonly freshness: Age;
  readonly probe: Probe;
  readonly state: () => CopyState;
}

export function createCopyWaits({ log, clock, freshness, probe, state }: CopyWaitsOptions): CopyWaits {
  const positions = createWaiters(clock);
  const readiness = createWaiters(clock);
  /** One for each caller that waits for a proof. */
  const proofs = new Set<Waiters>();
  let isClosed = false;

  const closed = (): SluiceError => new SluiceError('closed', `${log}: the follower was stopped`);
  const finite = (ms: number): number => Math.round(Math.min(ms, Number.MAX_SAFE_INTEGER));
  const stale = (what: string, position: Position | null): SluiceError =>
    new SluiceError('stale', `${log}: applied ${state().applied}, ${what}`, {
      details: { log, applied: state().applied, position, lagMs: finite(freshness.lagMs()) },
    });

  function checkOpen(): void {
    if (isClosed) throw closed();
  }

  async function reached(position: Position, wait: WaitOptions = {}): Promise<void> {
    checkOpen();
    if (state().applied >= position) return;
    await positions.wait(position, wait, () => stale(`position ${position} was not reached in time`, position));
  }

  async function latest(wait: WaitOptions = {}): Promise<Position> {
    checkOpen();
    const calledAtMs = clock.monotonic();
    const gate = createWaiters(clock);
    let head = 0;
    probe.after(calledAtMs).then(
      ({ last }) => {
        // A leader that was deposed, or has just begun, may not know of it.
        head = Math.max(last, state().acknowledged);
        gate.advance(1);
      },
      (error: unknown) => gate.fail(isClosed ? closed() : error),
    );
    await gate.wait(1, wait, () => stale('the log did not say in time where it stands', null));
    const leftMs = wait.waitMs === undefined ? undefined : Math.max(0, wait.waitMs - (clock.monotonic() - calledAtMs));
    await reached(head, { ...wait, waitMs: leftMs });
    return head;
  }

  return {
    reached,
    latest,
    async ready(wait = {}) {
      checkOpen();
      if (state().isReady) return;
      await readiness.wait(
        1,
        wait,
        () => new SluiceError('not-ready', `${log}: still replaying, ${state().applied} applied`),
      );
    },
    async fresh(maxMs, wait = {}) {
      checkOpen();
      if (freshness.lagMs() <= maxMs) return;
      const calledAtMs = clock.monotonic();
      const gate = createWaiters(clock);
      const tooOld = (cause?: unknown): SluiceError => {
        const lagMs = finite(freshness.lagMs());
        return new SluiceError('stale', `${log}: the copy may be ${lagMs} ms old, at most ${maxMs} ms are allowed`, {
          cause,
          details: { log, applied: state().applied, lagMs, maxStalenessMs: maxMs },
        });
      };
      proofs.add(gate);
      // What the log answers becomes a proof when the copy has got there, and its history has been compared.
      probe.after(calledAtMs).catch((error: unknown) => gate.fail(isClosed ? closed() : tooOld(error)));
      try {
        await gate.wait(calledAtMs - maxMs, wait, () => tooOld());
      } finally {
        proofs.delete(gate);
      }
    },
    advance(applied, isReady) {
      positions.advance(applied);
      if (isReady) readiness.advance(1);
    },
    prove(atMs) {
      for (const gate of proofs) gate.advance(atMs);
    },
    restart(reason) {
      positions.fail(stale(`positions known so far are void: ${reason}`, null));
    },
    close() {
      isClosed = true;
      positions.fail(closed());
      readiness.fail(closed());
      for (const gate of proofs) gate.fail(closed());
    },
  };
}
