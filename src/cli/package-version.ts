/** The version of this package, from the package.json that is installed with it. */
import { readFileSync } from 'node:fs';

/** Where the package stands: the folder of its package.json. */
export const packageFolder: URL = new URL('../../../', import.meta.url);

export function loadPackageVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('package.json', packageFolder), 'utf8')) as { version: string };
  return version;
}
