/**
 * One run: a world is made ready, the script is done to it, everything is healed, and it must come to rest in agreement with
 * its logs. It ends with the first thing that is wrong.
 */
import { partitionOf } from '../../src/placement/partition.ts';
import { findDisagreement, findStanding } from './checks/rest.ts';
import { applyMishap, applyVice, isMishap, isVice, restartServer } from './mishaps.ts';
import { createOperations, type Operations } from './operations.ts';
import { isOperation, type Script, type Step } from './script.ts';
import { keyNames } from './setting.ts';
import { createWorld, type Fault, type World } from './world.ts';

export interface RunResult {
  readonly seed: number;
  readonly fault: Fault | undefined;
  /** Equal digests: the same run, to the byte. */
  readonly digest: string;
  readonly lines: readonly string[];
  readonly events: number;
  readonly virtualMs: number;
}

const auditMs = 200;
const pollMs = 100;
const startLimitMs = 60_000;
const restLimitMs = 60_000;
/** Everything that was dropped or purged is found out by then. */
const floorMs = 5_500;

export async function runScript(script: Script, keepsTrace = false): Promise<RunResult> {
  const world = createWorld(script, keepsTrace);
  const onRejection = (reason: unknown): void =>
    world.report(
      `a promise was rejected and nobody looked: ${reason instanceof Error ? reason.stack : String(reason)}`,
    );
  process.on('unhandledRejection', onRejection);
  try {
    await live(world);
  } finally {
    for (const name of world.processes.all.keys()) world.processes.crash(name);
    process.off('unhandledRejection', onRejection);
  }
  const { fault, trace, time } = world;
  return {
    seed: script.seed,
    fault,
    digest: trace.digest,
    lines: trace.lines,
    events: time.fired,
    virtualMs: time.nowMs,
  };
}

async function live(world: World): Promise<void> {
  const { time, script, processes, copies } = world;
  const { setting, steps } = script;
  const operations = createOperations(world);
  const isOver = (): boolean => world.fault !== undefined;

  const names = [
    ...Array.from({ length: setting.nodes }, (_, index) => `node-${index + 1}`),
    ...Array.from({ length: setting.clients }, (_, index) => `client-${index + 1}`),
  ];
  for (const name of names) processes.start(name, 0);
  await declareCache(world);
  if (!(await restsWithin(world, operations, startLimitMs)) || isOver()) return;

  const startMs = time.nowMs;
  (function audit(): void {
    copies.audit(processes.all.values());
    time.after(auditMs, audit);
  })();
  for (const step of steps) time.at(startMs + step.at, () => apply(world, operations, step));
  await time.runUntil(startMs + (steps.at(-1)?.at ?? 0) + 500, isOver);
  if (isOver()) return;

  heal(world);
  if (!(await restsWithin(world, operations, restLimitMs)) || isOver()) return;
  const isShort = [...world.jetStream.streams.values()].some(({ state }) =>
    world.history.events(state.config.name).some((event) => event.gone !== undefined),
  );
  // A watcher reads the log by itself where its process has no copy, or one that begins anew.
  if (isShort || world.watching.active > 0) await time.runUntil(time.nowMs + floorMs, isOver);
  if (isOver() || !(await restsWithin(world, operations, restLimitMs))) return;
  compareAll(world);
  world.ledger.finish();
  world.watching.finish((event) => world.isInLog(event));
}

function apply(world: World, operations: Operations, step: Step): void {
  if (isOperation(step)) {
    const process = world.processes.all.get(step.by);
    // A user of a paused process waits.
    if (process?.status === 'running' && !process.clock.isPaused) operations.perform(process, step);
    return;
  }
  world.trace.add(JSON.stringify(step));
  if (isMishap(step)) applyMishap(world, step.to, step);
  else if (isVice(step)) applyVice(world, step.partition, step);
  else restartServer(world, step.forMs);
}

/** The first node makes the cache that all work with. */
async function declareCache({ processes, time, report }: World): Promise<void> {
  const isUp = await time.runUntil(startLimitMs, () => processes.all.get('node-1')?.status === 'running');
  if (!isUp) return report('the first node did not start');
  processes.all
    .get('node-1')
    ?.running?.declare?.()
    .catch((error: unknown) => report(`the cache could not be declared: ${String(error)}`));
}

/** Ends all mishaps and vices, and starts what is down. */
function heal({ network, jetStream, processes, time, trace }: World): void {
  trace.add('healed');
  network.setServerDown(false);
  for (const { faults } of jetStream.streams.values()) {
    faults.leaderlessUntilMs = 0;
    faults.faultyUntilMs = 0;
  }
  for (const host of jetStream.streams.values()) {
    host.deposed = undefined;
    for (const replica of [0, 1, 2]) host.freezeReplica(replica, time.nowMs);
  }
  for (const { name, status } of processes.all.values()) {
    network.heal(name);
    processes.resume(name);
    if (status === 'dead') processes.start(name, 0);
  }
}

/** Waits until all copies have all of their logs, and all members are agreed on; reports what is missing else. */
async function restsWithin(world: World, operations: Operations, limitMs: number): Promise<boolean> {
  const untilMs = world.time.nowMs + limitMs;
  let missing: string | undefined;
  do {
    await world.time.runUntil(world.time.nowMs + pollMs, () => world.fault !== undefined);
    if (world.fault !== undefined) return false;
    for (const { name, status } of world.processes.all.values()) if (status === 'dead') world.processes.start(name, 0);
    missing = operations.pending > 0 ? `${operations.pending} operations have not ended` : findDisagreement(world);
    if (missing === undefined) return true;
  } while (world.time.nowMs < untilMs);
  world.report(`does not come to rest within ${limitMs} ms: ${missing}`);
  return false;
}

/** Every copy against the log, key by key. */
function compareAll(world: World): void {
  const { processes, script, report } = world;
  for (const process of processes.all.values()) {
    for (const [partition, view] of process.running?.host()?.views ?? []) {
      for (const key of keyNames(script.setting)) {
        if (partitionOf(key, script.setting.partitions) !== partition) continue;
        const what = findStanding(world, process, view, key);
        if (what !== undefined) report(`${process.name}: ${view.log.name} ${key}: ${what}`);
      }
    }
  }
}
