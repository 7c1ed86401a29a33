/**
 * The real nats CLI, which tests use to show that Sluice and everybody else mean the same by a stream or a bucket.
 *
 * It comes from NATS_CLI_BIN, the PATH or the user's cache folder; else it is built there with Go, once. `go install` cannot
 * do that (its module has a version list that Go refuses), so a module of one line asks for it. Run by itself, this file
 * provides the CLI and prints its path.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { cacheFolderOf } from '../../src/broker/provision/cache.ts';

const version = '0.3.0';
const module = 'github.com/nats-io/natscli';
const buildLimitMs = 15 * 60_000;

export interface CliRun {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

let found: Promise<string> | undefined;

/** Path of the nats CLI; fails with what is missing when there is none and none can be built. */
export function findNatsCli(): Promise<string> {
  found ??= find();
  return found;
}

async function find(): Promise<string> {
  const named = process.env['NATS_CLI_BIN'];
  if (named !== undefined && named !== '') {
    if (await answers(named)) return named;
    throw new Error(`NATS_CLI_BIN=${named} is not a nats CLI that runs`);
  }
  if (await answers('nats')) return 'nats';
  const cached = join(cacheFolderOf(process.env), 'nats-cli', version, 'nats');
  if (existsSync(cached) && (await answers(cached))) return cached;
  if ((await run('go', ['version'])).code !== 0) {
    throw new Error(
      `missing component: the nats CLI. Put it on the PATH, name it by NATS_CLI_BIN, or install Go, which builds ${module} ${version} into ${cached}`,
    );
  }
  await buildOnce(cached);
  return cached;
}

const answers = async (program: string): Promise<boolean> => (await run(program, ['--version'])).code === 0;

/** Only one process builds; the others wait for it. */
async function buildOnce(target: string): Promise<void> {
  mkdirSync(dirname(target), { recursive: true });
  const lock = join(dirname(target), 'lock');
  const deadline = performance.now() + buildLimitMs;
  while (!existsSync(target)) {
    if (takeLock(lock)) {
      try {
        if (!existsSync(target)) await build(target);
      } finally {
        rmSync(lock, { recursive: true, force: true });
      }
      return;
    }
    if (performance.now() > deadline) throw new Error(`${lock} is held by another process for too long`);
    await delay(200);
  }
}

/** A folder that holds our pid, moved to the lock's name: that succeeds for one, and never without the pid. */
function takeLock(lock: string): boolean {
  const mine = mkdtempSync(`${lock}-`);
  writeFileSync(join(mine, 'pid'), `${process.pid}`);
  try {
    renameSync(mine, lock);
    return true;
  } catch {
    rmSync(mine, { recursive: true });
    if (!isHeld(lock)) rmSync(lock, { recursive: true, force: true });
    return false;
  }
}

function isHeld(lock: string): boolean {
  try {
    process.kill(Number(readFileSync(join(lock, 'pid'), 'utf8')), 0);
    return true;
  } catch {
    return false;
  }
}

async function build(target: string): Promise<void> {
  process.stderr.write(`nats CLI: building ${module} ${version}; this takes 2 to 3 minutes, once\n`);
  // Beside its place, so that it gets there whole by one rename.
  const folder = mkdtempSync(join(dirname(target), 'build-'));
  try {
    writeFileSync(join(folder, 'go.mod'), `module cli\n\ngo 1.23\n\nrequire ${module} v${version}\n`);
    writeFileSync(join(folder, 'tools.go'), `package tools\n\nimport _ "${module}/nats"\n`);
    const built = await run('go', ['build', '-trimpath', '-o', 'nats', `${module}/nats`], {
      cwd: folder,
      env: { ...process.env, GOFLAGS: '-mod=mod', GOWORK: 'off', CGO_ENABLED: '0' },
      limitMs: buildLimitMs,
    });
    if (built.code !== 0) throw new Error(`missing component: the nats CLI; go could not build it:\n${built.stderr}`);
    renameSync(join(folder, 'nats'), target);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string;
  readonly limitMs?: number;
}

/** Code null: the program could not be started, or was ended for taking too long. */
function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<CliRun> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd: options.cwd, env: options.env ?? process.env, stdio: 'pipe' });
    const limit = setTimeout(() => child.kill('SIGKILL'), options.limitMs ?? 30_000);
    let stdout = '';
    let stderr = '';
    const end = (code: number | null): void => {
      clearTimeout(limit);
      resolve({ code, stdout, stderr });
    };
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      stdout += chunk;
    });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      stderr += chunk;
    });
    child.once('error', () => end(null));
    child.once('close', (code) => end(code));
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
  });
}

/** Runs `nats --server URL …` with no settings of the user's, and without a terminal. */
export async function runNatsCli(url: string, args: readonly string[], input = ''): Promise<CliRun> {
  const program = await findNatsCli();
  const home = mkdtempSync(join(tmpdir(), 'sluice-cli-'));
  try {
    const env = { PATH: process.env['PATH'], HOME: home, XDG_CONFIG_HOME: home };
    return await run(program, ['--server', url, ...args], { env, input });
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) process.stdout.write(`${await findNatsCli()}\n`);
