/**
 * Leases: at most one holder per role at a time, folded from `lease.<role>.<epoch>`, and the rules of taking one.
 *
 * The log orders and fences (an epoch is created once, a higher one ends the lower), but it does not measure: each side
 * counts by its own monotonic clock. A holder counts from *before it sent* a renewal, everybody else from when they
 * *received* it, which is later; and nobody takes over from what may be an outdated picture. So the holder has always
 * stopped before another one starts, whatever pauses and lags do; `membership/lease-keeper.ts` keeps the times. A clock
 * that stands still (a suspended machine) breaks that, which is what the epoch as fencing token is for.
 */
import { SluiceError } from '../errors.ts';
import type { ControlEvent, Recorded } from '../events/control.ts';
import type { Position } from '../events/record.ts';
import type { EventOf } from './reducer.ts';

/** Longer than the election of a stream's leader (4 to 9 s), during which nobody can renew. */
export const leaseDurationMinMs = 15_000;
export const leaseRenewMs = 4_000;
/** Roles at most; a lease of a further role is ignored and counted. */
export const rolesMax = 64;

export interface Lease {
  readonly role: string;
  /** The fencing token: rises with each holder, is never used again. */
  readonly epoch: number;
  /** Names one life of a process, so that a restarted process is another holder. */
  readonly holder: string;
  readonly durationMs: number;
  readonly createdAt: Position;
  /** Position of the last renewal, or of the creation: what the next renewal must expect. */
  readonly renewedAt: Position;
  /** Log time of `renewedAt`, ms since 1970 UTC; for people, never for a decision. */
  readonly renewedAtMs: number;
}

export interface IgnoredLeaseEvents {
  /** A renewal by somebody who does not hold that epoch. */
  foreignRenewal: number;
  lowerEpoch: number;
  /** An epoch above its own position: each epoch takes an event, so nobody can have come that far. */
  impossibleEpoch: number;
  beyondLimit: number;
}

export interface LeasesState {
  /** By role: the lease of the highest epoch. */
  readonly leases: Map<string, Lease>;
  readonly ignored: IgnoredLeaseEvents;
}

export function initLeases(): LeasesState {
  return {
    leases: new Map(),
    ignored: { foreignRenewal: 0, lowerEpoch: 0, impossibleEpoch: 0, beyondLimit: 0 },
  };
}

export type LeaseHeld = EventOf<ControlEvent, 'lease.held'>;

export function applyLeases(state: LeasesState, { event, position, atMs }: Recorded<ControlEvent>): void {
  if (event.type !== 'lease.held') return;
  const { role, epoch, holder, durationMs } = event;
  const current = state.leases.get(role);
  const renewal = { durationMs, renewedAt: position, renewedAtMs: atMs };
  if (epoch > position) state.ignored.impossibleEpoch += 1;
  else if (current === undefined && state.leases.size >= rolesMax) state.ignored.beyondLimit += 1;
  else if (current === undefined || epoch > current.epoch) {
    state.leases.set(role, { role, epoch, holder, createdAt: position, ...renewal });
  } else if (epoch < current.epoch) state.ignored.lowerEpoch += 1;
  else if (holder !== current.holder) state.ignored.foreignRenewal += 1;
  else state.leases.set(role, { ...current, ...renewal });
}

export interface LeaseQuestion {
  readonly role: string;
  readonly holder: string;
  /** Wanted duration, at least `leaseDurationMinMs`. */
  readonly durationMs: number;
  /** Monotonic time, like all times here. */
  readonly nowMs: number;
  /** When this process received the last change of the role's lease, or first learned of it. */
  readonly seenMs: number;
  /** A time from before the log was asked for its head, where that head has been applied since. */
  readonly provenMs: number;
  /** When this process last sent an event of the lease that it holds. */
  readonly sentMs: number;
  /** Until when this process holds the lease (see `LeaseKeeper`); in the past when it does not. */
  readonly heldUntilMs: number;
}

export type LeaseDecision =
  /** Append the event with that expectation. */
  | { readonly action: 'take' | 'renew'; readonly event: LeaseHeld; readonly expected: Position }
  /** Nothing to do before that monotonic time, unless the lease changes. */
  | { readonly action: 'wait'; readonly untilMs: number };

/** By how much two monotonic clocks may drift apart during a lease. */
export const leaseDriftMs = 250;
/** How soon to look again for a proof that the picture is current. */
const proofRetryMs = 500;

/** What a candidate does now. Throws `bad-request` when the wanted duration is too short. */
export function decideLease(state: LeasesState, question: LeaseQuestion): LeaseDecision {
  const { role, holder, durationMs, nowMs, seenMs, provenMs, sentMs, heldUntilMs } = question;
  if (!(durationMs >= leaseDurationMinMs)) {
    throw new SluiceError('bad-request', `durationMs: ${durationMs} is below ${leaseDurationMinMs}`, {
      details: { field: 'durationMs', value: durationMs },
    });
  }
  const lease = state.leases.get(role);
  const event: LeaseHeld = { type: 'lease.held', role, epoch: (lease?.epoch ?? 0) + 1, holder, durationMs };
  if (lease?.holder === holder) {
    // A holder that let its own lease run out takes a new epoch like anyone else: what it did since is fenced.
    if (nowMs >= heldUntilMs) return { action: 'take', event, expected: 0 };
    const renewAtMs = sentMs + leaseRenewMs;
    if (nowMs < renewAtMs) return { action: 'wait', untilMs: Math.min(renewAtMs, heldUntilMs) };
    return { action: 'renew', event: { ...event, epoch: lease.epoch }, expected: lease.renewedAt };
  }
  const takeFromMs = lease === undefined ? Number.NEGATIVE_INFINITY : seenMs + lease.durationMs + leaseDriftMs;
  // Whoever was paused or lags may not have seen the renewals: the proof must be younger than the end of the lease.
  if (provenMs > takeFromMs) return { action: 'take', event, expected: 0 };
  return { action: 'wait', untilMs: Math.max(takeFromMs, nowMs + proofRetryMs) };
}

/** How a holder that has stopped acting hands over at once: a renewal of 1 ms. None when it holds nothing. */
export function decideRelease(
  state: LeasesState,
  { role, holder }: { readonly role: string; readonly holder: string },
): { event: LeaseHeld; expected: Position }[] {
  const lease = state.leases.get(role);
  if (lease === undefined || lease.holder !== holder) return [];
  return [
    { event: { type: 'lease.held', role, epoch: lease.epoch, holder, durationMs: 1 }, expected: lease.renewedAt },
  ];
}
