/** What a row of the bench is: it measures one claim, and returns one line of the table or several. */
import type { Spread } from './rounds.ts';

/** One file per name in `rows/`, in the order of the table. */
export interface Row {
  readonly name: string;
  measure(bench: Bench): Promise<readonly Result[]>;
}

/** What the command line decides. */
export interface Bench {
  readonly rounds: number;
  /** Sizes of a full run, or tiny ones that only prove that the row works. */
  size(full: number, quick: number): number;
  /** Path of the nats-server to measure with. */
  readonly natsBinary: string;
}

export type Target = { readonly atLeast: number } | { readonly atMost: number };

export interface Result {
  readonly what: string;
  readonly unit: string;
  readonly ours: Spread;
  readonly baseline: Spread;
  readonly baselineName: string;
  /** Round by round ours / baseline. */
  readonly ratio: Spread;
  readonly target: Target;
}

/** A target is met by the median. */
export function isMet({ ratio, target }: Result): boolean {
  return 'atLeast' in target ? ratio.median >= target.atLeast : ratio.median <= target.atMost;
}
