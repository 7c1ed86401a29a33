/**
 * The numbers of placement: shares, and what a join or leave moves. They are computed here, checked against the promise,
 * and compared with the tables of docs/placement.md. `UPDATE_DOCS=1` rewrites the tables instead.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import {
  type Change,
  mean,
  measureChanges,
  measureShares,
  namedNodes,
  randomNodes,
  type Shares,
} from '../../support/placement-tables.ts';
import { projectRoot } from '../../support/project.ts';

const page = join(projectRoot, 'docs', 'placement.md');
const combinations = [1, 2, 3].flatMap((replicas) => [3, 10, 100].map((nodes) => ({ replicas, nodes })));

interface Setting {
  readonly nodes: number;
  readonly replicas: number;
  readonly partitionCount: number;
}

interface Measured extends Setting {
  readonly shares: readonly Shares[];
  readonly changes: readonly Change[];
}

const survivors = (changes: readonly Change[]): number[] => changes.map((change) => change.betweenSurvivors);
const ratio = (part: number, whole: number): string => (part / whole).toFixed(2);

function measureNamed(setting: Setting): Measured {
  const { nodes, replicas, partitionCount } = setting;
  const members = namedNodes(nodes);
  const joining = namedNodes(nodes + 10).slice(nodes);
  return {
    ...setting,
    shares: [measureShares(members, partitionCount, replicas)],
    changes: measureChanges(members, partitionCount, replicas, { leaving: members, joining }),
  };
}

function measureRandom(setting: Setting): Measured {
  const { nodes, replicas, partitionCount } = setting;
  const sets = Array.from({ length: 20 }, (_, set) => randomNodes(set, nodes + 5));
  return {
    ...setting,
    shares: sets.map((names) => measureShares(names.slice(0, nodes), partitionCount, replicas)),
    changes: sets.flatMap((names) =>
      measureChanges(names.slice(0, nodes), partitionCount, replicas, {
        leaving: names.slice(0, Math.min(5, nodes)),
        joining: names.slice(nodes),
      }),
    ),
  };
}

const named = combinations.map((combination) => measureNamed({ ...combination, partitionCount: 1024 }));
const random = combinations.map((combination) => measureRandom({ ...combination, partitionCount: 1024 }));
const small = [16, 64, 256].flatMap((partitionCount) =>
  [
    { nodes: 3, replicas: 1 },
    { nodes: 3, replicas: 2 },
    { nodes: 10, replicas: 1 },
    { nodes: 10, replicas: 2 },
  ].map((combination) => measureRandom({ ...combination, partitionCount })),
);

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---:')), ...rows.map(line)].join('\n');
}

function changeCells({ changes }: Measured): (string | number)[] {
  return [
    mean(changes.map((change) => change.needed)).toFixed(1),
    mean(survivors(changes)).toFixed(2),
    Math.max(...survivors(changes)),
    `${survivors(changes).filter((count) => count === 0).length} of ${changes.length}`,
  ];
}

const changeHead = ['needed, mean', 'between survivors, mean', 'at most', 'changes without'];

function mostOverMean(shares: readonly Shares[]): string {
  return Math.max(...shares.map((share) => share.most / share.mean)).toFixed(2);
}

const tables: Readonly<Record<string, string>> = {
  shares: table(
    ['nodes', 'replicas', 'mean', 'limit', 'least', 'most', 'most / mean', 'most primaries', 'unlimited'],
    named.flatMap(({ shares }) =>
      shares.map((share) => [
        share.nodes,
        share.replicas,
        share.mean.toFixed(2),
        share.limit,
        share.least,
        share.most,
        ratio(share.most, share.mean),
        share.primariesMost,
        ratio(share.unlimitedMost, share.mean),
      ]),
    ),
  ),
  moves: table(
    ['nodes', 'replicas', ...changeHead],
    named.map((measured) => [measured.nodes, measured.replicas, ...changeCells(measured)]),
  ),
  random: table(
    ['nodes', 'replicas', 'most / mean', 'unlimited', ...changeHead],
    random.map((measured) => [
      measured.nodes,
      measured.replicas,
      mostOverMean(measured.shares),
      Math.min(...measured.shares.map((share) => share.unlimitedMost / share.mean)).toFixed(2),
      ...changeCells(measured),
    ]),
  ),
  small: table(
    ['partitions', 'nodes', 'replicas', 'mean', 'most / mean', ...changeHead],
    small.map((measured) => [
      measured.partitionCount,
      measured.nodes,
      measured.replicas,
      (measured.shares[0]?.mean ?? 0).toFixed(2),
      mostOverMean(measured.shares),
      ...changeCells(measured),
    ]),
  ),
};

describe('shares over 1,024 partitions', () => {
  it('are at most 1.25 × the mean for 3, 10 and 100 nodes, whatever their names', () => {
    for (const { shares } of [...named, ...random]) {
      for (const share of shares) assert.ok(share.most <= 1.25 * share.mean, JSON.stringify(share));
    }
  });

  it('would be more than that without the limit, in every set of 100 names', () => {
    for (const { nodes, shares } of [...named, ...random]) {
      if (nodes < 100) continue;
      for (const share of shares) assert.ok(share.unlimitedMost > 1.25 * share.mean, JSON.stringify(share));
    }
  });

  it('of primaries stay within 1.5 × their mean', () => {
    for (const { shares } of [...named, ...random]) {
      for (const share of shares) assert.ok(share.primariesMost <= (1.5 * 1024) / share.nodes, JSON.stringify(share));
    }
  });
});

describe('a join or a leave over 1,024 partitions', () => {
  it('moves nothing between survivors at 3 and 10 nodes', () => {
    for (const { nodes, changes } of [...named, ...random]) {
      if (nodes < 100) assert.equal(Math.max(...survivors(changes)), 0, `${nodes} nodes`);
    }
  });

  it('moves at 100 nodes less than 1 of 300 slots between survivors, and with 3 replicas less than 1 of 3,000', () => {
    for (const { nodes, replicas, changes } of [...named, ...random]) {
      if (nodes < 100) continue;
      const moved = mean(survivors(changes)) / (1024 * replicas);
      assert.ok(moved < (replicas === 3 ? 1 / 3000 : 1 / 300), `${replicas} replicas: ${moved}`);
    }
  });
});

describe('docs/placement.md', () => {
  it('holds the tables that are computed here', () => {
    const block = (name: string): RegExp => new RegExp(`(<!-- table: ${name} -->\n)([\\s\\S]*?)(\n?<!-- end -->)`);
    const { UPDATE_DOCS } = process.env;
    if (UPDATE_DOCS === '1') {
      const text = Object.entries(tables).reduce(
        (current, [name, rows]) => current.replace(block(name), `$1${rows}\n<!-- end -->`),
        readFileSync(page, 'utf8'),
      );
      writeFileSync(page, text);
    }
    const text = readFileSync(page, 'utf8');
    for (const [name, rows] of Object.entries(tables)) {
      const written = block(name).exec(text)?.[2];
      assert.equal(written, rows, `table ${name}; rewrite it: UPDATE_DOCS=1 node .ci/test.mjs unit/placement`);
    }
  });
});
