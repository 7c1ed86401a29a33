// Runs the compiled tests of the folders named on the command line (default: all of test/) with node's own runner, against the
// nats-server of `--nats VERSION` (default: the version that the product prefers), which is found or provisioned first.
// Only sources that exist are run, so a stale file in dist/ can never pass for a test.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { nats: { type: 'string' }, concurrency: { type: 'string', default: '2' } },
});

const sources = readdirSync(join(root, 'test'), { recursive: true })
  .map((name) => join('test', name))
  .filter((name) => name.endsWith('.test.ts'))
  .filter((name) => positionals.length === 0 || positionals.some((prefix) => name.startsWith(join('test', prefix))))
  .sort();
if (sources.length === 0) {
  console.error(`no test file matches ${positionals.join(' ')}`);
  process.exit(1);
}

const isPure = sources.every((name) => /^test\/(unit|scenario|simulation|replay|fuzz|tidy)/.test(name));
const binary = process.env.SLUICE_TEST_NATS_BIN || (isPure ? '' : await provision(values.nats));
const files = sources.map((name) => relative(root, join(root, 'dist', name.replace(/\.ts$/, '.js'))));
const run = spawnSync(
  process.execPath,
  [
    '--enable-source-maps',
    '--test',
    `--test-concurrency=${values.concurrency}`,
    '--test-reporter=spec',
    '--test-timeout=300000',
    ...files,
  ],
  { cwd: root, stdio: 'inherit', env: { ...process.env, SLUICE_TEST_NATS_BIN: binary } },
);
process.exit(run.status ?? 1);

/** The server under test, of exactly that version, so that every machine tests the same. */
async function provision(version) {
  const { provisionNatsServer } = await import(join(root, 'dist/src/broker/provision.js'));
  const { systemClock } = await import(join(root, 'dist/src/base/clock.js'));
  const log = (line) => console.log(line);
  const found = await provisionNatsServer({
    env: process.env,
    clock: systemClock,
    log,
    exactVersion: true,
    ...(version ? { version } : {}),
  });
  return found.path;
}
