/** From a seed to a script. Operations come in bursts about few keys, most of them near a mishap, for that is where errors are. */
import { hashText, mix32 } from '../../src/placement/hash.ts';
import { createSeededRandom, type SeededRandom } from '../../src/testing/seeded-random.ts';
import type { Mishap, Operation, Script, Step, Vice } from './script.ts';
import { keyNames, type Setting, tagNames } from './setting.ts';

/** A source of chance of its own for each purpose, so that a change of one does not shift the others. */
export const randomFor = (seed: number, purpose: string): SeededRandom =>
  createSeededRandom(mix32((seed ^ hashText(purpose)) >>> 0));

type Weighted<Item> = readonly (readonly [weight: number, item: Item])[];

function choose<Item>(random: SeededRandom, items: Weighted<Item>): Item {
  let rest = random.below(items.reduce((sum, [weight]) => sum + weight, 0));
  for (const [weight, item] of items) {
    rest -= weight;
    if (rest < 0) return item;
  }
  throw new RangeError('nothing to choose from');
}

const between = (random: SeededRandom, low: number, high: number): number => low + random.below(high - low + 1);

function makeSetting(random: SeededRandom): Setting {
  const nodes = choose(random, [
    [5, 2],
    [2, 3],
    [1, 1],
  ]);
  const isSpread = nodes > 1 && random.below(5) === 0;
  const logReplicas = random.below(3) === 0 ? 3 : 1;
  return {
    nodes,
    clients: choose(random, [
      [6, 1],
      [1, 2],
      [1, 0],
    ]),
    partitions: isSpread ? 4 : 1,
    copies: isSpread ? 1 + random.below(nodes - 1) : 0,
    logReplicas,
    isOldServer: random.below(3) === 0,
    looksForIdFirst: random.below(2) === 0,
    startsAtHead: random.below(3) === 0,
    keys: between(random, 3, 8),
    entriesMax: random.below(5) === 0 ? 3 : 1_000,
    horizonMs: random.below(4) === 0 ? 10_000 : 3_600_000,
  };
}

function makeOperation(random: SeededRandom, key: string): Operation {
  const tags = random.below(3) === 0 ? { tags: [random.pick(tagNames)] } : {};
  const name = choose<Operation['do']>(random, [
    [10, 'put'],
    [3, 'create'],
    [4, 'replace'],
    [4, 'delete'],
    [1, 'delete-seen'],
    [1, 'clear'],
    [2, 'invalidate'],
    [2, 'get'],
    [4, 'get-latest'],
    [3, 'get-written'],
    [2, 'get-fresh'],
    [6, 'load'],
    [2, 'watch'],
  ]);
  switch (name) {
    case 'put':
      return { do: 'put', key, ...tags, ...(random.below(8) === 0 ? { ttlMs: between(random, 500, 6_000) } : {}) };
    case 'create':
    case 'replace':
      return { do: name, key, ...tags };
    case 'invalidate':
      return { do: name, tag: random.pick(tagNames) };
    case 'get-fresh':
      return { do: name, key, maxMs: between(random, 0, 2_000) };
    case 'load':
      return {
        do: name,
        key,
        ...tags,
        takesMs: random.below(2) === 0 ? between(random, 0, 20) : between(random, 20, 1_500),
      };
    case 'clear':
    case 'watch':
      return { do: name };
    default:
      return { do: name, key };
  }
}

function makeMishap(random: SeededRandom): Mishap {
  const forMs = choose(random, [
    [4, between(random, 100, 2_500)],
    [3, between(random, 2_500, 7_000)],
    [1, between(random, 7_000, 20_000)],
  ]);
  const clockMs = random.below(2) === 0 ? 0 : between(random, -5_000, 5_000);
  return choose<Mishap>(random, [
    [3, { do: 'crash' }],
    [1, { do: 'leave' }],
    [2, { do: 'reset' }],
    [2, { do: 'pause', forMs }],
    [1, { do: 'jump', clockMs }],
    [2, { do: 'slow', forMs, extraMs: between(random, 10, 400) }],
    [
      4,
      {
        do: 'cut',
        direction: random.pick(['in', 'out', 'both'] as const),
        forMs,
        noticeMs: between(random, 1_500, 6_000),
      },
    ],
  ]);
}

function makeVice(random: SeededRandom, { logReplicas }: Setting, isControl: boolean): Vice {
  const forMs = between(random, 300, 4_000);
  const vices: (readonly [number, Vice])[] = [
    [4, { do: 'lose-acks', forMs, share: random.pick([0.5, 1]) }],
    [2, { do: 'lose-writes', forMs, share: random.pick([0.3, 1]) }],
    [2, { do: 'no-leader', forMs: between(random, 4_000, 8_000) }],
    [3, { do: 'silence' }],
  ];
  if (logReplicas > 1) {
    vices.push([3, { do: 'freeze-replica', replica: random.below(3), forMs: between(random, 1_000, 9_000) }]);
    vices.push([1, { do: 'deposed-leader', forMs }]);
  }
  if (!isControl) {
    vices.push([1, { do: 'recreate' }], [2, { do: 'roll-back', by: between(random, 1, 6) }]);
    vices.push([1, { do: 'purge', keep: random.below(3) }], [3, { do: 'drop-oldest', keep: between(random, 1, 6) }]);
  }
  return choose(random, vices);
}

/** Away while a put replaces something, and while the server removes that put, whose life is over, without a word. */
function addBriefPuts(
  random: SeededRandom,
  {
    steps,
    bursts,
    everybody,
    keys,
    lengthMs,
  }: { steps: Step[]; bursts: number[]; everybody: string[]; keys: string[]; lengthMs: number },
): void {
  if (random.below(8) > 0) return;
  const at = 1_000 + random.below(lengthMs);
  const ttlMs = between(random, 1_000, 2_500);
  const forMs = ttlMs + between(random, 500, 5_000);
  const to = random.pick(everybody);
  const writers = everybody.filter((name) => name !== to);
  const [old = '', other = ''] = keys;
  steps.push({ at: at - 300, by: to, do: 'put', key: old });
  // What a copy has applied last, it asks for by name.
  for (let count = 0; count < 18; count += 1) steps.push({ at: at - 250 + 2 * count, by: to, do: 'put', key: other });
  steps.push({ at, to, do: 'cut', direction: 'both', forMs, noticeMs: between(random, 1_500, 4_000) });
  if (writers.length === 0) return;
  steps.push({ at: at + between(random, 20, 400), by: random.pick(writers), do: 'put', key: old, ttlMs });
  for (let count = random.below(4); count > 0; count -= 1)
    steps.push({ at: at + random.below(forMs), by: random.pick(writers), do: 'put', key: random.pick(keys.slice(1)) });
  bursts.push(at + forMs + random.below(1_000));
}

export function generateScript(seed: number): Script {
  const random = randomFor(seed, 'script');
  const setting = makeSetting(random);
  const nodes = Array.from({ length: setting.nodes }, (_, index) => `node-${index + 1}`);
  const clients = Array.from({ length: setting.clients }, (_, index) => `client-${index + 1}`);
  const everybody = [...nodes, ...clients];
  const keys = keyNames(setting);
  const steps: Step[] = [];
  const lengthMs = between(random, 3_000, 9_000);

  const bursts = Array.from({ length: between(random, 3, 6) }, () => random.below(lengthMs));
  for (let count = between(random, 0, 4); count > 0; count -= 1) {
    const at = random.below(lengthMs);
    bursts.push(at + random.below(40), at + between(random, 40, 3_000));
    if (random.below(2) === 0) {
      const to = random.pick(everybody);
      const mishap = makeMishap(random);
      steps.push({ at, to, ...mishap });
      if (mishap.do === 'crash' || mishap.do === 'leave') {
        const clockMs = random.below(3) === 0 ? between(random, -5_000, 5_000) : 0;
        if (random.below(4) > 0) steps.push({ at: at + between(random, 200, 6_000), to, do: 'restart', clockMs });
      }
    } else if (random.below(12) === 0) {
      steps.push({ at, do: 'server-restart', forMs: between(random, 200, 3_000) });
    } else {
      const isControl = random.below(8) === 0;
      steps.push({
        at,
        partition: isControl ? -1 : random.below(setting.partitions),
        ...makeVice(random, setting, isControl),
      });
    }
  }
  // Away for longer than delete markers are kept.
  if (setting.horizonMs < lengthMs * 10 && random.below(4) === 0) {
    const at = random.below(lengthMs);
    const forMs = setting.horizonMs + between(random, 1_000, 3_000);
    steps.push({ at, to: random.pick(everybody), do: 'cut', direction: 'both', forMs, noticeMs: 2_000 });
    // What is deleted meanwhile is none of the last things that it has seen.
    for (let count = 0; count < 18; count += 1)
      steps.push({ at: at - 60 + 2 * count, by: 'node-1', do: 'put', key: keys.at(-1) ?? '' });
    for (const key of keys.slice(0, 2)) {
      steps.push({ at: at - 100, by: random.pick(everybody), do: 'put', key });
      steps.push({ at: at + between(random, 10, 900), by: random.pick(everybody), do: 'delete', key });
    }
    bursts.push(at + forMs + between(random, 1_000, 2_000));
  }
  addBriefPuts(randomFor(seed, 'brief puts'), { steps, bursts, everybody, keys, lengthMs });
  for (const start of bursts) {
    const hot = random.pick(keys);
    let at = start;
    for (let count = between(random, 2, 9); count > 0; count -= 1) {
      steps.push({
        at,
        by: random.pick(everybody),
        ...makeOperation(random, random.below(3) > 0 ? hot : random.pick(keys)),
      });
      at += random.below(3) === 0 ? random.below(400) : random.below(6);
    }
  }
  const inOrder = steps.map((step) => ({ ...step, at: Math.max(0, step.at) })).sort((one, other) => one.at - other.at);
  return { seed, setting, steps: inOrder };
}
