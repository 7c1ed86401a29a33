/**
 * Where each write stands: on the wire, within a bounded window, or in its stream's lane, within bounds too. It decides
 * who is sent next and counts; it knows no network and settles nothing.
 */
import type { Clock } from '../../base/clock.ts';
import { SluiceError } from '../../errors.ts';
import type { Position } from '../../events/record.ts';
import { createLane, type Lane } from './lane.ts';
import { endOf, type PendingWrite, type Place } from './pending-write.ts';

export interface WindowLimits {
  readonly writesInFlightMax: number;
  readonly bytesInFlightMax: number;
  readonly waitingMax: number;
  readonly bytesWaitingMax: number;
}

export interface WriteWindow {
  /** On the wire, or being looked for in the log. */
  readonly inFlight: Tally;
  readonly waiting: Tally;
  /** `head`: where the stream ended, as far as is known; counts when its first write is admitted. */
  laneOf(stream: string, head: Position): Lane<PendingWrite>;
  /** Sends the write when there is room and no other goes before it, else lets it wait; throws `rate-limited`. */
  accept(pending: PendingWrite): void;
  /** Sends what waits, a write of each lane in turn, while there is room. */
  drain(): void;
  find(token: number): PendingWrite | undefined;
  sent(): PendingWrite[];
  /** All that are not settled. */
  all(): PendingWrite[];
  /** Takes a write off the wire and lets it wait for another attempt. */
  putBack(pending: PendingWrite, reason: string): void;
  /** The log is being asked for it. */
  check(pending: PendingWrite): void;
  /** The log is being asked for all that `isDoubtful` says, on the wire or waiting; those are returned. */
  checkAll(isDoubtful: (pending: PendingWrite) => boolean): PendingWrite[];
  /** Takes it out for good; false when it was out already. */
  remove(pending: PendingWrite): boolean;
  /** The stream takes no writes at present. */
  block(lane: Lane<PendingWrite>, pauseMs: number): void;
  unblock(lane: Lane<PendingWrite>): void;
  unblockAll(): void;
  /** Waiting writes whose time is up at `nowMs`; forgets those that were taken out. */
  sweep(nowMs: number): PendingWrite[];
}

export interface Tally {
  writes: number;
  bytes: number;
}

export interface WindowOptions {
  readonly limits: WindowLimits;
  readonly clock: Clock;
  readonly isConnected: () => boolean;
  /** Puts an attempt on the wire; place, token and times are set. */
  readonly transmit: (pending: PendingWrite) => void;
}

export function createWriteWindow({ limits, clock, isConnected, transmit }: WindowOptions): WriteWindow {
  /**
   * By token, modulo their number; twice as many as are ever taken. No Map: one that is written to and deleted from all the time
   * leaves a trail of outgrown tables, which keep alive what they held until the next full garbage collection.
   */
  const slots = new Array<PendingWrite | undefined>(2 * Math.max(1, limits.writesInFlightMax)).fill(undefined);
  const checking = new Set<PendingWrite>();
  const lanes = new Map<string, Lane<PendingWrite>>();
  const inFlight: Tally = { writes: 0, bytes: 0 };
  const waiting: Tally = { writes: 0, bytes: 0 };
  let nextToken = 1;
  /** No waiting write ends before this moment. */
  let nextEndMs = Number.POSITIVE_INFINITY;
  let deadInLanes = 0;

  function move(pending: PendingWrite, place: Place): void {
    count(pending, -1);
    pending.place = place;
    count(pending, 1);
  }

  function count({ place, bytes }: PendingWrite, sign: 1 | -1): void {
    if (place === 'new' || place === 'settled') return;
    const tally = place === 'waiting' ? waiting : inFlight;
    tally.writes += sign;
    tally.bytes += sign * bytes;
  }

  // A single write larger than the window passes alone.
  const hasRoom = (bytes: number): boolean =>
    inFlight.writes === 0 ||
    (inFlight.writes < limits.writesInFlightMax && inFlight.bytes + bytes <= limits.bytesInFlightMax);

  const takesWrites = (lane: Lane<PendingWrite>): boolean =>
    lane.blockedUntilMs === undefined || (lane.scout === undefined && clock.monotonic() >= lane.blockedUntilMs);

  function send(pending: PendingWrite): void {
    move(pending, 'sent');
    pending.attempts += 1;
    pending.sentAtMs = clock.monotonic();
    if (pending.riskedAtMs === undefined) pending.above = pending.lane.head;
    while (slots[nextToken % slots.length] !== undefined) nextToken += 1;
    pending.token = nextToken;
    nextToken += 1;
    slots[pending.token % slots.length] = pending;
    if (pending.lane.blockedUntilMs !== undefined) pending.lane.scout = pending;
    transmit(pending);
  }

  function find(token: number): PendingWrite | undefined {
    const pending = slots[token % slots.length];
    return pending?.token === token ? pending : undefined;
  }

  function sent(): PendingWrite[] {
    // Asked ten times a second, also by who never writes.
    if (inFlight.writes === checking.size) return [];
    return slots.filter((pending) => pending !== undefined).sort((a, b) => a.token - b.token);
  }

  function takeOff(pending: PendingWrite): void {
    if (find(pending.token) === pending) slots[pending.token % slots.length] = undefined;
    checking.delete(pending);
    if (pending.lane.scout === pending) pending.lane.scout = undefined;
  }

  function letWait(pending: PendingWrite): void {
    pending.moveOut();
    move(pending, 'waiting');
    nextEndMs = Math.min(nextEndMs, endOf(pending));
  }

  function check(pending: PendingWrite): void {
    takeOff(pending);
    move(pending, 'checking');
    checking.add(pending);
  }

  const waitingWrites = (): PendingWrite[] => [...lanes.values()].flatMap((lane) => lane.toArray());

  function unblock(lane: Lane<PendingWrite>): void {
    lane.blockedUntilMs = undefined;
    lane.scout = undefined;
  }

  return {
    inFlight,
    waiting,
    laneOf(stream, head) {
      let lane = lanes.get(stream);
      if (lane === undefined) {
        lane = createLane(stream, head, (pending) => pending.place === 'waiting');
        lanes.set(stream, lane);
      }
      return lane;
    },
    accept(pending) {
      const { lane, bytes } = pending;
      if (isConnected() && hasRoom(bytes) && takesWrites(lane) && lane.peek() === undefined) {
        send(pending);
        return;
      }
      if (
        waiting.writes >= limits.waitingMax ||
        (waiting.writes > 0 && waiting.bytes + bytes > limits.bytesWaitingMax)
      ) {
        throw new SluiceError(
          'rate-limited',
          `${waiting.writes} writes (${waiting.bytes} bytes) wait for the log already`,
        );
      }
      letWait(pending);
      lane.push(pending);
    },
    drain() {
      if (waiting.writes === 0 || !isConnected()) return;
      for (const lane of lanes.values()) {
        const next = lane.peek();
        if (next === undefined || !takesWrites(lane)) continue;
        if (!hasRoom(next.bytes)) return;
        lane.shift();
        // To the end of the map: this loop comes to it again, after the others.
        lanes.delete(lane.name);
        lanes.set(lane.name, lane);
        send(next);
      }
    },
    find,
    sent,
    all: () => [...sent(), ...checking, ...waitingWrites()],
    putBack(pending, reason) {
      takeOff(pending);
      pending.reason = reason;
      letWait(pending);
      pending.lane.putBack(pending);
    },
    check,
    checkAll(isDoubtful) {
      const doubtful = [...sent(), ...waitingWrites()].filter(isDoubtful);
      for (const pending of doubtful) check(pending);
      // Invariant: no write is twice in its lane, and those may come back to it.
      if (doubtful.length > 0) for (const lane of lanes.values()) lane.compact();
      return doubtful;
    },
    remove(pending) {
      if (pending.place === 'settled') return false;
      if (pending.place === 'waiting') deadInLanes += 1;
      takeOff(pending);
      move(pending, 'settled');
      return true;
    },
    block(lane, pauseMs) {
      lane.blockedUntilMs = clock.monotonic() + pauseMs;
    },
    unblock,
    unblockAll() {
      for (const lane of lanes.values()) unblock(lane);
    },
    sweep(nowMs) {
      if (deadInLanes > 0) for (const lane of lanes.values()) lane.compact();
      deadInLanes = 0;
      if (nowMs < nextEndMs) return [];
      nextEndMs = Number.POSITIVE_INFINITY;
      return waitingWrites().filter((pending) => {
        const endMs = endOf(pending);
        if (nowMs < endMs) nextEndMs = Math.min(nextEndMs, endMs);
        return nowMs >= endMs;
      });
    },
  };
}
