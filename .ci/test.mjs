// Runs the compiled tests of the folders named on the command line (default: all of test/) with node's own runner.
// Only sources that exist are run, so a stale file in dist/ can never pass for a test.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const options = process.argv.slice(2).filter((argument) => argument.startsWith('--'));

const sources = readdirSync(join(root, 'test'), { recursive: true })
  .map((name) => join('test', name))
  .filter((name) => name.endsWith('.test.ts'))
  .filter((name) => wanted.length === 0 || wanted.some((prefix) => name.startsWith(join('test', prefix))))
  .sort();
if (sources.length === 0) {
  console.error(`no test file matches ${wanted.join(' ')}`);
  process.exit(1);
}
const files = sources.map((name) => relative(root, join(root, 'dist', name.replace(/\.ts$/, '.js'))));
const run = spawnSync(
  process.execPath,
  ['--enable-source-maps', '--test', '--test-concurrency=2', '--test-reporter=spec', ...options, ...files],
  { cwd: root, stdio: 'inherit' },
);
process.exit(run.status ?? 1);
