/**
 * The long form of fuzzing: `npm run fuzz -- [--target NAME] [--seconds N] [--seed N] [--case N]`. It divides the time among the
 * targets, shows how far it is, and makes what it finds small, keeps it in the corpus, and says how to repeat it.
 */
import { parseArgs } from 'node:util';
import { loadCorpus, saveFound } from './corpus.ts';
import { type Finding, fuzz, minimise, tryCase } from './engine.ts';
import type { FuzzTarget } from './target.ts';
import { fuzzTargets } from './targets.ts';

const usage = `npm run fuzz -- [--target NAME] [--seconds N] [--seed N] [--case N]

  --target NAME   one of: ${fuzzTargets.map(({ name }) => name).join(', ')} (default: all)
  --seconds N     time for all targets together (default 60)
  --seed N        whole number; the same seed gives the same cases (default: chosen, and shown)
  --case N        only this case of the seed`;

const progressMs = 5_000;

function countFlag(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,9}$/.test(text))
    throw new Error(`--${name}: ${JSON.stringify(text)}: must be a whole number\n\n${usage}`);
  return Number(text);
}

async function report(target: FuzzTarget, finding: Finding): Promise<void> {
  console.log(`\n${target.name}: a promise is broken: ${target.promise}`);
  console.log(finding.error);
  const small = finding.case < 0 ? finding.bytes : await minimise(target, finding.bytes, finding.error);
  console.log(
    `${finding.bytes.length} bytes, made ${small.length}: ${JSON.stringify(small.toString('latin1').slice(0, 1_000))}`,
  );
  if (finding.case < 0) return;
  console.log(`kept as ${saveFound(target.name, small)}`);
  console.log(`again: npm run fuzz -- --target ${target.name} --seed ${finding.seed} --case ${finding.case}`);
}

async function fuzzFor(target: FuzzTarget, seed: number, seconds: number): Promise<boolean> {
  const startedMs = performance.now();
  let shownMs = startedMs;
  const { cases, finding } = await fuzz(target, {
    seed,
    corpus: loadCorpus(target.name),
    goesOn(number) {
      const nowMs = performance.now();
      if (nowMs - shownMs > progressMs) {
        shownMs = nowMs;
        console.log(`${target.name}: ${number} cases`);
      }
      return nowMs - startedMs < seconds * 1_000;
    },
  });
  if (finding !== undefined) await report(target, finding);
  else console.log(`${target.name}: ${cases} cases, no promise broken`);
  await target.close?.();
  return finding === undefined;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      target: { type: 'string' },
      seconds: { type: 'string' },
      seed: { type: 'string' },
      case: { type: 'string' },
    },
  });
  const targets = fuzzTargets.filter(({ name }) => values.target === undefined || name === values.target);
  if (targets.length === 0) throw new Error(`--target: ${JSON.stringify(values.target)} is none\n\n${usage}`);
  const seed = countFlag('seed', values.seed) ?? Math.floor(Math.random() * 1e9);
  const only = countFlag('case', values.case);
  const seconds = (countFlag('seconds', values.seconds) ?? 60) / targets.length;
  console.log(`seed ${seed}, ${targets.length} targets, ${seconds.toFixed(1)} s each`);
  let isClean = true;
  for (const target of targets) {
    if (only === undefined) isClean = (await fuzzFor(target, seed, seconds)) && isClean;
    else isClean = (await repeat(target, seed, only)) && isClean;
  }
  return isClean ? 0 : 1;
}

async function repeat(target: FuzzTarget, seed: number, only: number): Promise<boolean> {
  const corpus = loadCorpus(target.name);
  const { finding } = await fuzz(target, { seed, corpus, firstCase: only, goesOn: (number) => number === only });
  if (finding === undefined) console.log(`${target.name}: case ${only} of seed ${seed} keeps the promise`);
  else {
    console.log(JSON.stringify(finding.bytes.toString('latin1').slice(0, 2_000)));
    console.log(await tryCase(target, finding.bytes));
  }
  await target.close?.();
  return finding === undefined;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 64;
}
