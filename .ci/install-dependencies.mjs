// Installs the dependencies when they are missing or older than the lock file; otherwise does nothing.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** The packages a lock file pins; npm keeps the list of what it installed in node_modules. */
function packagesIn(path) {
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).packages : {};
}

const installed = packagesIn(join(root, 'node_modules', '.package-lock.json'));
const isCurrent = Object.entries(packagesIn(join(root, 'package-lock.json'))).every(
  ([path, wanted]) =>
    path === '' || wanted.optional || wanted.devOptional || installed[path]?.version === wanted.version,
);

if (!isCurrent) {
  console.error('installing dependencies (npm ci)');
  const done = spawnSync('npm', ['ci', '--no-fund', '--no-audit', '--loglevel=error'], { cwd: root, stdio: 'inherit' });
  if (done.status !== 0) process.exit(done.status ?? 1);
}
