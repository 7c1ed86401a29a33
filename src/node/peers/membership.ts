/**
 * This node's place in the cluster: joins with an incarnation, pulses, hears the others, and publishes `left` for those
 * that fell silent. A node that reads its own `left` joins again as a new incarnation.
 */
import { type Clock, every, type Timer } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import type { Session } from '../../cluster/session.ts';
import { isSluiceError } from '../../errors.ts';
import { encodeControlEvent, type LeaveReason, type WritableControlEvent } from '../../events/control.ts';
import type { Position } from '../../events/record.ts';
import { createFailureDetector, type Standing } from '../../membership/failure-detector.ts';
import {
  decodePulse,
  encodePulse,
  isRefused,
  mergeReady,
  type Pulse,
  type PulseState,
} from '../../membership/pulse.ts';
import type { Messenger } from '../../nats/messenger.ts';

export interface MembershipOptions {
  readonly session: Session;
  readonly messenger: Messenger;
  readonly node: string;
  readonly region: string | undefined;
  readonly version: string;
  readonly pid: number;
  readonly pulseMs: number;
  readonly suspectAfterMs: number;
  readonly evictAfterMs: number;
  /** What the pulse says of this node's copies. */
  readonly report: () => { readonly ready: Readonly<Record<string, string>>; readonly lagMs: number | undefined };
  /** Called on each tick, after standings were judged. */
  readonly onTick: () => void;
  /** The node's id was taken over by another process; this one must stop. */
  readonly onReplaced: (reason: string) => void;
}

export interface Heard {
  readonly pulse: Pulse;
  readonly heardAtMs: number;
}

export interface Membership {
  readonly incarnation: string;
  readonly epoch: Position;
  state: PulseState;
  /** The address that others are told; set before `join`. */
  http: string | undefined;
  join(): Promise<void>;
  /** Publishes `left` for this incarnation; pulses go on until `stop`. */
  leave(reason: LeaveReason): Promise<void>;
  evict(node: string, by: string): Promise<boolean>;
  standing(node: string): Standing | undefined;
  /** The newest pulse of each node that was heard, whatever its age. */
  readonly heard: ReadonlyMap<string, Heard>;
  /** Pulses that could not be read. */
  readonly unreadablePulses: number;
  /** Nodes whose pulse is younger than the suspect time, this one excepted. */
  audible(): Pulse[];
  stop(): void;
}

const heardMax = 4_096;

export function createMembership(options: MembershipOptions): Membership {
  const { session, messenger, node } = options;
  const { clock, random, cluster, onNotice } = session.options as {
    clock: Clock;
    random: Random;
    cluster: string;
  } & Session['options'];
  const { control } = session;
  const detector = createFailureDetector({
    observer: node,
    suspectAfterMs: options.suspectAfterMs,
    evictAfterMs: options.evictAfterMs,
    tickMs: options.pulseMs,
    pauseMs: options.suspectAfterMs / 2,
    rankDelayMs: options.pulseMs,
  });
  const heard = new Map<string, Heard>();
  let standings: ReadonlyMap<string, Standing> = new Map();
  let incarnation = random.hex(8);
  let sequence = 0;
  let isMember = false;
  /** Earlier incarnations of this node: a log that tells of them again is no sign of another process. */
  const pastLives = new Set<string>();
  let lostSinceMs: number | undefined;
  let joining: Promise<void> | undefined;
  let unreadablePulses = 0;
  let ticker: Timer | undefined;

  const stopHearing = messenger.onPulse(hear);
  const stopListening = control.listen(checkOwnPlace);

  /** What the log says of this node. Only a caught-up copy is asked: a replay tells of earlier lives first. */
  function checkOwnPlace(): void {
    if (!isMember || membership.state === 'leaving' || !control.follower.isReady) return;
    const member = control.state.members.members.get(node);
    if (member?.incarnation === incarnation) {
      lostSinceMs = undefined;
      if (member.status === 'left') rejoin(`has left (${member.leftReason}, by ${member.leftBy})`);
    } else if (member !== undefined && !pastLives.has(member.incarnation)) {
      replaced(member.incarnation);
    } else {
      // The control log was restored to a time before this life, or is being filled again.
      lostSinceMs ??= clock.monotonic();
      if (clock.monotonic() - lostSinceMs > options.evictAfterMs) rejoin('is no member');
    }
  }

  /** Another process joined under this node's id. Joining again would start a war of incarnations: the newer one stays. */
  function replaced(other: string): void {
    isMember = false;
    options.onReplaced(
      `another process joined as ${node} (incarnation ${other}); give each node its own node.id and data folder`,
    );
  }

  function hear(body: Uint8Array): void {
    const pulse = decodePulse(body);
    if (isRefused(pulse)) {
      unreadablePulses += 1;
      return;
    }
    const nowMs = clock.monotonic();
    detector.heard(pulse.node, pulse.incarnation, nowMs);
    const known = heard.get(pulse.node);
    if (known === undefined && heard.size >= heardMax) forgetStrangers();
    if (known === undefined && heard.size >= heardMax) return;
    // Two processes with one id would take turns; the log knows which of them is the member.
    if (pulse.node === node && pulse.incarnation !== incarnation) return;
    heard.set(pulse.node, { pulse: mergeReady(known?.pulse, pulse), heardAtMs: nowMs });
  }

  /** Whoever may pulse under any name must not be able to keep members from being heard. */
  function forgetStrangers(): void {
    const { members } = control.state.members;
    for (const name of heard.keys()) if (members.get(name)?.status !== 'alive') heard.delete(name);
  }

  function pulse(): void {
    if (!isMember) return;
    sequence += 1;
    const { ready, lagMs } = options.report();
    messenger.pulse(
      node,
      encodePulse({
        node,
        incarnation,
        sequence,
        epoch: membership.epoch,
        ...(membership.http === undefined ? {} : { http: membership.http }),
        ...(options.region === undefined ? {} : { region: options.region }),
        ready,
        ...(lagMs === undefined ? {} : { lagMs }),
        appliedControl: control.follower.applied,
        state: membership.state,
      }),
    );
  }

  function tick(): void {
    checkOwnPlace();
    pulse();
    const assessment = detector.assess({
      members: control.state.members.members.values(),
      isListening: session.link.isConnected && control.follower.isReady,
      nowMs: clock.monotonic(),
    });
    standings = assessment.standings;
    for (const left of assessment.left) {
      onNotice('warn', `${left.node} fell silent; publishing its departure`, {
        node: left.node,
        incarnation: left.incarnation,
      });
      publish(left).catch((error: unknown) =>
        onNotice('warn', `could not publish the departure of ${left.node}: ${String(error)}`),
      );
    }
    options.onTick();
  }

  /** Appends a member event once per incarnation; false when the log had it already. */
  async function publish(event: WritableControlEvent): Promise<boolean> {
    try {
      const { position } = await control.log.append(encodeControlEvent(cluster, event), { expected: 0 });
      await control.follower.reached(position, { waitMs: 5_000 });
      return true;
    } catch (error) {
      if (isSluiceError(error, 'position-conflict')) return false;
      throw error;
    }
  }

  async function joinAs(life: string): Promise<void> {
    for (const ended of control.state.members.ended.keys()) {
      if (ended.startsWith(`${node}.`)) pastLives.add(ended.slice(node.length + 1));
    }
    const last = control.state.members.members.get(node);
    if (last !== undefined) pastLives.add(last.incarnation);
    pastLives.add(incarnation);
    pastLives.delete(life);
    lostSinceMs = undefined;
    incarnation = life;
    sequence = 0;
    await publish({
      type: 'member.joined',
      node,
      incarnation: life,
      ...(membership.http === undefined ? {} : { http: membership.http }),
      ...(options.region === undefined ? {} : { region: options.region }),
      version: options.version,
      pid: options.pid,
    });
    isMember = true;
    onNotice('info', `joined as ${node}, incarnation ${life}, epoch ${membership.epoch}`);
    pulse();
  }

  function rejoin(why: string): void {
    onNotice('warn', `the log says that this node ${why}; joining again`);
    isMember = false;
    joining = joinAs(random.hex(8)).catch((error: unknown) => {
      onNotice('warn', `could not join again: ${String(error)}`);
      clock.timer(1_000, () => membership.state !== 'leaving' && rejoin(why));
    });
  }

  const membership: Membership = {
    state: 'starting',
    http: undefined,
    heard,
    get unreadablePulses() {
      return unreadablePulses;
    },
    get incarnation() {
      return incarnation;
    },
    get epoch() {
      return control.state.members.epoch;
    },
    async join() {
      await joinAs(incarnation);
      ticker = every(clock, options.pulseMs, tick);
    },
    async leave(reason) {
      membership.state = 'leaving';
      await joining;
      pulse();
      if (isMember) await publish({ type: 'member.left', node, incarnation, reason, by: node });
    },
    async evict(target, by) {
      const member = control.state.members.members.get(target);
      if (member === undefined || member.status === 'left') return false;
      await publish({ type: 'member.left', node: target, incarnation: member.incarnation, reason: 'operator', by });
      return true;
    },
    standing: (target) => standings.get(target),
    audible() {
      const sinceMs = clock.monotonic() - options.suspectAfterMs;
      return [...heard.values()]
        .filter((one) => one.heardAtMs >= sinceMs && one.pulse.node !== node)
        .map((one) => one.pulse);
    },
    stop() {
      ticker?.cancel();
      stopHearing();
      stopListening();
    },
  };
  return membership;
}
