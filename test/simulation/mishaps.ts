/** What happens to processes and to streams: each step that is not an operation, done to the world. */
import type { Mishap, Step, Vice } from './script.ts';
import type { World } from './world.ts';

export function applyMishap({ processes, network, time }: World, name: string, mishap: Mishap): void {
  switch (mishap.do) {
    case 'crash':
      return processes.crash(name);
    case 'leave':
      return processes.leave(name);
    case 'restart':
      return processes.start(name, mishap.clockMs);
    case 'pause':
      return processes.pause(name, mishap.forMs);
    case 'jump':
      return processes.all.get(name)?.clock.jump(mishap.clockMs);
    case 'reset':
      return network.reset(name);
    case 'slow':
      network.slow(name, mishap.extraMs);
      time.after(mishap.forMs, () => network.slow(name, 0));
      return;
    case 'cut':
      network.cut(name, mishap.direction, mishap.noticeMs);
      time.after(mishap.forMs, () => network.heal(name));
  }
}

export function applyVice(world: World, partition: number, vice: Vice): void {
  const host = world.stream(partition);
  if (host === undefined) return;
  const { state, faults } = host;
  const { nowMs } = world.time;
  switch (vice.do) {
    case 'lose-acks':
      faults.faultyUntilMs = nowMs + vice.forMs;
      faults.lostAcks = vice.share;
      faults.lostWrites = 0;
      return;
    case 'lose-writes':
      faults.faultyUntilMs = nowMs + vice.forMs;
      faults.lostAcks = 0;
      faults.lostWrites = vice.share;
      return;
    case 'no-leader':
      faults.leaderlessUntilMs = nowMs + vice.forMs;
      return;
    case 'deposed-leader':
      return world.depose(partition, vice.forMs);
    case 'silence':
      return host.silence();
    case 'freeze-replica':
      return host.freezeReplica(vice.replica, nowMs + vice.forMs);
    case 'recreate':
      return host.recreate();
    case 'roll-back':
      return host.rollBack(Math.max(0, state.last - vice.by));
    case 'purge':
      state.remove(({ position }) => position <= state.last - vice.keep, 'purged');
      return;
    case 'drop-oldest': {
      const newest = [...state.messages()]
        .map(({ position }) => position)
        .sort((a, b) => b - a)
        .slice(0, vice.keep);
      const lowest = newest.at(-1) ?? 0;
      state.remove(({ position }) => position < lowest, 'dropped');
    }
  }
}

/** The only server of a cluster ends and comes back: connections, consumers and some ids are gone, what was stored is not. */
export function restartServer({ network, jetStream, time }: World, forMs: number): void {
  for (const host of jetStream.streams.values()) {
    host.faults.leaderlessUntilMs = Math.max(host.faults.leaderlessUntilMs, time.nowMs + forMs);
    for (const name of [...host.consumers.keys()]) host.removeConsumer(name, undefined);
    host.state.restart();
  }
  network.setServerDown(true);
  time.after(forMs, () => network.setServerDown(false));
}

export const isMishap = (step: Step): step is Step & Mishap & { readonly to: string } => 'to' in step;
export const isVice = (step: Step): step is Step & Vice & { readonly partition: number } => 'partition' in step;
