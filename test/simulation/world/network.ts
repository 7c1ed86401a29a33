/**
 * The network between processes and server: each process has one path. It delays, and it can be cut in either direction, as
 * TCP shows it: what is on its way waits until the cut is healed, and is lost when either end gives the connection up.
 */
import type { SeededRandom } from '../../../src/testing/seeded-random.ts';
import type { VirtualTime } from './virtual-time.ts';

export type Direction = 'out' | 'in' | 'both';

/** One TCP connection. */
export interface Wire {
  isOpen: boolean;
  /** What was on its way when it broke still arrives at the server. */
  deliversRest: boolean;
  /** Nothing overtakes. */
  lastOutMs: number;
  lastInMs: number;
}

export interface Path {
  readonly name: string;
  /** No connection can be made now. */
  readonly isBlocked: boolean;
  /** Carries the work towards the server (`out`) or the process (`in`), after all that was given before. */
  carry(wire: Wire, direction: 'out' | 'in', work: () => void): void;
  /** Called when the connection must be given up: both ends have noticed. `isServerGone`: nothing that is on its way arrives any more. */
  onBreak: ((reason: string, isServerGone: boolean) => void) | undefined;
  /** Counts the starts of the server. */
  readonly serverLife: number;
  latencyMs(): number;
}

export interface Network {
  path(name: string): Path;
  /** Nothing passes until healed. The ends notice after `noticeMs` and give the connection up. */
  cut(name: string, direction: Direction, noticeMs: number): void;
  heal(name: string): void;
  /** The connection breaks now, and can be made again at once. */
  reset(name: string): void;
  /** Every message takes up to so much longer. */
  slow(name: string, extraMs: number): void;
  /** The server is down: no connection holds. */
  setServerDown(isDown: boolean): void;
  /** When the path was last cut, slow, or without a server: until then nobody could rely on it. */
  troubledUntilMs(name: string): number;
}

interface PathState extends Path {
  isOutCut: boolean;
  isInCut: boolean;
  extraMs: number;
  readonly held: { wire: Wire; direction: 'out' | 'in'; work: () => void }[];
  cutCount: number;
  troubledMs: number;
}

const latencyMaxMs = 2;

export function createNetwork(time: VirtualTime, random: SeededRandom): Network {
  const paths = new Map<string, PathState>();
  let isServerDown = false;
  let serverLife = 1;

  const isTroubled = (path: PathState): boolean => path.isOutCut || path.isInCut || path.extraMs > 0 || isServerDown;

  /** To be called before and after each change. */
  function note(path: PathState): void {
    if (isTroubled(path)) path.troubledMs = time.nowMs;
  }

  function pathOf(name: string): PathState {
    const known = paths.get(name);
    if (known !== undefined) return known;
    const path: PathState = {
      name,
      isOutCut: false,
      isInCut: false,
      extraMs: 0,
      held: [],
      cutCount: 0,
      troubledMs: Number.NEGATIVE_INFINITY,
      onBreak: undefined,
      get isBlocked() {
        return path.isOutCut || path.isInCut || isServerDown;
      },
      get serverLife() {
        return serverLife;
      },
      latencyMs: () => 0.05 + random.fraction() * (latencyMaxMs + path.extraMs),
      carry(wire, direction, work) {
        if (direction === 'out' ? path.isOutCut : path.isInCut) {
          path.held.push({ wire, direction, work });
          return;
        }
        const last = direction === 'out' ? wire.lastOutMs : wire.lastInMs;
        const atMs = Math.max(last, time.nowMs + path.latencyMs());
        if (direction === 'out') wire.lastOutMs = atMs;
        else wire.lastInMs = atMs;
        time.at(atMs, () => {
          if (wire.isOpen || (direction === 'out' && wire.deliversRest)) work();
        });
      },
    };
    paths.set(name, path);
    return path;
  }

  function breakPath(path: PathState, reason: string): void {
    path.held.length = 0;
    path.onBreak?.(reason, isServerDown);
  }

  return {
    path: pathOf,
    cut(name, direction, noticeMs) {
      const path = pathOf(name);
      path.isOutCut ||= direction !== 'in';
      path.isInCut ||= direction !== 'out';
      path.cutCount += 1;
      const { cutCount } = path;
      note(path);
      time.after(noticeMs, () => {
        if (path.cutCount === cutCount && path.isBlocked) breakPath(path, 'stale connection');
      });
    },
    heal(name) {
      const path = pathOf(name);
      note(path);
      path.isOutCut = false;
      path.isInCut = false;
      path.extraMs = 0;
      path.cutCount += 1;
      for (const { wire, direction, work } of path.held.splice(0)) path.carry(wire, direction, work);
    },
    reset(name) {
      const path = pathOf(name);
      path.troubledMs = time.nowMs;
      breakPath(path, 'connection reset');
    },
    slow(name, extraMs) {
      const path = pathOf(name);
      path.extraMs = extraMs;
      note(path);
    },
    setServerDown(isDown) {
      for (const path of paths.values()) note(path);
      isServerDown = isDown;
      if (isDown) serverLife += 1;
      for (const path of paths.values()) {
        note(path);
        if (isDown) breakPath(path, 'the server went away');
      }
    },
    troubledUntilMs(name) {
      const path = pathOf(name);
      note(path);
      return path.troubledMs;
    },
  };
}
