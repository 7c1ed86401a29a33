/**
 * Partition → nodes, as a pure function of the set of members: rendezvous hashing with bounded load.
 *
 * It is told as a draft. Each node has a list of all partitions in an order that only its own name decides. In round r
 * every node claims the r-th partition of its list; it gets it if the partition still lacks an owner and the node is
 * below the load limit. So a partition goes to the nodes that rank it highest, and no node exceeds its limit.
 * `docs/placement.md` is the definition for other languages, with the price of the limit in moved partitions.
 */
import assert from 'node:assert/strict';
import { hashText, mix32, scale32 } from './hash.ts';
import { assertPartitionCount } from './partition.ts';

export interface PlacementRequest {
  /** Node ids; their order and duplicates do not matter. */
  readonly members: readonly string[];
  /** 1 to 1,024. */
  readonly partitionCount: number;
  /** Owners per partition, at least 1; more than there are members, or 'all', means every member. */
  readonly replicas: number | 'all';
  /** Spreads different caches differently, so that small ones do not all meet on one node: the cache's name. */
  readonly salt?: string;
}

/** Index = partition; each holds its owners without repetition, the primary first, then in order of preference. */
export type Placement = readonly (readonly string[])[];

/** The n-way state of one draft. `lists[node * partitionCount + round]` is the partition that `node` claims in `round`. */
interface Draft {
  readonly nodes: readonly string[];
  readonly lists: Uint16Array;
  readonly partitionCount: number;
}

const goldenRatio = 0x9e3779b9;

/**
 * The largest number of slots that one of `memberCount` nodes may hold when `slotCount` are shared out: 1.25 × the mean,
 * rounded down; where the mean is so small that even the most equal split exceeds that, the most equal split.
 */
export function loadLimit(slotCount: number, memberCount: number): number {
  return Math.max(Math.ceil(slotCount / memberCount), Math.floor((slotCount * 5) / (memberCount * 4)));
}

/** The owners of each partition. No members: each partition has none. */
export function placePartitions(request: PlacementRequest): Placement {
  const { partitionCount } = request;
  assertPartitionCount(partitionCount);
  assert(
    request.replicas === 'all' || (Number.isInteger(request.replicas) && request.replicas >= 1),
    "replicas must be a positive integer or 'all'",
  );
  const draft = buildDraft(request.members, partitionCount, request.salt ?? '');
  const nodeCount = draft.nodes.length;
  if (nodeCount === 0) return Array.from({ length: partitionCount }, () => []);
  const replicas = request.replicas === 'all' ? nodeCount : Math.min(request.replicas, nodeCount);
  const owners = draftOwners(draft, replicas);
  const primaries = choosePrimaries(draft, owners);
  return owners.map((list, partition) => {
    const primary = primaries[partition] ?? -1;
    return [primary, ...list.filter((node) => node !== primary)].map((node) => draft.nodes[node] ?? '');
  });
}

/** Nodes in the order of their hash, and for each a shuffle of all partitions that is seeded by that hash. */
function buildDraft(members: readonly string[], partitionCount: number, salt: string): Draft {
  const seeded = [...new Set(members)].map((node) => ({
    node,
    seed: mix32(hashText(salt === '' ? node : `${node}\n${salt}`)),
  }));
  seeded.sort((a, b) => a.seed - b.seed || (a.node < b.node ? -1 : 1));
  const lists = new Uint16Array(seeded.length * partitionCount);
  seeded.forEach(({ seed }, index) => {
    shuffle(lists.subarray(index * partitionCount, (index + 1) * partitionCount), seed);
  });
  return { nodes: seeded.map(({ node }) => node), lists, partitionCount };
}

/** Fills `list` with 0, 1, 2 … and shuffles it (Fisher–Yates from the end) with the numbers mix32(seed + i × golden ratio). */
function shuffle(list: Uint16Array, seed: number): void {
  for (let index = 0; index < list.length; index += 1) list[index] = index;
  for (let last = list.length - 1; last > 0; last -= 1) {
    const other = scale32(mix32(seed + Math.imul(last, goldenRatio)), last + 1);
    const taken = list[other] ?? 0;
    list[other] = list[last] ?? 0;
    list[last] = taken;
  }
}

/**
 * Calls `claim(node, partition)` for every pair, round by round, until it answers false. Invariant: the relative order of
 * two nodes in a round depends on their names only, never on who else is a member. It alternates from round to round so
 * that ties favour neither.
 */
function runDraft(draft: Draft, claim: (node: number, partition: number) => boolean): void {
  const { lists, partitionCount } = draft;
  const nodeCount = draft.nodes.length;
  for (let round = 0; round < partitionCount; round += 1) {
    for (let turn = 0; turn < nodeCount; turn += 1) {
      const node = round % 2 === 0 ? turn : nodeCount - 1 - turn;
      if (!claim(node, lists[node * partitionCount + round] ?? 0)) return;
    }
  }
}

function draftOwners(draft: Draft, replicas: number): number[][] {
  const { partitionCount } = draft;
  const owners = Array.from({ length: partitionCount }, (): number[] => []);
  const loads = new Int32Array(draft.nodes.length);
  const limit = loadLimit(partitionCount * replicas, draft.nodes.length);
  let open = partitionCount * replicas;
  runDraft(draft, (node, partition) => {
    const list = owners[partition] ?? [];
    const load = loads[node] ?? 0;
    if (list.length < replicas && load < limit) {
      list.push(node);
      loads[node] = load + 1;
      open -= 1;
    }
    return open > 0;
  });
  if (open > 0) completeOwners(draft, owners, loads, { replicas, limit });
  return owners;
}

/**
 * Gives the remaining slots of a tight draft. A partition can be left short when every node below the limit owns it
 * already. Then a full node `giver` that does not own it takes it, and hands one of its other partitions to a node
 * `taker` below the limit. Invariant: such a hand-over exists, because the giver holds more partitions than the taker.
 */
function completeOwners(
  draft: Draft,
  owners: readonly number[][],
  loads: Int32Array,
  { replicas, limit }: { readonly replicas: number; readonly limit: number },
): void {
  const { lists, nodes, partitionCount } = draft;
  owners.forEach((list) => {
    while (list.length < replicas) {
      const taker = loads.findIndex((load) => load < limit);
      const giver = nodes.findIndex((_, node) => !list.includes(node));
      let handed = false;
      for (let round = partitionCount - 1; round >= 0 && !handed; round -= 1) {
        const other = owners[lists[giver * partitionCount + round] ?? 0] ?? [];
        if (!other.includes(giver) || other.includes(taker)) continue;
        other.splice(other.indexOf(giver), 1, taker);
        handed = true;
      }
      assert(taker >= 0 && giver >= 0 && handed, 'a tight draft can always be completed by one hand-over');
      list.push(giver);
      loads[taker] = (loads[taker] ?? 0) + 1;
    }
  });
}

/**
 * Chooses the first owner of each partition among its owners, by the same draft with the limit for one replica, so that
 * no node leads far more partitions than others. Owners that are all at the limit: the one that leads the fewest.
 */
function choosePrimaries(draft: Draft, owners: readonly (readonly number[])[]): Int32Array {
  const { partitionCount } = draft;
  const primaries = new Int32Array(partitionCount).fill(-1);
  const leads = new Int32Array(draft.nodes.length);
  const limit = loadLimit(partitionCount, draft.nodes.length);
  let open = partitionCount;
  const appoint = (partition: number, node: number): void => {
    primaries[partition] = node;
    leads[node] = (leads[node] ?? 0) + 1;
    open -= 1;
  };
  runDraft(draft, (node, partition) => {
    const isOpen = primaries[partition] === -1 && (leads[node] ?? 0) < limit;
    if (isOpen && (owners[partition] ?? []).includes(node)) appoint(partition, node);
    return open > 0;
  });
  owners.forEach((list, partition) => {
    if (primaries[partition] !== -1) return;
    const fewest = list.reduce((best, node) => ((leads[node] ?? 0) < (leads[best] ?? 0) ? node : best));
    appoint(partition, fewest);
  });
  return primaries;
}
