/**
 * The whole of it: a world under load, and rounds in which something breaks, stays broken, is healed, and is looked at. In the end
 * all checkers judge what was recorded.
 */
import { loadavg } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { type CheckName, checkHistory, type Finding, type History } from '../../../../src/testing/index.ts';
import { type Fault, type FaultContext, type Injected, layers } from '../inject/fault.ts';
import { faultCaches } from './caches.ts';
import { openClientDoor, openNodeDoor } from './door.ts';
import { createHistories, type Histories } from './histories.ts';
import { type LogReader, openLogReader } from './log-reader.ts';
import { noteMembers } from './members.ts';
import { measureRecovery, type Recovery, recordStates, type Settled } from './settle.ts';
import { startWatcher, type Watcher } from './watcher.ts';
import { createWorkload, type Worker, type Workload } from './workload.ts';
import { startWorld, type World, type WorldOptions } from './world.ts';

export interface Round extends Recovery {
  readonly round: number;
  readonly faults: readonly string[];
  readonly what: readonly string[];
  readonly rerouteMs: readonly number[];
  /** Processes that wanted to run, on average of a minute: far above the number of cores, times say more of the machine than of Sluice. */
  readonly load: number;
  /** Copies that never came to agree with a log that drops. */
  readonly differences: readonly string[];
  /** How long each part of the round took. */
  readonly tookMs: Readonly<Record<'inject' | 'heal' | 'recover' | 'drain' | 'look', number>>;
}

export interface Stage {
  readonly world: World;
  readonly histories: Histories;
  /** Ways in which the fault cannot be done on this machine or in this world. */
  missing(fault: Fault): string | undefined;
  /** Breaks with all of these at once for so long. */
  play(faults: readonly Fault[], holdMs: number): Promise<Round>;
  /** Ends the workload and judges. */
  judge(): Promise<Verdict>;
  /** Purges the log of a cache that must lose nothing: what the checkers find then. Nothing else can be played afterwards. */
  destroy(cache: string): Promise<readonly CacheFinding[]>;
  /** What was recorded of a cache so far. */
  history(cache: string): History;
  stop(): Promise<void>;
}

export interface CacheFinding extends Finding {
  readonly cache: string;
}

export interface Verdict {
  readonly findings: readonly CacheFinding[];
  readonly told: number;
  readonly records: number;
}

/** Of a log that loses by design what was acknowledged, only this holds. */
const lossyChecks: ReadonlySet<CheckName> = new Set(['convergence']);

export async function openStage(options: Omit<WorldOptions, 'onReset'>): Promise<Stage> {
  const histories = createHistories(faultCaches.map(({ name }) => name));
  const world = await startWorld({
    ...options,
    onReset: (process, incarnation, cache, partition) =>
      histories.of(cache).observe({ type: 'reset', process, incarnation, partition }),
  });
  let log: LogReader;
  try {
    log = await openLogReader(world.servers);
  } catch (error) {
    await world.stop();
    throw error;
  }
  const isHeldWhole = (cache: string): boolean => faultCaches.find(({ name }) => name === cache)?.isFull === true;
  const nodeDoors = world.nodes.map(({ node }) => openNodeDoor(node, isHeldWhole));
  const clientDoors = world.clients.map(({ client }) => openClientDoor(client));
  const workers = faultCaches.flatMap((cache): Worker[] => [
    ...(cache.isFull
      ? nodeDoors.map((door) => ({ name: `${cache.name}-${door.process}`, cache, doors: [door] }))
      : nodeDoors.map((_, index) => ({ name: `${cache.name}-roaming-${index}`, cache, doors: nodeDoors }))),
    ...clientDoors.map((door) => ({ name: `${cache.name}-${door.process}`, cache, doors: [door] })),
  ]);
  const settled: Settled = { world, histories, log, nodeDoors };
  const workload: Workload = createWorkload(histories, workers, options.seed);
  const watchers: Watcher[] = faultCaches
    .filter(({ isLossy }) => !isLossy)
    .map((cache) =>
      startWatcher(
        histories,
        cache,
        world.nodes.map(({ node }) => node),
      ),
    );
  let rounds = 0;
  workload.start();
  await measureRecovery(settled, rounds, performance.now());

  async function play(faults: readonly Fault[], holdMs: number): Promise<Round> {
    rounds += 1;
    workload.beginRound(rounds);
    const rerouteMs: number[] = [];
    const context: FaultContext = {
      ...settled,
      random: world.random,
      holdMs,
      rerouted: (tookMs) => void rerouteMs.push(tookMs),
    };
    const injected: Injected[] = [];
    const ordered = [...faults].sort((one, other) => layers.indexOf(one.layer) - layers.indexOf(other.layer));
    let sinceMs = performance.now();
    const lap = (): number => Math.round(-sinceMs + (sinceMs = performance.now()));
    for (const fault of ordered) injected.push(await fault.inject(context));
    const inject = lap();
    await delay(holdMs);
    lap();
    for (const { heal: undo } of injected) await undo();
    const heal = lap();
    const recovery = await measureRecovery(settled, rounds, performance.now());
    const recover = lap();
    for (const watcher of watchers) watcher.hop();
    await workload.pause();
    const drain = lap();
    const differences = await recordStates(settled, `round ${rounds}`);
    const look = lap();
    workload.start();
    return {
      round: rounds,
      faults: faults.map(({ name }) => name),
      what: injected.map(({ what }) => what),
      rerouteMs,
      load: loadavg()[0] ?? 0,
      tookMs: { inject, heal, recover, drain, look },
      differences,
      ...recovery,
    };
  }

  return {
    world,
    histories,
    missing: (fault) =>
      fault.missing({
        ...settled,
        random: world.random,
        holdMs: 0,
        rerouted: () => undefined,
      }),
    play,
    async judge() {
      await workload.pause();
      await Promise.all(watchers.map((watcher) => watcher.stop()));
      await noteMembers(log, histories);
      return judgeHistories(
        histories,
        watchers.reduce((sum, { told }) => sum + told, 0),
      );
    },
    async destroy(cache) {
      await log.call(`STREAM.PURGE.KV_${cache}`);
      await recordStates(settled, 'after the purge');
      return judgeHistories(histories, 0).findings;
    },
    history: (cache) => histories.of(cache).history(),
    async stop() {
      // What is under way fails when the processes end.
      const paused = workload.pause();
      await log.close();
      await world.stop();
      await Promise.all([paused, ...watchers.map((watcher) => watcher.stop())]);
    },
  };
}

function judgeHistories(histories: Histories, told: number): Verdict {
  let records = 0;
  const findings = faultCaches.flatMap(({ name, isLossy }) => {
    const history = histories.of(name).history();
    records += history.length;
    return checkHistory(history)
      .filter(({ check }) => !isLossy || lossyChecks.has(check))
      .map((finding) => ({ cache: name, ...finding }));
  });
  return { findings, told, records };
}
