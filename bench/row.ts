/** What a row of the bench is: it measures one claim, and returns one line of the table or several. */
import type { Comparison } from './rounds.ts';

/** One folder per row: `row.ts`, and a file for each of its sides. */
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

export interface Result extends Comparison {
  readonly what: string;
  readonly unit: string;
  readonly baselineName: string;
  /** undefined: for information. */
  readonly target: Target | undefined;
}

/** A target is met by the median; undefined without a target. */
export function isMet({ ratio, target }: Result): boolean | undefined {
  if (target === undefined) return undefined;
  return 'atLeast' in target ? ratio.median >= target.atLeast : ratio.median <= target.atMost;
}
