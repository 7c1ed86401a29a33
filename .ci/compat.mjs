// Runs the tests of the log, the follower, the publisher and the cluster against older servers: those named on the command line,
// or the oldest that Debian ships and the last line before the preferred one.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const versions = process.argv.length > 2 ? process.argv.slice(2) : ['2.9.10', '2.12.3'];
const wrong = versions.find((version) => !/^\d+\.\d+\.\d+/.test(version));
if (wrong !== undefined) {
  console.error(
    `${wrong} is not a version of nats-server\nnpm run test:compat -- [VERSION …]   (default: 2.9.10 2.12.3)`,
  );
  process.exit(2);
}
const folders = [
  'contract',
  'integration/follower',
  'integration/publisher',
  'integration/streams',
  'integration/cluster',
  'integration/security',
];

for (const version of versions) {
  console.log(`\nnats-server ${version}`);
  const { SLUICE_TEST_NATS_BIN: _, ...env } = process.env;
  const run = spawnSync(process.execPath, [join(root, '.ci/test.mjs'), '--nats', version, ...folders], {
    cwd: root,
    stdio: 'inherit',
    env,
  });
  if (run.status !== 0) process.exit(run.status ?? 1);
}
