/**
 * Makes a failing script shorter: takes steps out, large pieces first, as long as it fails (Zeller's delta debugging). Whatever
 * fails then is shown, be it another fault than at first.
 */
import { type RunResult, runScript } from './run.ts';
import type { Script, Step } from './script.ts';

export interface Shrunk {
  readonly script: Script;
  readonly result: RunResult;
  readonly runs: number;
}

/** The result is the script itself when no shorter one fails. */
export async function shrinkScript(script: Script, first: RunResult, runsMax = 400): Promise<Shrunk> {
  let best = { script, result: first };
  let runs = 0;

  async function failsWith(steps: readonly Step[]): Promise<boolean> {
    runs += 1;
    const shorter = { ...script, steps };
    const result = await runScript(shorter);
    if (result.fault === undefined) return false;
    best = { script: shorter, result };
    return true;
  }

  for (let pieces = 2; best.script.steps.length > 0 && runs < runsMax; ) {
    const { steps } = best.script;
    const length = Math.ceil(steps.length / pieces);
    let isShorter = false;
    for (let from = 0; from < steps.length && !isShorter && runs < runsMax; from += length)
      isShorter = await failsWith([...steps.slice(0, from), ...steps.slice(from + length)]);
    if (isShorter) pieces = Math.max(2, pieces - 1);
    else if (length === 1) break;
    else pieces = Math.min(steps.length, 2 * pieces);
  }
  return { ...best, runs };
}
