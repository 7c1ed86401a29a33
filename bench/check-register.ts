/**
 * How long the register checker takes for 100,000 operations of 50 keys, 3 % of their writes of unknown outcome, with and without
 * positions, for histories that hold and for ones with a wrong read. Not a row of the bench, because there is no baseline: it
 * prints a table, and fails when a verdict is wrong or undecided, or takes longer than ten seconds.
 */
import { systemClock } from '../src/base/clock.ts';
import type { History, Operation } from '../src/testing/history/record.ts';
import { judgeRegister, type RegisterReport } from '../src/testing/register/check-register.ts';
import { createSeededRandom } from '../src/testing/seeded-random.ts';
import { makeHistory } from '../test/support/random-history.ts';

const limitMs = 10_000;
const keys = 50;

interface Case {
  readonly name: string;
  /** How many clients a key has. */
  readonly clients: number;
  /** About how long an operation takes; one of the key begins every 500 ms. */
  readonly spanMs: number;
  readonly invalidationsPerMille: number;
}

const cases: readonly Case[] = [
  { name: 'hardly any overlap', clients: 4, spanMs: 40, invalidationsPerMille: 0 },
  { name: 'up to 8 at once', clients: 8, spanMs: 3_000, invalidationsPerMille: 0 },
  { name: 'up to 8 at once, 1 % invalidations', clients: 8, spanMs: 3_000, invalidationsPerMille: 10 },
];
/** Only looked at when asked for (`--heavy`), and only as they are: they take long, and may be undecided. */
const heavyCases: readonly Case[] = [
  { name: 'up to 16 at once', clients: 16, spanMs: 6_000, invalidationsPerMille: 0 },
  { name: 'up to 8 at once, 10 % invalidations', clients: 8, spanMs: 3_000, invalidationsPerMille: 100 },
];

type Seen = Operation & { readonly type: 'read'; readonly key: string; readonly value: string };

/** The history with one read in its middle that saw something else. */
const faults: Readonly<Record<string, (sound: readonly Operation[]) => History>> = {
  none: (sound) => sound,
  'of a value nobody wrote': (sound) => withWrongRead(sound, () => 'wrong'),
  'of a value long replaced': (sound) => withWrongRead(sound, ([first]) => first?.value),
  // Somebody has seen what is newer, a moment before: only an order of what overlaps shows that this is wrong.
  'of a value just replaced': (sound) => withWrongRead(sound, replacedBefore),
};

/** The last value but one that reads have shown which ended before the last read began. */
function replacedBefore(reads: readonly Seen[], start: number): string | undefined {
  const newer = reads.filter(({ end }) => end < start).at(-1);
  return reads.filter(({ end, value }) => newer !== undefined && end < newer.start && value !== newer.value).at(-1)
    ?.value;
}

const isSeen = (one: Operation): one is Seen => one.type === 'read' && typeof one.value === 'string';

/** `chooseValue` chooses from what the key's reads showed before. */
function withWrongRead(
  sound: readonly Operation[],
  chooseValue: (before: readonly Seen[], start: number) => string | undefined,
): History {
  const victim = sound.findIndex((one) => isSeen(one) && one.start > (sound.length / 2) * 10);
  return sound.map((one, index) => {
    if (index !== victim || !isSeen(one)) return one;
    const { revision: _, ...read } = one;
    const before = sound.filter(isSeen).filter(({ key, end }) => key === one.key && end < one.start);
    const value = chooseValue(
      before.sort((first, second) => first.end - second.end),
      one.start,
    );
    if (value === undefined) throw new Error(`key ${one.key} has no value to choose from`);
    return { ...read, value };
  });
}

function measure(history: History): RegisterReport & { readonly tookMs: number } {
  const startedMs = systemClock.monotonic();
  const report = judgeRegister(history);
  return { ...report, tookMs: Math.round(systemClock.monotonic() - startedMs) };
}

const isHeavy = process.argv.includes('--heavy');
console.log('| overlap of a key | positions | wrong read | verdict | states | ms |');
console.log('| --- | --- | --- | --- | --- | --- |');
for (const { name, clients, spanMs, invalidationsPerMille } of isHeavy ? heavyCases : cases) {
  for (const withRevisions of [true, false]) {
    const sound = makeHistory(createSeededRandom(7), {
      operations: 100_000,
      keys,
      processes: keys * clients,
      hasOwnKeys: true,
      span: spanMs,
      withRevisions,
      unknownPercent: 3,
      invalidationsPerMille,
      isRich: false,
    });
    for (const [fault, plant] of Object.entries(faults)) {
      if (isHeavy && fault !== 'none') continue;
      const { verdict, states, tookMs } = measure(plant(sound));
      console.log(`| ${name} | ${withRevisions ? 'yes' : 'no'} | ${fault} | ${verdict} | ${states} | ${tookMs} |`);
      const isRight = verdict === (fault === 'none' ? 'holds' : 'broken');
      if (!isHeavy && (!isRight || tookMs > limitMs)) process.exitCode = 1;
    }
  }
}
