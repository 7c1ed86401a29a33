/** A fault: something that is done to the world, and undone. */
import type { SeededRandom } from '../../../../src/testing/index.ts';
import type { Settled } from '../harness/settle.ts';

export interface FaultContext extends Settled {
  readonly random: SeededRandom;
  /** How long the world stays broken. */
  readonly holdMs: number;
  /** Told of each time that reads of a dead node's keys took to be answered by others. */
  rerouted(tookMs: number): void;
}

/** Faults of different layers can be there at once, and are healed in this order. */
export const layers = ['network', 'log', 'process', 'everything'] as const;
export type Layer = (typeof layers)[number];

export interface Fault {
  readonly name: string;
  readonly layer: Layer;
  /** Why it cannot be done here; undefined: it can. */
  missing(context: FaultContext): string | undefined;
  /** Resolves with a sentence of what was done, and the way to undo it, which resolves when everything runs again. */
  inject(context: FaultContext): Promise<Injected>;
}

export interface Injected {
  readonly what: string;
  heal(): Promise<void>;
}

export const possible = (): undefined => undefined;

/** Where several servers are needed. */
export const onThreeServers = ({ world }: FaultContext): string | undefined =>
  world.servers.all.length === 3 ? undefined : 'there is one server';
