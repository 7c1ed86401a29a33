/**
 * What is wrong with some input, told completely: every problem at once, each as `field: value: rule`, with a proposal
 * for a misspelt name. Must never show a secret: a value is shown only where the schema says that it may be.
 */
import { type ErrorCode, SluiceError } from '../errors.ts';

/** EX_CONFIG of sysexits.h: a program that refuses its settings ends with it. */
export const badConfigExitCode = 78;

export interface Problem {
  /** The path of the setting, or where it was given when it has no path. */
  readonly field: string;
  /** As shown to people; use `showValue` to make one. */
  readonly value: string;
  readonly rule: string;
}

const shownCharactersMax = 80;
export const hiddenValue = '(hidden)';

/** The value as JSON, shortened. */
export function showValue(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > shownCharactersMax ? `${text.slice(0, shownCharactersMax)}…` : text;
}

export function formatProblem(problem: Problem): string {
  return `${problem.field}: ${problem.value}: ${problem.rule}`;
}

/** One error that lists all problems; `details.problems` has one line each, the other details are those of the first. */
export function problemError(code: ErrorCode, what: string, problems: readonly Problem[]): SluiceError {
  const lines = problems.map(formatProblem);
  const [first] = problems;
  return new SluiceError(code, `${what}:\n  ${lines.join('\n  ')}`, {
    details: { field: first?.field, value: first?.value, rule: first?.rule, problems: lines },
  });
}

/** The rule for a name that does not exist, with the nearest one that does. */
export function unknownNameRule(name: string, known: readonly string[]): string {
  const nearest = nearestName(name, known);
  return nearest === undefined ? 'is not a setting' : `is not a setting; did you mean ${nearest}?`;
}

/**
 * The known name that needs the fewest edits, if they are few for its length; else the shortest that ends with the whole
 * name (`port` for `http.port`). Case and separators do not count.
 */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const plain = (text: string): string => text.toLowerCase().replace(/[^a-z0-9]/g, '');
  const wanted = plain(name).slice(0, shownCharactersMax);
  const scored = known
    .map((candidate) => ({ candidate, edits: editDistance(wanted, plain(candidate)) }))
    .filter(({ candidate, edits }) => edits <= Math.max(1, Math.floor(plain(candidate).length / 3)))
    .sort((a, b) => a.edits - b.edits);
  const longer = known.filter((candidate) => wanted.length >= 4 && plain(candidate).endsWith(wanted));
  return scored[0]?.candidate ?? longer.sort((a, b) => a.length - b.length)[0];
}

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
function editDistance(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= to.length; column += 1) {
      const isSame = from[row - 1] === to[column - 1];
      let edits = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (isSame ? 0 : 1),
      );
      if (row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]) {
        edits = Math.min(edits, (beforeLast[column - 2] ?? 0) + 1);
      }
      current.push(edits);
    }
    beforeLast = last;
    last = current;
  }
  return last[to.length] ?? 0;
}
