/**
 * Which nats-server a file is, and whether it will do. Versions are asked of the program itself: a path or a file name
 * proves nothing.
 */
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../errors.ts';
import { runProgram } from './run-program.ts';

/** The one version that is downloaded or built when none is installed, and that the tests run against. */
export const preferredNatsVersion = '2.14.2';

/** The oldest version that has what the log needs. */
export const oldestNatsVersion = '2.9.4';

/** What to accept: any version from `oldestNatsVersion` on, or exactly one. */
export interface VersionRule {
  readonly version: string;
  readonly exactVersion: boolean;
}

export interface FoundBinary {
  readonly path: string;
  readonly version: string;
}

export interface Refusal {
  readonly reason: string;
}

export const isRefusal = (result: FoundBinary | Refusal): result is Refusal => 'reason' in result;

const versionLimitMs = 10_000;

/** The version in the output of `nats-server --version`, e.g. `nats-server: v2.14.2`. */
export function parseVersion(output: string): string | undefined {
  return /^nats-server:?(?: version)? v?(\d+\.\d+\.\d+\S*)/m.exec(output)?.[1];
}

/** Negative when `a` is older than `b`. A pre-release (`2.11.0-RC.1`) is older than its release. */
export function compareVersions(a: string, b: string): number {
  const [numbersA, numbersB] = [parseNumbers(a), parseNumbers(b)];
  for (const [index, number] of numbersA.entries()) {
    const difference = number - (numbersB[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return Number(b.includes('-')) - Number(a.includes('-'));
}

const parseNumbers = (version: string): number[] =>
  (version.split('-')[0] ?? '').split('.').map((part) => Number.parseInt(part, 10));

/** Why the version will not do, or undefined when it will. */
export function refuseVersion(version: string, rule: VersionRule): string | undefined {
  if (rule.exactVersion) {
    return version === rule.version ? undefined : `is version ${version}, and exactly ${rule.version} is asked for`;
  }
  if (compareVersions(version, oldestNatsVersion) >= 0) return undefined;
  return `is version ${version}, older than ${oldestNatsVersion}`;
}

/** Runs the file to learn its version and judges it. */
export async function checkBinary(
  path: string,
  rule: VersionRule,
  { clock, signal }: { readonly clock: Clock; readonly signal?: AbortSignal | undefined },
): Promise<FoundBinary | Refusal> {
  try {
    if (!(await stat(path)).isFile()) return { reason: `${path} is not a file` };
    await access(path, constants.X_OK);
  } catch (error) {
    return { reason: `${path} cannot be run: ${messageOf(error)}` };
  }
  const run = await runProgram(path, ['--version'], { clock, signal, limitMs: versionLimitMs });
  if (run.failure !== undefined) return { reason: `${path} --version failed: ${run.failure}` };
  const version = parseVersion(run.output);
  if (version === undefined) return { reason: `${path} does not say that it is a nats-server` };
  const refusal = refuseVersion(version, rule);
  return refusal === undefined ? { path, version } : { reason: `${path} ${refusal}` };
}
