/**
 * Several copies and writers over one log, in any interleaving that a network can make: late records, late acknowledgements
 * and answers, lost connections, silent readers, rebuilds, a log that is made again, purged, or drops what is oldest.
 *
 * At every step: no read goes back, none shows what the process knows to be void, each process reads its own writes. In the
 * end: all copies hold exactly what the log says (G2, G4, G7).
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { LogRecord, Position } from '../../../src/events/record.ts';
import { readEntry } from '../../../src/replay/log-read.ts';
import type { LoadFence } from '../../../src/replay/partition-view.ts';
import type { Entry } from '../../../src/store/entry-store.ts';
import { someTags } from '../../support/bucket-events.ts';
import { bytesOf, valueIn } from '../../support/entries.ts';
import { createPartitionWorld, type PartitionWorld, type Process } from '../../support/partition-world.ts';

/** Few keys and processes, so that what they do meets. */
const someKeys = ['a', 'b', 'c'] as const;

type Verb =
  | 'put'
  | 'put short'
  | 'loaded put'
  | 'delete'
  | 'clear'
  | 'tag'
  | 'foreign'
  | 'load'
  | 'fence'
  | 'keep'
  | 'hold'
  | 'deliver'
  | 'release'
  | 'hold acks'
  | 'release acks'
  | 'hold answers'
  | 'release answers'
  | 'disconnect'
  | 'silence'
  | 'freeze'
  | 'unreach'
  | 'reach'
  | 'rebuild'
  | 'recreate'
  | 'purge'
  | 'wait';

interface Step {
  readonly verb: Verb;
  readonly who: number;
  readonly key: (typeof someKeys)[number];
  readonly tags: readonly (typeof someTags)[number][];
  readonly amount: number;
}

const often: Verb[] = ['put', 'put', 'delete', 'delete', 'hold', 'hold', 'deliver', 'deliver', 'load'];
const sometimes: Verb[] = [
  'put short',
  'loaded put',
  'clear',
  'tag',
  'fence',
  'keep',
  'hold acks',
  'release acks',
  'hold answers',
  'release answers',
  'foreign',
  'release',
  'wait',
];
const rarely: Verb[] = ['disconnect', 'silence', 'freeze', 'unreach', 'reach', 'rebuild'];

function stepsOf(extra: readonly Verb[]): fc.Arbitrary<Step[]> {
  return fc.array(
    fc.record({
      verb: fc.oneof(
        { weight: 6, arbitrary: fc.constantFrom(...often) },
        { weight: 3, arbitrary: fc.constantFrom(...sometimes) },
        { weight: 1, arbitrary: fc.constantFrom(...rarely, ...extra) },
      ),
      who: fc.nat(2),
      key: fc.constantFrom(...(['a', 'a', 'a', 'b', 'c'] as const)),
      tags: fc.subarray([...someTags]),
      amount: fc.nat(20),
    }),
    { minLength: 10, maxLength: 80, size: 'max' },
  );
}

/** What one process has been shown or told; it may never see anything older. */
interface Knowledge {
  readonly keys: Map<string, Position>;
  readonly tags: Map<string, Position>;
  clearedAt: Position;
  /** Its own newest acknowledged put of a key, while it knows nothing newer. */
  readonly ownPuts: Map<string, { readonly position: Position; readonly tags: readonly string[] }>;
  /** How often a load found that the log has no such entry. */
  readonly absences: Map<string, number>;
}

interface Watched {
  readonly process: Process;
  knowledge: Knowledge;
  fences: { readonly key: string; readonly fence: LoadFence }[];
}

const nothingKnown = (): Knowledge => ({
  keys: new Map(),
  tags: new Map(),
  clearedAt: 0,
  ownPuts: new Map(),
  absences: new Map(),
});
const raise = (map: Map<string, Position>, name: string, position: Position): unknown =>
  map.set(name, Math.max(position, map.get(name) ?? 0));

interface Scene {
  readonly world: PartitionWorld;
  readonly watched: Watched[];
  /** Position → value of each put of the log's present life. */
  readonly values: Map<Position, string>;
  /** True when the log may lose what no event tells of. */
  readonly mayDrop: boolean;
  readonly working: Promise<unknown>[];
}

async function createScene(mayDrop: boolean): Promise<Scene> {
  const world = createPartitionWorld(mayDrop ? { messagesMax: 4 } : {});
  const watched: Watched[] = [];
  for (const [index, entriesMax] of [100, 100, 2].entries()) {
    const process = await world.process(`p${index}`, { store: { entriesMax, bytesMax: 1_000_000 } });
    const one: Watched = { process, knowledge: nothingKnown(), fences: [] };
    process.log.onDelivered = (record) => learnRecord(one, record, world);
    // Before anything of a new life is applied.
    process.view.listen((change) => {
      if (change.type === 'rebuilt' && change.position === 0) one.knowledge = nothingKnown();
    });
    watched.push(one);
  }
  return { world, watched, values: new Map(), mayDrop, working: [] };
}

function learnRecord({ knowledge }: Watched, { subject, position }: LogRecord, { subjects }: PartitionWorld): void {
  if (subject.startsWith(subjects.keyPrefix)) raise(knowledge.keys, subject.slice(subjects.keyPrefix.length), position);
  else if (subject === subjects.clear) knowledge.clearedAt = Math.max(knowledge.clearedAt, position);
  else if (subject.startsWith(subjects.tagPrefix))
    raise(knowledge.tags, subject.slice(subjects.tagPrefix.length), position);
}

/** Writes are not waited for: their acknowledgements may come whenever they come. */
function begin(scene: Scene, work: Promise<unknown>): void {
  scene.working.push(work.catch(() => undefined));
}

async function take(scene: Scene, step: Step, index: number): Promise<void> {
  const { world, watched } = scene;
  const one = watched[step.who];
  assert.ok(one);
  const { process } = one;
  const { view, cache, log } = process;
  const { key, tags, amount } = step;
  const value = `${key} by step ${index}`;
  switch (step.verb) {
    case 'put':
    case 'put short': {
      const then = one.knowledge;
      const absencesThen = then.absences.get(key);
      const ttlMs = step.verb === 'put short' ? 700 : undefined;
      const written = cache.put(key, bytesOf(value), { tags, ttlMs }).then(({ revision }) => {
        if (one.knowledge !== then) return;
        raise(then.keys, key, revision);
        // The leader may have said meanwhile that it was replaced by what is void.
        const isKnownAbsent = then.absences.get(key) !== absencesThen;
        if (ttlMs === undefined && !isKnownAbsent) then.ownPuts.set(key, { position: revision, tags });
      });
      return begin(scene, written);
    }
    case 'loaded put': {
      // By somebody who began to load some time ago.
      const { last } = await world.log.bounds();
      await world.stranger.put(key, value, { tags, basis: Math.max(0, last - amount) });
      return;
    }
    case 'delete': {
      const then = one.knowledge;
      return begin(
        scene,
        cache.delete(key).then(({ revision }) => void (one.knowledge === then && raise(then.keys, key, revision))),
      );
    }
    case 'clear': {
      const then = one.knowledge;
      const cleared = cache.clear().then((positions) => {
        then.clearedAt = Math.max(then.clearedAt, positions.get(0) ?? 0);
      });
      return begin(scene, cleared);
    }
    case 'tag': {
      const then = one.knowledge;
      const [tag = 'red'] = tags;
      return begin(
        scene,
        cache.invalidateTags([tag]).then((positions) => void raise(then.tags, tag, positions.get(0) ?? 0)),
      );
    }
    case 'foreign':
      await world.stranger.raw(`${world.subjects.keyPrefix}${key}`, amount % 2 === 0 ? '' : 'Sluice-Expires: soon\r\n');
      return;
    case 'load':
      return begin(
        scene,
        view.load(key).then((entry) => {
          check(scene, one, key, entry);
          // The log's leader may know of a delete that nobody else here has heard of.
          if (entry !== undefined) return;
          const { ownPuts, absences } = one.knowledge;
          ownPuts.delete(key);
          absences.set(key, (absences.get(key) ?? 0) + 1);
        }),
      );
    case 'fence':
      one.fences.push({ key, fence: view.fence(key) });
      return;
    case 'keep': {
      const held = one.fences.shift();
      if (held === undefined) return;
      const fields = { expiresAtMs: Number.POSITIVE_INFINITY, tags, contentType: undefined, basis: undefined };
      const kept = view.keepLocally(held.key, bytesOf(value), fields, held.fence);
      held.fence.end();
      assert.ok(!(held.fence.isBroken && kept?.isLocal), 'a broken fence lets nothing through');
      return;
    }
    case 'hold':
      return log.hold();
    case 'deliver':
      log.deliver(1 + (amount % 4));
      return;
    case 'release':
      return log.release();
    case 'hold acks':
      return log.holdAcks();
    case 'release acks':
      return log.releaseAcks();
    case 'hold answers':
      return log.holdAnswers();
    case 'release answers':
      return log.releaseAnswers();
    case 'disconnect':
      return world.log.disconnect();
    case 'silence':
      return world.log.silence();
    case 'freeze':
      return world.log.freeze();
    case 'unreach':
      log.isReachable = false;
      return;
    case 'reach':
      log.isReachable = true;
      return;
    case 'rebuild':
      return view.follower.rebuild('the test says so');
    case 'recreate': {
      // What was acknowledged in the old life is known by then; answers may still be on their way.
      for (const { process: other } of watched) other.log.releaseAcks();
      await world.clock.settle();
      scene.values.clear();
      world.log.recreate();
      for (const { process: other } of watched) {
        other.log.isReachable = true;
        other.log.release();
      }
      await world.clock.advance(10_000);
      return;
    }
    case 'purge': {
      const { last } = await world.log.bounds();
      await world.log.purge({ below: last - amount });
      return;
    }
    case 'wait':
      await world.clock.advance(amount * 100);
  }
}

/** Nothing that is known to be older or void may be read. */
function check(scene: Scene, { knowledge }: Watched, key: string, entry: Entry | undefined): void {
  if (entry === undefined) return;
  const { revision, basis, isLocal } = entry;
  const known = knowledge.keys.get(key) ?? 0;
  assert.ok(revision >= known, `${key}: revision ${revision} is read, and ${known} is known`);
  assert.ok(basis >= knowledge.clearedAt, `${key}: basis ${basis} is below the clear at ${knowledge.clearedAt}`);
  for (const tag of entry.tags ?? []) {
    const at = knowledge.tags.get(tag) ?? 0;
    assert.ok(basis >= at, `${key}: basis ${basis} is below the invalidation of ${tag} at ${at}`);
  }
  if (isLocal) return;
  assert.equal(valueIn(entry), scene.values.get(revision), `${key}: the log never had that at ${revision}`);
  raise(knowledge.keys, key, revision);
}

async function checkAll(scene: Scene): Promise<void> {
  const { first } = await scene.world.log.bounds();
  for (const one of scene.watched) {
    for (const key of someKeys) {
      const entry = one.process.view.peek(key);
      check(scene, one, key, entry);
      if (!scene.mayDrop) checkOwnPut(one, key, entry, first);
    }
  }
}

/** Read-your-writes: nothing but something newer, or an invalidation, may take away what this process has put. */
function checkOwnPut({ knowledge, process }: Watched, key: string, entry: Entry | undefined, first: Position): void {
  const own = knowledge.ownPuts.get(key);
  if (own === undefined || entry !== undefined || !process.view.isComplete) return;
  const isVoid =
    own.position < first ||
    (knowledge.keys.get(key) ?? 0) > own.position ||
    knowledge.clearedAt > own.position ||
    own.tags.some((tag) => (knowledge.tags.get(tag) ?? 0) > own.position);
  assert.ok(isVoid, `${key}: its own put at ${own.position} is not read by ${process.name}`);
}

async function comeToRest(scene: Scene): Promise<void> {
  const { world, watched } = scene;
  for (const { process } of watched) {
    process.log.isReachable = true;
    process.log.releaseAcks();
    process.log.releaseAnswers();
    process.log.release();
  }
  await world.clock.advance(70_000);
  await Promise.all(scene.working);
  await world.clock.advance(5_000);
}

/** What the log says by itself, asked key by key. */
interface Truth {
  readonly content: Record<string, string | undefined>;
  /** Loaded by somebody, with tags: a copy that has forgotten old invalidations below its floor may take it for void. */
  readonly doubtful: ReadonlySet<string>;
}

async function truth({ world }: Scene): Promise<Truth> {
  const content: Record<string, string | undefined> = {};
  const doubtful = new Set<string>();
  for (const key of someKeys) {
    const found = await readEntry(world, key, world.clock);
    if (found === undefined) continue;
    content[key] = `${found.position} ${valueIn(found.put)}`;
    if (found.put.basis !== undefined && found.put.tags !== undefined) doubtful.add(key);
  }
  return { content, doubtful };
}

function contentOf({ view }: Process, wanted: readonly string[] = someKeys): Record<string, string | undefined> {
  const content: Record<string, string | undefined> = {};
  for (const key of wanted) {
    const entry = view.peek(key);
    // A local value is this process's own business.
    if (entry !== undefined && !entry.isLocal) content[key] = `${entry.revision} ${valueIn(entry)}`;
  }
  return content;
}

async function checkConvergence(scene: Scene): Promise<void> {
  const { content: expected, doubtful } = await truth(scene);
  const fresh = await scene.world.process('fresh');
  assert.deepEqual(contentOf(fresh), expected, 'a new copy');
  for (const { process } of scene.watched) {
    const { view } = process;
    assert.equal(view.follower.lagEvents, 0);
    if (!view.isComplete) {
      for (const key of someKeys) {
        if (view.peek(key)?.isLocal) continue;
        const entry = await view.load(key);
        if (entry === undefined && doubtful.has(key)) continue;
        assert.equal(entry && `${entry.revision} ${valueIn(entry)}`, expected[key], `${process.name} asks for ${key}`);
      }
    } else {
      const locals = someKeys.filter((key) => view.peek(key)?.isLocal || (doubtful.has(key) && !view.peek(key)));
      const wanted = Object.fromEntries(Object.entries(expected).filter(([key]) => !locals.some((one) => one === key)));
      assert.deepEqual(contentOf(process), wanted, process.name);
    }
  }
}

async function play(steps: readonly Step[], mayDrop: boolean): Promise<void> {
  const scene = await createScene(mayDrop);
  const { world } = scene;
  const append = world.log.append.bind(world.log);
  world.log.append = async (write, options) => {
    const appended = await append(write, options);
    scene.values.set(appended.position, Buffer.from(write.data).toString());
    return appended;
  };
  try {
    for (const [index, step] of steps.entries()) {
      await take(scene, step, index);
      await world.clock.settle();
      await checkAll(scene);
    }
    await comeToRest(scene);
    await checkAll(scene);
    await checkConvergence(scene);
  } finally {
    await world.stop();
  }
}

describe('copies of one partition', () => {
  it('never go back, read their own writes, and agree with the log in the end', async () => {
    await fc.assert(
      fc.asyncProperty(stepsOf(['recreate']), (steps) => play(steps, false)),
      { numRuns: 150 },
    );
  });

  it('agree with a log that drops what is oldest and is purged, too', async () => {
    const withoutLoads = stepsOf(['purge', 'purge']).map((steps) => steps.filter(({ verb }) => verb !== 'loaded put'));
    await fc.assert(
      fc.asyncProperty(withoutLoads, (steps) => play(steps, true)),
      { numRuns: 80 },
    );
  });
});
