/**
 * Alternating rounds A B A B …: a machine that gets slower for a while slows both sides, and each ratio is formed within one
 * round. A comparison is told by its median and its whole spread, never by its best round.
 */
import type { Figures, RunningSide } from './side.ts';

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Throws when there is nothing to summarise. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const [min] = sorted;
  const max = sorted.at(-1);
  if (min === undefined || max === undefined) throw new Error('no round was measured');
  const half = sorted.length / 2;
  const median = ((sorted[Math.ceil(half) - 1] ?? min) + (sorted[Math.floor(half)] ?? max)) / 2;
  return { median, min, max };
}

/** The figures of each side, by round. The first round of all warms up and is dropped. */
export async function alternate(sides: readonly RunningSide[], rounds: number): Promise<Figures[][]> {
  const figures: Figures[][] = sides.map(() => []);
  for (let round = 0; round <= rounds; round += 1) {
    for (const [index, side] of sides.entries()) {
      const measured = await side.round();
      if (round > 0) figures[index]?.push(measured);
    }
  }
  return figures;
}

/** One figure of all rounds of a side. Throws when a round lacks it. */
export function column(figures: readonly Figures[] | undefined, name: string): number[] {
  return (figures ?? []).map((round) => {
    const value = round[name];
    if (value === undefined || Number.isNaN(value)) throw new Error(`a round has no ${name}`);
    return value;
  });
}

export interface Comparison {
  readonly ours: Spread;
  readonly baseline: Spread;
  /** Of the quotients ours / baseline, each formed within one round. */
  readonly ratio: Spread;
}

export function compare(ours: readonly number[], baseline: readonly number[]): Comparison {
  const ratios = ours.map((value, round) => value / (baseline[round] ?? Number.NaN));
  return { ours: spreadOf(ours), baseline: spreadOf(baseline), ratio: spreadOf(ratios) };
}
