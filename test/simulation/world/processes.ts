/** The processes of a world: they start, crash, pause, leave and come back, each life with a clock and chance of its own. */
import type { SeededRandom } from '../../../src/testing/seeded-random.ts';
import { startClient } from '../processes/client.ts';
import { startNode } from '../processes/node.ts';
import type { ProcessTools, Running } from '../processes/process.ts';
import { personalityOf, type Setting } from '../setting.ts';
import type { Broker } from './broker.ts';
import { createSimulatedLink } from './link.ts';
import type { Network } from './network.ts';
import { createProcessClock, type ProcessClock } from './process-clock.ts';
import type { VirtualTime } from './virtual-time.ts';

export interface SimulatedProcess {
  readonly name: string;
  readonly kind: 'node' | 'client';
  /** Counts its starts. */
  life: number;
  clock: ProcessClock;
  running: Running | undefined;
  status: 'starting' | 'running' | 'leaving' | 'dead';
  /** Since when it has been in this status. */
  sinceMs: number;
  /** When it was last paused, or went on. */
  pausedMs: number;
}

export interface Processes {
  readonly all: ReadonlyMap<string, SimulatedProcess>;
  /** A dead or new process begins a life. */
  start(name: string, wallOffsetMs: number): void;
  crash(name: string): void;
  pause(name: string, forMs: number): void;
  resume(name: string): void;
  /** Stops in order, as on SIGTERM. */
  leave(name: string): void;
}

export interface ProcessesOptions {
  readonly setting: Setting;
  readonly time: VirtualTime;
  readonly network: Network;
  readonly broker: Broker;
  readonly randomFor: (name: string) => SeededRandom;
  readonly trace: (line: string) => void;
}

/** A supervisor starts what ended by itself after this time. */
const respawnMs = 1_000;

export function createProcesses(options: ProcessesOptions): Processes {
  const { setting, time, network, broker, trace } = options;
  const all = new Map<string, SimulatedProcess>();

  function enter(process: SimulatedProcess, status: SimulatedProcess['status']): void {
    process.status = status;
    process.sinceMs = time.nowMs;
    trace(`${process.name} ${status}`);
  }

  function begin(process: SimulatedProcess, wallOffsetMs: number): void {
    process.life += 1;
    const life = process.life;
    const random = options.randomFor(`${process.name}/${life}`);
    const clock = createProcessClock(time, wallOffsetMs, 1_000 + random.below(1_000_000));
    process.clock = clock;
    process.running = undefined;
    enter(process, 'starting');
    const tools: ProcessTools = {
      name: process.name,
      clock,
      random,
      setting,
      dial: () =>
        createSimulatedLink({
          name: process.name,
          serverVersion: personalityOf(setting).version,
          path: network.path(process.name),
          broker,
          clock,
          random,
          trace,
        }),
      notice: (text) => trace(`${process.name}: ${text}`),
    };
    const starting = process.kind === 'node' ? startNode(tools) : startClient(tools);
    starting.then(
      (running) => {
        if (process.life !== life || !clock.isAlive) return;
        process.running = running;
        enter(process, 'running');
      },
      (error: unknown) => {
        if (process.life !== life || !clock.isAlive) return;
        trace(`${process.name} could not start: ${String(error)}`);
        end(process);
        time.after(respawnMs, () => process.life === life && process.status === 'dead' && begin(process, wallOffsetMs));
      },
    );
  }

  function end(process: SimulatedProcess): void {
    process.clock.kill();
    network.reset(process.name);
    process.running = undefined;
    enter(process, 'dead');
  }

  const get = (name: string): SimulatedProcess | undefined => all.get(name);

  return {
    all,
    start(name, wallOffsetMs) {
      let process = get(name);
      if (process === undefined) {
        const kind = name.startsWith('node') ? 'node' : 'client';
        const clock = createProcessClock(time, 0, 0);
        process = {
          name,
          kind,
          life: 0,
          clock,
          running: undefined,
          status: 'dead',
          sinceMs: 0,
          pausedMs: Number.NEGATIVE_INFINITY,
        };
        all.set(name, process);
      }
      if (process.status === 'dead') begin(process, wallOffsetMs);
    },
    crash(name) {
      const process = get(name);
      if (process !== undefined && process.status !== 'dead') end(process);
    },
    pause(name, forMs) {
      const process = get(name);
      if (process === undefined || process.status === 'dead' || process.clock.isPaused) return;
      const { clock } = process;
      clock.pause();
      process.pausedMs = time.nowMs;
      trace(`${name} paused`);
      time.after(forMs, () => {
        if (!clock.isPaused || !clock.isAlive) return;
        process.pausedMs = time.nowMs;
        clock.resume();
        trace(`${name} goes on`);
      });
    },
    resume(name) {
      const process = get(name);
      if (process === undefined) return;
      if (process.clock.isPaused) process.pausedMs = time.nowMs;
      process.clock.resume();
    },
    leave(name) {
      const process = get(name);
      const running = process?.running;
      if (process === undefined || running === undefined || process.status !== 'running') return;
      const { life } = process;
      enter(process, 'leaving');
      const over = (): void => {
        if (process.life === life && process.status === 'leaving') end(process);
      };
      running.stop().then(over, (error: unknown) => {
        trace(`${name} could not leave in order: ${String(error)}`);
        over();
      });
    },
  };
}
