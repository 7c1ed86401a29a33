/**
 * The stage for stories about a cache: one partition's log in memory, processes with the library over it, a clock that moves
 * only when told. All that the processes do is done by the code that is shipped.
 *
 * What does not end within its step (an acknowledgement or a record is on its way) ends below a later one, with its own step
 * in front. A process that watches tells what it hears; one whose copy begins anew says why.
 */
import { isSluiceError } from '../../../src/errors.ts';
import { text } from '../../../src/library/codec.ts';
import type { CacheChange, LoadOptions, WriteOptions } from '../../../src/library/coherent-cache.ts';
import { textOf } from '../entries.ts';
import { type Opened, type OpenedOptions, openIn } from '../library-world.ts';
import { createPartitionWorld } from '../partition-world.ts';
import { actOn, type Stage, type StepKind } from './script.ts';

interface Actor {
  readonly opened: Opened<string>;
  noticesTold: number;
  readonly sources: { resolve(value: string | undefined): void; reject(error: Error): void }[];
}

export interface CacheStage {
  readonly stage: Stage;
  stop(): Promise<void>;
}

const absent = 'absent';

/** `tagged red, blue; for 500 ms; over revision 3; only if absent`, as a story says it. */
function parseDemands(demands: string): WriteOptions & LoadOptions {
  let options: WriteOptions & LoadOptions = {};
  for (const demand of demands === '' ? [] : demands.split('; ')) {
    const [, word = '', rest = ''] =
      /^(tagged|for|over revision|only if absent|then stale for|on failure for)(?: (.+))?$/.exec(demand) ?? [];
    const amount = Number.parseInt(rest, 10);
    if (word === 'tagged') options = { ...options, tags: rest.split(', ') };
    else if (word === 'for') options = { ...options, ttlMs: amount };
    else if (word === 'over revision') options = { ...options, ifRevision: amount };
    else if (word === 'only if absent') options = { ...options, ifAbsent: true };
    else if (word === 'then stale for') options = { ...options, staleWhileRevalidateMs: amount };
    else if (word === 'on failure for') options = { ...options, staleIfErrorMs: amount };
    else throw new Error(`${demand}: no such demand`);
  }
  return options;
}

function describeError(error: unknown): string {
  if (!isSluiceError(error)) return `failed: ${error instanceof Error ? error.message : String(error)}`;
  const { current, lagMs } = error.details;
  const facts = [
    ...(current === undefined ? [] : [`the key has ${current === null ? 'no entry' : `revision ${current}`}`]),
    ...(error.code === 'stale' && lagMs !== undefined ? [`lag ${lagMs} ms`] : []),
  ];
  return `refused: ${[error.code, ...facts].join(', ')}`;
}

function describeChange(change: CacheChange<string>): string {
  if (change.type === 'put') return `put ${change.key} = ${change.value ?? '(void)'} at ${change.position}`;
  if (change.type === 'delete') return `delete ${change.key} at ${change.position}`;
  if (change.type === 'tag') return `invalidate ${change.tag} at ${change.position}`;
  return change.type === 'clear' ? `clear at ${change.position}` : `begin anew: ${change.reason}`;
}

export function createCacheStage(): CacheStage {
  let world = createPartitionWorld();
  const actors = new Map<string, Actor>();
  /** Tells what this step has begun and not ended that its step is over. */
  const late: (() => void)[] = [];
  /** What was shown since the step began. */
  let shown: string[] = [];

  function actorOf(name: string): Actor {
    const actor = actors.get(name);
    if (actor === undefined) throw new Error(`${name} does not run`);
    return actor;
  }
  const cacheOf = (name: string): Opened<string>['cache'] => actorOf(name).opened.cache;
  const gateOf = (name: string): Opened<string>['process']['log'] => actorOf(name).opened.process.log;

  /** Begins the work; what it shows is told when it ends, in this step or below a later one. */
  function begin(step: string, work: Promise<string>): void {
    let isLate = false;
    const tell = (line: string): void => void shown.push(isLate ? `${step}: ${line}` : line);
    work.then(tell, (error: unknown) => tell(describeError(error)));
    late.push(() => {
      isLate = true;
    });
  }

  async function start(name: string, options: OpenedOptions = {}): Promise<void> {
    const opened = await openIn<string>(world, name, text(), options);
    actors.set(name, { opened, noticesTold: opened.process.notices.length, sources: [] });
    shown.push(`ready at ${opened.process.view.follower.applied}`);
  }

  async function end(name: string): Promise<void> {
    await actorOf(name).opened.close();
    actors.delete(name);
  }

  const entryLine = (name: string, key: string): string => {
    const entry = cacheOf(name).entry(key);
    if (entry === undefined) return absent;
    return entry.revision === 0 ? `${entry.value}, of this process alone` : `${entry.value} at ${entry.revision}`;
  };

  function contentOf(name: string): string[] {
    const cache = cacheOf(name);
    return [...cache.keys()].sort().flatMap((key) => (cache.has(key) ? [`${key} = ${entryLine(name, key)}`] : []));
  }

  function compareAll(): void {
    const contents = [...actors.keys()].map((name) => ({ name, lines: contentOf(name) }));
    const isSame = new Set(contents.map(({ lines }) => lines.join('\n'))).size === 1;
    for (const { name, lines } of isSame ? contents.slice(0, 1) : contents) {
      if (!isSame) shown.push(`${name}:`);
      shown.push(...(lines.length === 0 ? ['nothing'] : lines));
    }
  }

  async function demandingRead(name: string, key: string, read: object): Promise<string> {
    const { found } = await actorOf(name).opened.process.cache.get(key, read);
    return found === undefined ? absent : `${textOf(found.value)} at ${found.revision}`;
  }

  function load(step: string, name: string, key: string, demands: string): void {
    const { sources } = actorOf(name);
    const source = (): Promise<string | undefined> =>
      new Promise((resolve, reject) => {
        shown.push(`the source of ${name} is asked`);
        sources.push({ resolve, reject });
      });
    begin(
      step,
      cacheOf(name)
        .getOrLoad(key, source, parseDemands(demands))
        .then((value) => `given ${value ?? 'nothing'}`),
    );
  }

  function sourceOf(name: string): Actor['sources'][number] {
    const source = actorOf(name).sources.shift();
    if (source === undefined) throw new Error(`the source of ${name} was not asked`);
    return source;
  }

  const written = async (write: Promise<{ readonly revision: number }>): Promise<string> =>
    `at ${(await write).revision}`;
  const done = async (work: Promise<unknown>): Promise<string> => work.then(() => 'done');
  const position = async (appended: Promise<number>): Promise<void> => void shown.push(`at ${await appended}`);

  function kindsFor(step: string): StepKind[] {
    return [
      // The world.
      [
        /^the log has room for (\d+) messages(, and then refuses)?$/,
        (count = '', refuses = '') => {
          world = createPartitionWorld({
            messagesMax: Number(count),
            whenFull: refuses === '' ? 'drop-oldest' : 'refuse',
          });
        },
      ],
      [/^time passes: (\d+) ms$/, (ms = '') => world.clock.advance(Number(ms))],
      // Their monotonic clocks stand still meanwhile.
      [/^the machines sleep for (\d+) ms$/, (ms = '') => world.clock.jump(Number(ms))],
      [/^the log holds$/, async () => void shown.push(...(await world.messages()))],
      [/^the log falls silent$/, () => world.log.silence()],
      [/^the log stands still on a replica$/, () => world.log.freeze()],
      [/^the log is deleted and made again$/, () => world.log.recreate()],
      [/^the log is restored to position (\d+)$/, (last = '') => world.log.rollBack(Number(last))],
      [/^an operator purges below position (\d+)$/, (below = '') => world.log.purge({ below: Number(below) })],
      [
        /^the log forgets its marker of (\S+)$/,
        (key = '') => world.log.purge({ subject: world.subjects.keyPrefix + key }),
      ],
      // Processes and their way to the log.
      [/^(\w+) starts$/, (name = '') => start(name)],
      [
        /^(\w+) starts with memory for (\d+) entries$/,
        (name = '', count = '') => start(name, { store: { entriesMax: Number(count), bytesMax: 1_000_000 } }),
      ],
      [/^(\w+) dies$/, (name = '') => end(name)],
      [
        /^(\w+) loses the log$/,
        (name = '') => {
          gateOf(name).isReachable = false;
        },
      ],
      [
        /^(\w+) finds the log again$/,
        (name = '') => {
          gateOf(name).isReachable = true;
        },
      ],
      [/^records for (\w+) are held up$/, (name = '') => gateOf(name).hold()],
      [
        /^(\d+) records? reach(?:es)? (\w+)$/,
        (count = '', name = '') => void shown.push(`${gateOf(name).deliver(Number(count))} of them`),
      ],
      [/^all records reach (\w+)$/, (name = '') => gateOf(name).release()],
      [/^acknowledgements for (\w+) are held up$/, (name = '') => gateOf(name).holdAcks()],
      [/^acknowledgements reach (\w+)$/, (name = '') => gateOf(name).releaseAcks()],
      // Writing.
      [
        /^(\w+) puts (\S+) = (\S+)(?: \((.+)\))?$/,
        (name = '', key = '', value = '', demands = '') =>
          begin(step, written(cacheOf(name).put(key, value, parseDemands(demands)))),
      ],
      [
        /^(\w+) deletes (\S+)(?: \((.+)\))?$/,
        (name = '', key = '', demands = '') => begin(step, written(cacheOf(name).delete(key, parseDemands(demands)))),
      ],
      [/^(\w+) clears$/, (name = '') => begin(step, done(cacheOf(name).clear()))],
      [/^(\w+) invalidates (\S+)$/, (name = '', tag = '') => begin(step, done(cacheOf(name).invalidateTags([tag])))],
      [/^a stranger puts (\S+) = (\S+)$/, (key = '', value = '') => position(world.stranger.put(key, value))],
      [/^a stranger deletes (\S+)$/, (key = '') => position(world.stranger.delete(key))],
      [
        /^a stranger publishes (\S+) with "(.*)" and "(.*)"$/,
        (subject = '', fields = '', body = '') =>
          position(world.stranger.raw(subject, fields === '' ? '' : `${fields}\r\n`, body)),
      ],
      // Reading.
      [/^(\w+) reads (\S+)$/, (name = '', key = '') => void shown.push(entryLine(name, key))],
      [
        /^(\w+) reads (\S+) at position (\d+)$/,
        (name = '', key = '', at = '') => begin(step, demandingRead(name, key, { minPosition: Number(at) })),
      ],
      [
        /^(\w+) reads (\S+), at most (\d+) ms old$/,
        (name = '', key = '', ms = '') => begin(step, demandingRead(name, key, { maxStalenessMs: Number(ms) })),
      ],
      [
        /^(\w+) reads (\S+) as of now$/,
        (name = '', key = '') =>
          begin(
            step,
            cacheOf(name)
              .latest(key, { waitMs: 1_000 })
              .then((value) => value ?? absent),
          ),
      ],
      [
        /^(\w+) shows its lag$/,
        (name = '') => void shown.push(`${cacheOf(name).lag.events} events, ${Math.round(cacheOf(name).lag.ms)} ms`),
      ],
      [
        /^(\w+) shows its entries$/,
        (name = '') => void shown.push(`${cacheOf(name).size} in memory`, ...contentOf(name)),
      ],
      [/^all compare$/, compareAll],
      [
        /^(\w+) watches$/,
        (name = '') => void cacheOf(name).onChange((change) => shown.push(`${name} hears: ${describeChange(change)}`)),
      ],
      // Loading.
      [/^(\w+) loads (\S+)(?: \((.+)\))?$/, (name = '', key = '', demands = '') => load(step, name, key, demands)],
      [/^the source of (\w+) answers (\S+)$/, (name = '', value = '') => sourceOf(name).resolve(value)],
      [/^the source of (\w+) has nothing$/, (name = '') => sourceOf(name).resolve(undefined)],
      [/^the source of (\w+) fails$/, (name = '') => sourceOf(name).reject(new Error('the source is down'))],
    ];
  }

  function tellRebuilds(): void {
    for (const [name, actor] of actors) {
      const { notices } = actor.opened.process;
      for (const { what, reason } of notices.slice(actor.noticesTold))
        if (what === 'rebuild') shown.push(`${name} begins anew: ${reason}`);
      actor.noticesTold = notices.length;
    }
  }

  return {
    async stage(step) {
      shown = [];
      await actOn(kindsFor(step), step);
      await world.clock.settle();
      tellRebuilds();
      for (const markLate of late.splice(0)) markLate();
      return shown;
    },
    async stop() {
      for (const name of [...actors.keys()]) await end(name);
      await world.stop();
    },
  };
}
