/**
 * Scenario scripts: stories as text. A line at the margin is a comment (`#`) or a step in plain words; the indented lines below
 * a step are what it must show. Running a script gives the same text again, with what it really showed: the two are compared.
 *
 * The first line is the story's title in quotes, the second one the guarantees that it tells of.
 */

/** Does one step and resolves with what it shows. Throws on a step that it does not know. */
export type Stage = (step: string) => Promise<readonly string[]>;

export interface ScriptHead {
  readonly title: string;
  /** G1 to G9. */
  readonly guarantees: readonly string[];
}

export function readHead(script: string): ScriptHead {
  const [first = '', second = ''] = script.split('\n');
  const title = /^# "(.+)"$/.exec(first)?.[1];
  const guarantees = /^# guarantees: ((?:G[1-9])(?:, G[1-9])*)$/.exec(second)?.[1];
  if (title === undefined) throw new Error(`line 1: ${first}: must be # "<title>"`);
  if (guarantees === undefined) throw new Error(`line 2: ${second}: must be # guarantees: G1, G2 …`);
  return { title, guarantees: guarantees.split(', ') };
}

/** The script with what each of its steps showed. */
export async function runScript(script: string, stage: Stage): Promise<string> {
  const shown: string[] = [];
  for (const [index, line] of script.trimEnd().split('\n').entries()) {
    if (line.startsWith('  ')) continue;
    shown.push(line);
    if (line === '' || line.startsWith('#')) continue;
    try {
      for (const output of await stage(line)) shown.push(`  ${output}`);
    } catch (error) {
      throw new Error(`line ${index + 1}: ${line}`, { cause: error });
    }
  }
  return `${shown.join('\n')}\n`;
}

/** One kind of step: what its line looks like, and what it does with the parts of it. */
export type StepKind = readonly [pattern: RegExp, act: (...parts: string[]) => Promise<unknown> | unknown];

/** Does the step with the one kind that fits it. */
export function actOn(kinds: readonly StepKind[], step: string): Promise<unknown> | unknown {
  const fitting = kinds.flatMap(([pattern, act]) => {
    const match = pattern.exec(step);
    return match === null ? [] : [{ act, parts: match.slice(1).map((part) => part ?? '') }];
  });
  const [only, other] = fitting;
  if (only === undefined) throw new Error('no such step');
  if (other !== undefined) throw new Error('the step can be understood in two ways');
  return only.act(...only.parts);
}
