/** Where the project stands, seen from the compiled tests in dist/test/. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const projectRoot: string = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
export const fixturesFolder: string = join(projectRoot, 'test', 'fixtures');
export const cliFolder: string = join(projectRoot, 'dist', 'src', 'cli');
