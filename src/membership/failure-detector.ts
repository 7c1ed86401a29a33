/**
 * Failure detection: from members, pulses and time to who is suspect and whose `left` must be published.
 *
 * The log says who is a member; pulses only say who was heard. Silence has two explanations, a dead member or a deaf
 * observer, and a deaf observer (paused, disconnected, replaying) must never evict the others. So the time during which
 * the observer could not hear counts for nobody, and after it every member gets a whole eviction time anew.
 */
import type { ControlEvent } from '../events/control.ts';
import type { Member } from '../state/members.ts';
import type { EventOf } from '../state/reducer.ts';
import { rankOf } from './rank.ts';

export interface FailureDetectorOptions {
  /** Node or controller id of this process. It never evicts itself. */
  readonly observer: string;
  readonly suspectAfterMs: number;
  readonly evictAfterMs: number;
  /** The planned time between two calls of `assess`. */
  readonly tickMs: number;
  /** A tick that comes later than planned by more than this means that the observer itself was paused. */
  readonly pauseMs: number;
  /** How long each further observer waits for those before it. */
  readonly rankDelayMs: number;
}

/** `suspect`: silent for the suspect time, to be avoided. `overdue`: silent for the eviction time, to be ended. */
export type Standing = 'alive' | 'suspect' | 'overdue';

type Left = EventOf<ControlEvent, 'member.left'>;

export interface Assessment {
  /** By node id, of each live member. */
  readonly standings: ReadonlyMap<string, Standing>;
  /** Events to be published now with `expected: 0`; each comes again after an eviction time if the log lacks it still. */
  readonly left: readonly Left[];
}

export interface View {
  readonly members: Iterable<Member>;
  /** False while this process is disconnected from NATS, or has not caught up with the control log. */
  readonly isListening: boolean;
  /** Monotonic time. */
  readonly nowMs: number;
}

/** What is known of one incarnation's pulses; all times monotonic. */
interface Sighting {
  /** When it was last heard, or first known of; moved on by the time in which nobody could be heard. */
  heardMs: number;
  isHeard: boolean;
  /** When its `left` was last asked for. */
  askedMs: number;
}

type Known = ReadonlyMap<Member, Sighting>;

/** Incarnations that pulse without being members (their `joined` is on its way), at most. */
const strangersMax = 4_096;
const never = Number.NEGATIVE_INFINITY;

export class FailureDetector {
  readonly #options: FailureDetectorOptions;
  /** By `<node>.<incarnation>`: a pulse counts for its own incarnation only. */
  readonly #sightings = new Map<string, Sighting>();
  #memberCount = 0;
  #assessedMs: number | undefined;
  /** For the purpose of eviction nobody's silence began before this time. */
  #graceFromMs = never;

  constructor(options: FailureDetectorOptions) {
    this.#options = options;
  }

  /** A pulse arrived. The observer's own pulses, come back through the network, prove that it can hear. */
  heard(node: string, incarnation: string, nowMs: number): void {
    const life = `${node}.${incarnation}`;
    if (!this.#sightings.has(life) && this.#sightings.size >= this.#memberCount + strangersMax) return;
    this.#sightings.set(life, { heardMs: nowMs, isHeard: true, askedMs: never });
  }

  /** Judges all members; to be called every `tickMs`. */
  assess({ members, isListening, nowMs }: View): Assessment {
    this.#discountDeafness(nowMs, isListening);
    const known = this.#matchMembers(members, nowMs);
    for (const [member, sighting] of known) {
      // Who does not hear its own pulse any more does not hear the others' either.
      const isOwn = member.node === this.#options.observer && sighting.isHeard;
      if (isOwn && nowMs - sighting.heardMs >= this.#options.suspectAfterMs) this.#graceFromMs = nowMs;
    }
    const standings = new Map<string, Standing>();
    for (const [member, sighting] of known) standings.set(member.node, this.#standingOf(member, sighting, nowMs));
    return { standings, left: this.#decideLeft(known, standings, nowMs) };
  }

  /** Takes the time in which the observer could not hear out of everybody's silence. */
  #discountDeafness(nowMs: number, isListening: boolean): void {
    const { tickMs, pauseMs } = this.#options;
    const sinceMs = nowMs - (this.#assessedMs ?? nowMs);
    this.#assessedMs = nowMs;
    if (isListening && sinceMs - tickMs <= pauseMs) return;
    this.#graceFromMs = nowMs;
    const deafMs = isListening ? sinceMs - tickMs : sinceMs;
    for (const sighting of this.#sightings.values()) sighting.heardMs = Math.min(nowMs, sighting.heardMs + deafMs);
  }

  /** The sightings of the live members, from now on if new; forgets strangers that have fallen silent. */
  #matchMembers(members: Iterable<Member>, nowMs: number): Known {
    const known = new Map<Member, Sighting>();
    const lives = new Set<string>();
    for (const member of members) {
      if (member.status !== 'alive') continue;
      const life = `${member.node}.${member.incarnation}`;
      const sighting = this.#sightings.get(life) ?? { heardMs: nowMs, isHeard: false, askedMs: never };
      this.#sightings.set(life, sighting);
      known.set(member, sighting);
      lives.add(life);
    }
    for (const [life, { heardMs }] of this.#sightings) {
      if (!lives.has(life) && nowMs - heardMs >= this.#options.evictAfterMs) this.#sightings.delete(life);
    }
    this.#memberCount = known.size;
    return known;
  }

  /** Silence that counts towards eviction. */
  #silentMs(sighting: Sighting, nowMs: number): number {
    return nowMs - Math.max(sighting.heardMs, this.#graceFromMs);
  }

  #standingOf(member: Member, sighting: Sighting, nowMs: number): Standing {
    const { observer, suspectAfterMs, evictAfterMs } = this.#options;
    if (member.node === observer) return 'alive';
    if (this.#silentMs(sighting, nowMs) >= evictAfterMs) return 'overdue';
    return nowMs - sighting.heardMs >= suspectAfterMs ? 'suspect' : 'alive';
  }

  #decideLeft(known: Known, standings: ReadonlyMap<string, Standing>, nowMs: number): Left[] {
    const { observer, evictAfterMs, rankDelayMs } = this.#options;
    const observers = [...standings].flatMap(([node, standing]) => (standing === 'alive' ? [node] : []));
    const left: Left[] = [];
    for (const [{ node, incarnation }, sighting] of known) {
      if (standings.get(node) !== 'overdue' || nowMs - sighting.askedMs < evictAfterMs) continue;
      const rank = rankOf(observer, observers, `${node}.${incarnation}`);
      if (this.#silentMs(sighting, nowMs) < evictAfterMs + rank * rankDelayMs) continue;
      sighting.askedMs = nowMs;
      left.push({ type: 'member.left', node, incarnation, reason: 'timeout', by: observer });
    }
    return left;
  }
}

/** Validated by the configuration: suspectAfterMs < evictAfterMs, tickMs well below both. */
export const createFailureDetector = (options: FailureDetectorOptions): FailureDetector => new FailureDetector(options);
