/**
 * The user's cache folder, where a downloaded or built server is kept for the next run. A server appears there complete
 * or not at all.
 */
import { existsSync } from 'node:fs';
import { chmod, rename } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { checkBinary, type FoundBinary, isRefusal, type Refusal } from './binary.ts';
import type { Environment, ProvisionContext, ProvisionStep } from './step.ts';

export const programName = 'nats-server';

/** `<cache>/sluice`, by the rule of the XDG base directories. */
export function cacheFolderOf(env: Environment): string {
  const named = env.XDG_CACHE_HOME;
  // The rule says to ignore a relative path.
  if (named !== undefined && isAbsolute(named)) return join(named, 'sluice');
  return join(env.HOME || homedir(), '.cache', 'sluice');
}

/** Where a downloaded or built server of that version is kept. */
export function cachedBinaryPath(cacheFolder: string, version: string): string {
  return join(cacheFolder, programName, `v${version}`, programName);
}

export const cacheStep: ProvisionStep = {
  name: 'cache folder',
  async run(context) {
    const path = cachedBinaryPath(context.cacheFolder, context.version);
    if (!existsSync(path)) return { reason: `no ${path}` };
    return checkBinary(path, { version: context.version, exactVersion: true }, context);
  },
};

/** Checks the new server and puts it in its place by one rename. */
export async function moveIntoCache(
  path: string,
  target: string,
  context: ProvisionContext,
): Promise<FoundBinary | Refusal> {
  await chmod(path, 0o755);
  const result = await checkBinary(path, { version: context.version, exactVersion: true }, context);
  if (isRefusal(result)) return result;
  await rename(path, target);
  return { path: target, version: result.version };
}
