/**
 * The steps that only look at what the user or the system has: a named file, the PATH, the folder where Debian puts it.
 * They change nothing.
 */
import { existsSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import { SluiceError } from '../../errors.ts';
import { checkBinary, type FoundBinary, isRefusal, type Refusal } from './binary.ts';
import { programName } from './cache.ts';
import type { Environment, ProvisionContext, ProvisionStep } from './step.ts';

/** The folders of the PATH. Relative ones are left out: what runs must not depend on the working directory. */
export function foldersOfPath(env: Environment): string[] {
  return (env.PATH ?? '').split(delimiter).filter((folder) => isAbsolute(folder));
}

/** A set but unusable variable ends the search: silently taking another server would be worse. */
export const namedStep: ProvisionStep = {
  name: 'NATS_SERVER_BIN',
  async run(context) {
    const path = context.env.NATS_SERVER_BIN;
    if (path === undefined || path === '') return { reason: 'not set' };
    const result = await checkBinary(path, context, context);
    if (isRefusal(result)) {
      throw new SluiceError('bad-config', `NATS_SERVER_BIN is not usable: ${result.reason}`, {
        details: { field: 'NATS_SERVER_BIN', value: path },
      });
    }
    return result;
  },
};

export const pathStep: ProvisionStep = {
  name: 'PATH',
  run: (context) => findInFolders(foldersOfPath(context.env), context),
};

/** Debian installs the server where only root looks. */
export const systemFolderStep: ProvisionStep = {
  name: '/usr/sbin',
  run: (context) => findInFolders(['/usr/sbin'], context),
};

/** The first acceptable server in the folders. */
export async function findInFolders(
  folders: readonly string[],
  context: ProvisionContext,
): Promise<FoundBinary | Refusal> {
  const reasons: string[] = [];
  for (const folder of new Set(folders)) {
    const path = join(folder, programName);
    if (!existsSync(path)) continue;
    const result = await checkBinary(path, context, context);
    if (!isRefusal(result)) return result;
    reasons.push(result.reason);
  }
  return { reason: reasons.length === 0 ? `no ${programName} there` : reasons.join('; ') };
}
