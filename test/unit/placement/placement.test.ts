/** Partition → nodes: golden vectors of another implementation, and what must hold for every set of members. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { hashText } from '../../../src/placement/hash.ts';
import { loadLimit, type PlacementRequest, placePartitions } from '../../../src/placement/placement.ts';
import { countLoads, measureChange, namedNodes } from '../../support/placement-tables.ts';
import { fixturesFolder } from '../../support/project.ts';

interface Vectors {
  readonly cases: readonly (Required<PlacementRequest> & {
    readonly case: string;
    readonly owners: readonly (readonly string[])[];
  })[];
  readonly digests: readonly (Omit<Required<PlacementRequest>, 'members'> & {
    readonly memberCount: number;
    readonly digest: number;
  })[];
}

const vectors = JSON.parse(readFileSync(join(fixturesFolder, 'placement-owners.json'), 'utf8')) as Vectors;

const names = fc.uniqueArray(fc.oneof(fc.string({ minLength: 1, maxLength: 12 }), fc.uuid()), {
  minLength: 1,
  maxLength: 12,
});
/** Small and tight on purpose: few slots per node is where room runs out. */
const requests = fc.record({
  members: names,
  partitionCount: fc.oneof(fc.integer({ min: 1, max: 24 }), fc.integer({ min: 1, max: 300 })),
  replicas: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.constant('all' as const)),
  salt: fc.oneof(fc.constant(''), fc.string()),
});

const replicasOf = ({ members, replicas }: PlacementRequest): number =>
  replicas === 'all' ? members.length : Math.min(replicas, members.length);

describe('the owners of partitions', () => {
  it('equal the golden vectors of another implementation', () => {
    for (const { case: title, owners, ...request } of vectors.cases) {
      assert.deepEqual(placePartitions(request), owners, title);
    }
  });

  it('equal the digests of large placements of another implementation', () => {
    for (const { memberCount, digest, ...request } of vectors.digests) {
      const owners = placePartitions({ members: namedNodes(memberCount), ...request });
      const text = owners.map((list) => list.join(',')).join('\n');
      assert.equal(hashText(text), digest, `${memberCount} members, ${JSON.stringify(request)}`);
    }
  });

  it('depend on the set of members, not on their order or on repetition', () => {
    fc.assert(
      fc.property(requests, fc.infiniteStream(fc.nat()), (request, numbers) => {
        const shuffled = [...request.members]
          .map((node) => ({ node, rank: numbers.next().value ?? 0 }))
          .sort((a, b) => a.rank - b.rank)
          .map(({ node }) => node);
        const members = [...shuffled, ...shuffled.slice(0, 3)];
        assert.deepEqual(placePartitions({ ...request, members }), placePartitions(request));
      }),
    );
  });

  it('are distinct members, as many as replicas are wanted and members there are', () => {
    fc.assert(
      fc.property(requests, (request) => {
        const placement = placePartitions(request);
        assert.equal(placement.length, request.partitionCount);
        for (const owners of placement) {
          assert.equal(owners.length, replicasOf(request));
          assert.equal(new Set(owners).size, owners.length);
          for (const node of owners) assert.ok(request.members.includes(node));
        }
      }),
      { numRuns: 500 },
    );
  });

  it('never give a node more than the limit, however tight it is', () => {
    fc.assert(
      fc.property(requests, (request) => {
        const limit = loadLimit(request.partitionCount * replicasOf(request), request.members.length);
        const most = Math.max(...countLoads(placePartitions(request), request.members).values());
        assert.ok(most <= limit, `${most} of ${limit}`);
      }),
      { numRuns: 500 },
    );
  });

  it('can be completed for every small number of partitions, nodes and replicas', () => {
    for (let nodes = 1; nodes <= 9; nodes += 1) {
      for (let partitionCount = 1; partitionCount <= 12; partitionCount += 1) {
        for (let replicas = 1; replicas <= nodes; replicas += 1) {
          const members = namedNodes(nodes);
          const placement = placePartitions({ members, partitionCount, replicas });
          const limit = loadLimit(partitionCount * replicas, nodes);
          assert.ok(placement.every((owners) => new Set(owners).size === replicas));
          assert.ok(Math.max(...countLoads(placement, members).values()) <= limit);
        }
      }
    }
  });

  it('do not change between survivors as long as nobody is at the limit, before or after', () => {
    let judged = 0;
    const roomy = fc.record({
      members: fc.uniqueArray(fc.uuid(), { minLength: 3, maxLength: 8 }),
      partitionCount: fc.integer({ min: 100, max: 1024 }),
      replicas: fc.integer({ min: 1, max: 2 }),
    });
    fc.assert(
      fc.property(roomy, (request) => {
        const [gone = '', ...members] = request.members;
        const [before, after] = [placePartitions(request), placePartitions({ ...request, members })];
        const isAtLimit = [
          { placement: before, nodes: request.members },
          { placement: after, nodes: members },
        ].some(({ placement, nodes }) => {
          const limit = loadLimit(request.partitionCount * request.replicas, nodes.length);
          return Math.max(...countLoads(placement, nodes).values()) >= limit;
        });
        if (isAtLimit) return;
        judged += 1;
        assert.equal(measureChange(before, after, gone).betweenSurvivors, 0);
      }),
    );
    assert.ok(judged >= 50, `only ${judged} cases were judged`);
  });

  it('are all members for all replicas, and nobody where there is no member', () => {
    const all = placePartitions({ members: ['a', 'b', 'c'], partitionCount: 5, replicas: 'all' });
    for (const owners of all) assert.deepEqual([...owners].sort(), ['a', 'b', 'c']);
    assert.deepEqual(placePartitions({ members: [], partitionCount: 2, replicas: 3 }), [[], []]);
  });

  it('of small caches are spread by their salt', () => {
    const members = namedNodes(10);
    const used = new Set(
      Array.from({ length: 100 }, (_, cache) =>
        placePartitions({ members, partitionCount: 1, replicas: 1, salt: `cache-${cache}` }).flat(),
      ).flat(),
    );
    assert.deepEqual([...used].sort(), [...members].sort());
  });

  it('are right also for names whose hashes collide', () => {
    const [one, other] = ['costarring', 'liquid'];
    assert.equal(hashText(one), hashText(other));
    const placement = placePartitions({ members: [one, other, 'third'], partitionCount: 300, replicas: 1 });
    for (const load of countLoads(placement, []).values()) assert.ok(load >= 75 && load <= 125, String(load));
  });

  it('insist on a sensible request', () => {
    for (const replicas of [0, -1, 1.5, Number.NaN]) {
      assert.throws(() => placePartitions({ members: ['a'], partitionCount: 1, replicas }), /replicas must be/);
    }
    for (const partitionCount of [0, 1025, 1.5]) {
      assert.throws(() => placePartitions({ members: ['a'], partitionCount, replicas: 1 }), /partitionCount must be/);
    }
  });

  it('of 100 nodes and 1,024 partitions with 3 replicas are found in less than 50 ms', () => {
    const members = namedNodes(100);
    const durations = Array.from({ length: 9 }, () => {
      const start = process.hrtime.bigint();
      placePartitions({ members, partitionCount: 1024, replicas: 3 });
      return Number(process.hrtime.bigint() - start) / 1e6;
    });
    const median = durations.sort((a, b) => a - b)[4] ?? Number.POSITIVE_INFINITY;
    assert.ok(median < 50, `${median} ms`);
  });
});

describe('the load limit', () => {
  it('is 1.25 × the mean rounded down, and the mean rounded up where that is more', () => {
    assert.deepEqual(
      [
        [1024, 100],
        [3072, 100],
        [1024, 10],
        [1024, 3],
        [16, 3],
        [4, 3],
        [1, 3],
        [4, 4],
      ].map(([slots = 0, nodes = 1]) => loadLimit(slots, nodes)),
      [12, 38, 128, 426, 6, 2, 1, 1],
    );
  });

  it('always leaves room for all slots, and exceeds 1.25 × the mean only where the mean is below 3.2', () => {
    for (let nodes = 1; nodes <= 60; nodes += 1) {
      for (let slots = 1; slots <= 400; slots += 1) {
        const limit = loadLimit(slots, nodes);
        assert.ok(limit * nodes >= slots);
        if (limit > (1.25 * slots) / nodes) {
          assert.ok(slots / nodes < 3.2 && limit === Math.ceil(slots / nodes), `${slots} over ${nodes}`);
        }
      }
    }
  });
});
