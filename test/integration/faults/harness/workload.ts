/**
 * Callers that read and write all the time, each one thing after the other, by chance that repeats from the seed (what they do;
 * not when). Some stay at one node or one client, whose own promises are then checked; some roam over the nodes and carry the
 * positions of what they have seen.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { partitionOf } from '../../../../src/placement/partition.ts';
import { createSeededRandom, type SeededRandom } from '../../../../src/testing/index.ts';
import type { FaultCache } from './caches.ts';
import { type Door, isUnsent } from './door.ts';
import { type Histories, shownValue } from './histories.ts';

export interface Workload {
  /** Keys of the round that runs; the keys of old rounds are left alone. */
  beginRound(round: number): void;
  start(): void;
  /** Resolves when nothing is under way. */
  pause(): Promise<void>;
}

export interface Worker {
  readonly name: string;
  readonly cache: FaultCache;
  /** One: it stays there. Several: it roams. */
  readonly doors: readonly Door[];
}

const keysPerRound = 8;
const keyGenerations = 2;
const tags = ['red', 'blue'] as const;
const pauseMaxMs = 100;

/** Every key that any worker ever uses. */
export function keysOf(cache: FaultCache): string[] {
  const plain = Array.from({ length: keyGenerations * keysPerRound }, (_, index) =>
    plainKey(Math.floor(index / keysPerRound), index % keysPerRound),
  );
  return cache.hasTags ? [...plain, ...Array.from({ length: 4 }, (_, index) => `tagged-${index}`)] : plain;
}

const plainKey = (round: number, index: number): string => `k${round % keyGenerations}-${index}`;

export function createWorkload(histories: Histories, workers: readonly Worker[], seed: number): Workload {
  let round = 0;
  let isRunning = false;
  let running: Promise<unknown> = Promise.resolve();
  const steps = workers.map((worker, index) =>
    createStep(histories, worker, createSeededRandom(seed * 1_000 + index), () => round),
  );

  async function loop(step: Step): Promise<void> {
    while (isRunning) {
      await step.run();
      await delay(step.random.below(pauseMaxMs));
    }
  }

  return {
    beginRound(number) {
      round = number;
    },
    start() {
      isRunning = true;
      histories.watchOutages(true);
      running = Promise.all(steps.map(loop));
    },
    async pause() {
      isRunning = false;
      histories.watchOutages(false);
      await running;
    },
  };
}

interface Step {
  readonly random: SeededRandom;
  run(): Promise<void>;
}

function createStep(histories: Histories, worker: Worker, random: SeededRandom, round: () => number): Step {
  const { cache, doors } = worker;
  const isRoaming = doors.length > 1;
  /** By partition: what this caller has seen. */
  const seen = new Map<number, number>();
  let count = 0;

  const freshValue = (): string => `${worker.name}.${(count += 1)}`;
  const isClient = doors[0]?.process.startsWith('client') === true;

  function saw(partition: number, position: number | undefined): void {
    if (position !== undefined) seen.set(partition, Math.max(seen.get(partition) ?? 0, position));
  }

  /** Who asks. A caller that roams has a session of its own if it carries its positions along; else it has none. */
  function actorOf(door: Door, isCarrying: boolean): { process: string; incarnation: string; session?: string } {
    const { process, incarnation } = door;
    if (door.hasAllKeys(cache.name) && !isRoaming) return { process, incarnation };
    count += 1;
    const alone = `${worker.name}.${count}`;
    return { process: alone, incarnation, session: isCarrying ? worker.name : alone };
  }

  async function put(
    door: Door,
    key: string,
    conditions: { ifRevision?: number; ifAbsent?: boolean } = {},
  ): Promise<void> {
    const value = freshValue();
    const isTagged = key.startsWith('tagged');
    const wanted = { ...conditions, ...(isTagged ? { tags: [random.pick(tags)] } : {}) };
    const partition = partitionOf(key, cache.partitions);
    const operation = { type: 'put' as const, ...actorOf(door, true), key, value, partition, ...wanted };
    const done = await histories.run(cache.name, operation, async () => ({
      revision: await door.put(cache.name, key, value, wanted),
    }));
    saw(partition, done?.revision);
  }

  async function read(
    door: Door,
    key: string,
    kind: 'plain' | 'latest' | 'position' | 'fresh',
  ): Promise<number | null | undefined> {
    const partition = partitionOf(key, cache.partitions);
    const minPosition = kind === 'position' ? seen.get(partition) : undefined;
    const demand = {
      consistency: kind === 'latest' ? ('latest' as const) : ('local' as const),
      minPosition,
      maxStalenessMs: kind === 'fresh' ? 2_000 : undefined,
    };
    const actor = actorOf(door, minPosition !== undefined);
    let answeredAt: number | undefined;
    const answer = await histories.run(cache.name, { type: 'read', ...actor, key, partition, ...demand }, async () => {
      const { value, position, ...rest } = await door.read(cache.name, key, demand);
      answeredAt = position;
      // What an answer says of itself (`Sluice-Position`) is a bound like one that was demanded: of this key, not of the whole copy.
      return {
        ...rest,
        value: value === null ? null : shownValue(value),
        minPosition: Math.max(position ?? 0, minPosition ?? 0) || undefined,
      };
    });
    if (kind === 'position') saw(partition, answeredAt);
    return answer === undefined ? undefined : (answer.revision ?? null);
  }

  async function remove(door: Door, key: string): Promise<void> {
    const partition = partitionOf(key, cache.partitions);
    const operation = { type: 'delete' as const, ...actorOf(door, true), key, partition };
    const done = await histories.run(cache.name, operation, async () => ({
      revision: await door.delete(cache.name, key),
    }));
    saw(partition, done?.revision);
  }

  /** Compare-and-set, or creation, by what the log's leader says. */
  async function condition(door: Door, key: string): Promise<void> {
    const revision = await read(door, key, 'latest');
    if (typeof revision === 'number') await put(door, key, { ifRevision: revision });
    else if (revision === null) await put(door, key, { ifAbsent: true });
  }

  async function change(door: Door, kind: 'clear' | 'invalidate'): Promise<void> {
    const tag = random.pick(tags);
    const recorder = histories.of(cache.name);
    const actor = actorOf(door, true);
    histories.counts.operations += cache.partitions;
    const calls = Array.from({ length: cache.partitions }, (_, partition) =>
      recorder.begin(
        kind === 'clear' ? { type: 'clear', ...actor, partition } : { type: 'invalidate', ...actor, tag, partition },
      ),
    );
    try {
      const positions = await (kind === 'clear' ? door.clear(cache.name) : door.invalidate(cache.name, tag));
      for (const [partition, call] of calls.entries()) {
        const revision = positions.get(partition);
        if (revision === undefined) throw new Error(`no position of partition ${partition}`);
        call.ok({ revision });
        saw(partition, revision);
      }
      histories.counts.acknowledgedWrites += cache.partitions;
    } catch (error) {
      histories.note(error);
      // It may have reached some partitions and not others.
      for (const call of calls) {
        if (isUnsent(error)) call.failed();
        else call.unknown();
      }
      histories.counts[isUnsent(error) ? 'failed' : 'unknown'] += cache.partitions;
    }
  }

  async function run(): Promise<void> {
    const door = random.pick(doors);
    const key =
      cache.hasTags && random.below(5) === 0
        ? `tagged-${random.below(4)}`
        : plainKey(round(), random.below(keysPerRound));
    const isPlain = !key.startsWith('tagged');
    const dice = random.below(1_000);
    if (dice < 340) await put(door, key);
    else if (dice < 400) await remove(door, key);
    else if (dice < 460 && cache.hasConditions && isPlain) await condition(door, key);
    else if (dice < 463 && cache.hasClears && !isClient) await change(door, 'clear');
    else if (dice < 468 && cache.hasTags && !isClient) await change(door, 'invalidate');
    else if (dice < 600) await read(door, key, 'latest');
    else if (dice < 720 && !isClient) await read(door, key, 'position');
    else if (dice < 780 && !isClient) await read(door, key, 'fresh');
    else await read(door, key, 'plain');
  }

  return { random, run };
}
