/**
 * Measures placement: shares of nodes, and what one join or leave moves. The rows are those of docs/placement.md; the
 * tests compare both and look at the numbers.
 */
import { createHash } from 'node:crypto';
import { hashText, mix32 } from '../../src/placement/hash.ts';
import { loadLimit, type Placement, placePartitions } from '../../src/placement/placement.ts';

export interface Shares {
  readonly nodes: number;
  readonly replicas: number;
  readonly mean: number;
  readonly limit: number;
  readonly least: number;
  readonly most: number;
  readonly primariesMost: number;
  /** The most that plain rendezvous hashing gives to a node. */
  readonly unlimitedMost: number;
}

export interface Change {
  /** Slots of the node that left or joined. */
  readonly needed: number;
  /** Slots that moved from one node to another, both members before and after. */
  readonly betweenSurvivors: number;
}

export function namedNodes(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `node-${index + 1}`);
}

/** Names without any pattern, the same in every run. They do not come from the hash that is measured. */
export function randomNodes(set: number, count: number): string[] {
  return Array.from({ length: count }, (_, index) =>
    createHash('sha256').update(`${set}/${index}`).digest('hex').slice(0, 12),
  );
}

/** How many slots (or first places) each member has. */
export function countLoads(placement: Placement, members: readonly string[], firstOnly = false): Map<string, number> {
  const loads = new Map(members.map((node) => [node, 0]));
  for (const owners of placement) {
    for (const node of firstOnly ? owners.slice(0, 1) : owners) loads.set(node, (loads.get(node) ?? 0) + 1);
  }
  return loads;
}

export function measureShares(members: readonly string[], partitionCount: number, replicas: number): Shares {
  const placement = placePartitions({ members, partitionCount, replicas });
  const loads = [...countLoads(placement, members).values()];
  const slots = partitionCount * Math.min(replicas, members.length);
  const plain = plainRendezvous(members, partitionCount, replicas);
  return {
    nodes: members.length,
    replicas,
    mean: slots / members.length,
    limit: loadLimit(slots, members.length),
    least: Math.min(...loads),
    most: Math.max(...loads),
    primariesMost: Math.max(...countLoads(placement, members, true).values()),
    unlimitedMost: Math.max(...countLoads(plain, members).values()),
  };
}

/** What happens between a larger set of members and the same without `node`. The way back moves as much. */
export function measureChange(larger: Placement, smaller: Placement, node: string): Change {
  let needed = 0;
  let gained = 0;
  larger.forEach((owners, partition) => {
    if (owners.includes(node)) needed += 1;
    gained += (smaller[partition] ?? []).filter((owner) => !owners.includes(owner)).length;
  });
  // Of the slots that others gain when the node leaves, those of the node are needed; with few members some just vanish.
  const replaced = larger.reduce(
    (sum, owners, partition) =>
      sum + (owners.includes(node) && (smaller[partition] ?? []).length === owners.length ? 1 : 0),
    0,
  );
  return { needed, betweenSurvivors: gained - replaced };
}

/** Each of `leaving` leaves and each of `joining` joins, one at a time. */
export function measureChanges(
  members: readonly string[],
  partitionCount: number,
  replicas: number,
  changes: { readonly leaving: readonly string[]; readonly joining: readonly string[] },
): Change[] {
  const place = (nodes: readonly string[]): Placement => placePartitions({ members: nodes, partitionCount, replicas });
  const now = place(members);
  const leaves = changes.leaving.map((node) =>
    measureChange(now, place(members.filter((other) => other !== node)), node),
  );
  const joins = changes.joining.map((node) => measureChange(place([...members, node]), now, node));
  return [...leaves, ...joins];
}

/** The textbook form, for comparison: the nodes with the highest hash of (node, partition). */
function plainRendezvous(members: readonly string[], partitionCount: number, replicas: number): Placement {
  const seeds = members.map((node) => ({ node, seed: mix32(hashText(node)) }));
  return Array.from({ length: partitionCount }, (_, partition) =>
    seeds
      .map(({ node, seed }) => ({ node, score: mix32(seed ^ mix32(partition + 1)) }))
      .sort((a, b) => b.score - a.score)
      .slice(0, replicas)
      .map(({ node }) => node),
  );
}

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
