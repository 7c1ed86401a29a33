/** The program behind `npm run simulate`: runs seeds for as long as one likes, and explains what fails. */
import { readFileSync } from 'node:fs';
import { parseScriptOptions, refuseOption } from '../support/script-options.ts';
import { generateScript } from './generate.ts';
import { type RunResult, runScript } from './run.ts';
import type { Script } from './script.ts';
import { shrinkScript } from './shrink.ts';

const usage = `npm run simulate -- [OPTION …]

  --seeds N     so many seeds (default 2000)
  --from S      the first of them (default 1)
  --minutes M   until the time is up
  --seed S      this one alone, with its trace
  --script F    a script from a file, with its trace
  --no-shrink   show the script that fails as it is`;

const values = parseScriptOptions(usage, {
  seeds: { type: 'string' },
  from: { type: 'string', default: '1' },
  seed: { type: 'string' },
  minutes: { type: 'string' },
  script: { type: 'string' },
  'no-shrink': { type: 'boolean', default: false },
});

function numberOf(option: 'seeds' | 'from' | 'seed' | 'minutes', otherwise: number): number {
  const text = values[option];
  const number = text === undefined ? otherwise : Number(text);
  if (Number.isFinite(number) && number >= 0) return number;
  return refuseOption(`--${option} ${text}: must be a number from 0`, usage);
}

const failureText = ({ seed, fault }: RunResult): string =>
  `seed ${seed} at ${fault?.atMs.toFixed(1)} ms: ${fault?.what}`;

async function explain(script: Script, result: RunResult): Promise<void> {
  console.log(`\n${failureText(result)}\nagain: npm run simulate -- --seed ${script.seed}`);
  if (values['no-shrink']) return;
  const shrunk = await shrinkScript(script, result);
  console.log(
    `${script.steps.length} steps, ${shrunk.script.steps.length} after ${shrunk.runs} runs of shorter scripts:`,
  );
  console.log(failureText(shrunk.result));
  console.log('again: save the next line as FILE; npm run simulate -- --script FILE');
  console.log(JSON.stringify(shrunk.script));
}

async function runOne(script: Script): Promise<RunResult> {
  const result = await runScript(script, true);
  console.log(result.lines.join('\n'));
  console.log(
    `digest ${result.digest}, ${result.events} events in ${(result.virtualMs / 1_000).toFixed(1)} virtual seconds`,
  );
  return result;
}

async function runMany(): Promise<RunResult | undefined> {
  const from = numberOf('from', 1);
  const isTimed = values.minutes !== undefined;
  const untilMs = performance.now() + numberOf('minutes', 0) * 60_000;
  const count = isTimed && values.seeds === undefined ? Number.MAX_SAFE_INTEGER : numberOf('seeds', 2_000);
  const startedMs = performance.now();
  let told = startedMs;
  let virtualMs = 0;
  const summary = (done: number): string => {
    const seconds = (performance.now() - startedMs) / 1_000;
    return `${done} seeds, ${(virtualMs / 3_600_000).toFixed(2)} virtual hours in ${seconds.toFixed(0)} s`;
  };
  for (let done = 0; done < count && (!isTimed || performance.now() < untilMs); done += 1) {
    const result = await runScript(generateScript(from + done));
    virtualMs += result.virtualMs;
    if (result.fault !== undefined) return result;
    if (performance.now() - told > 5_000) {
      told = performance.now();
      console.log(`${summary(done + 1)}, no fault`);
    }
    if (done + 1 === count) console.log(`${summary(count)}, no fault`);
  }
  return undefined;
}

const script = values.script === undefined ? undefined : (JSON.parse(readFileSync(values.script, 'utf8')) as Script);
const single = script ?? (values.seed === undefined ? undefined : generateScript(numberOf('seed', 1)));
const result = single === undefined ? await runMany() : await runOne(single);
if (result?.fault !== undefined) {
  await explain(single ?? generateScript(result.seed), result);
  process.exit(1);
}
