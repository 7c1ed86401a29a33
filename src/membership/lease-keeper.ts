/**
 * One process's side of a lease: remembers what it sent and saw, and by that whether it holds the lease now.
 *
 * Invariant: `isHolding` is true in at most one process at a time. Three rules make it so. A renewal counts from before
 * it was sent. It extends only a lease that has not run out meanwhile, for otherwise somebody may have looked in between
 * and found nobody. And others wait a whole duration from their receipt, with a proof that they missed no renewal.
 */
import { decideLease, decideRelease, type LeaseDecision, type LeasesState } from '../state/leases.ts';

export interface LeaseKeeperOptions {
  readonly role: string;
  /** Names this life of the process: a restarted process is another holder. */
  readonly holder: string;
  readonly durationMs: number;
}

/** An append on its way; sent again with the same expectation it is the same one, of which the log takes one at most. */
interface Sent {
  readonly epoch: number;
  readonly expected: number;
  readonly atMs: number;
}

const never = Number.NEGATIVE_INFINITY;

export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  #sent: Sent | undefined;
  /** Position of the last change that was seen. */
  #renewedAt = 0;
  #seenMs = never;
  #held = { epoch: 0, sentMs: never, untilMs: never };
  #isReleased = false;

  constructor(options: LeaseKeeperOptions) {
    this.#options = options;
  }

  /** To be called whenever control events were applied; the other methods call it too. */
  observe(state: LeasesState, nowMs: number): void {
    const lease = state.leases.get(this.#options.role);
    if (lease === undefined || lease.renewedAt === this.#renewedAt) return;
    this.#renewedAt = lease.renewedAt;
    this.#seenMs = nowMs;
    const sent = this.#sent;
    // What asks for a higher epoch is still on its way; everything else was answered by this change.
    if (sent !== undefined && sent.epoch <= lease.epoch) this.#sent = undefined;
    const isOwn = lease.holder === this.#options.holder && sent?.epoch === lease.epoch;
    const isCreation = lease.createdAt === lease.renewedAt;
    const isContinued = this.#held.epoch === lease.epoch && nowMs < this.#held.untilMs;
    const sentMs = isOwn && (isCreation || isContinued) ? sent.atMs : never;
    this.#held = { epoch: lease.epoch, sentMs, untilMs: sentMs + lease.durationMs };
  }

  /**
   * What to do now. `provenMs`: a time from before the log was asked for its head, where that head has been applied
   * since. The caller appends, and asks again at its next tick, whatever became of the append.
   */
  decide(state: LeasesState, { nowMs, provenMs }: { nowMs: number; provenMs: number }): LeaseDecision {
    this.observe(state, nowMs);
    if (this.#isReleased) return { action: 'wait', untilMs: Number.POSITIVE_INFINITY };
    const { sentMs, untilMs: heldUntilMs } = this.#held;
    const decision = decideLease(state, {
      ...this.#options,
      nowMs,
      provenMs,
      seenMs: this.#seenMs,
      sentMs,
      heldUntilMs,
    });
    if (decision.action !== 'wait') this.#remember(decision.event.epoch, decision.expected, nowMs);
    return decision;
  }

  /** Of several sendings of the same append nobody knows which one arrived: the first one counts. */
  #remember(epoch: number, expected: number, nowMs: number): void {
    const isSame = this.#sent?.epoch === epoch && this.#sent.expected === expected;
    if (!isSame) this.#sent = { epoch, expected, atMs: nowMs };
  }

  /** True while this process may act under the lease. */
  isHolding(state: LeasesState, nowMs: number): boolean {
    this.observe(state, nowMs);
    return !this.#isReleased && nowMs < this.#held.untilMs;
  }

  /** The fencing token of what is done under the lease; meaningful while `isHolding`. */
  get epoch(): number {
    return this.#held.epoch;
  }

  /** Gives the lease up for good: from now on nothing is held; the append lets others take over at once. */
  release(state: LeasesState): ReturnType<typeof decideRelease> {
    const isHeld = this.#held.untilMs !== never;
    this.#isReleased = true;
    return isHeld ? decideRelease(state, this.#options) : [];
  }
}
