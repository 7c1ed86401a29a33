/**
 * The steps that let another tool provide the server: Go builds it from source, Debian's package manager installs it.
 * Both are last because they are slow or change the system.
 */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Clock, every } from '../../base/clock.ts';
import type { FoundBinary, Refusal } from './binary.ts';
import { cachedBinaryPath, moveIntoCache, programName } from './cache.ts';
import { findInFolders, foldersOfPath } from './find.ts';
import { type ProgramRun, runProgram } from './run-program.ts';
import type { Environment, ProvisionContext, ProvisionStep } from './step.ts';

const buildLimitMs = 15 * 60_000;
const packageLimitMs = 5 * 60_000;
const heartbeatMs = 10_000;

export const goStep: ProvisionStep = {
  name: 'go install',
  async run(context) {
    const go = findProgram('go', context.env);
    if (go === undefined) return { reason: 'no go on the PATH' };
    const target = cachedBinaryPath(context.cacheFolder, context.version);
    await mkdir(dirname(target), { recursive: true });
    // Built beside its place and moved there whole: other processes may be looking, or building as well.
    const folder = await mkdtemp(join(dirname(target), 'build-'));
    try {
      const source = `github.com/nats-io/nats-server/v2@v${context.version}`;
      context.log(`nats-server: go install ${source}; this takes 1 to 2 minutes, once`);
      const run = await withHeartbeat('still building', context, () =>
        runProgram(go, ['install', '-trimpath', '-ldflags=-s -w', source], {
          clock: context.clock,
          signal: context.signal,
          limitMs: buildLimitMs,
          cwd: folder,
          env: buildEnvironment(context.env, folder),
        }),
      );
      if (run.failure !== undefined) return { reason: run.failure };
      return await moveIntoCache(join(folder, programName), target, context);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

/** The user's own settings for other builds must not reach this one: another target, a vendor folder, a workspace. */
function buildEnvironment(env: Environment, folder: string): Environment {
  const { GOOS: _os, GOARCH: _arch, GOARM: _arm, GOFLAGS: _flags, ...rest } = env;
  return { ...rest, GOBIN: folder, GOWORK: 'off', CGO_ENABLED: '0' };
}

/** What the package step looks at; handed in, because tests must not install anything. */
export interface PackageSystem {
  readonly isDebian: boolean;
  readonly isRoot: boolean;
  /** Whether an installed service is started at once. */
  readonly hasServices: boolean;
  readonly programFolder: string;
}

export const aptStep: ProvisionStep = createAptStep(() => ({
  isDebian: existsSync('/etc/debian_version'),
  isRoot: process.getuid?.() === 0,
  hasServices: existsSync('/run/systemd/system'),
  programFolder: '/usr/sbin',
}));

export function createAptStep(readSystem: () => PackageSystem): ProvisionStep {
  return { name: 'apt-get', run: (context) => installPackage(readSystem(), context) };
}

async function installPackage(system: PackageSystem, context: ProvisionContext): Promise<FoundBinary | Refusal> {
  const apt = findProgram('apt-get', context.env);
  if (!system.isDebian) return { reason: 'this is not a Debian system' };
  if (!system.isRoot) return { reason: 'only root may install packages' };
  if (apt === undefined) return { reason: 'no apt-get on the PATH' };
  if (context.exactVersion) return { reason: `has one version only, and exactly ${context.version} is asked for` };
  if (existsSync(join(system.programFolder, programName))) {
    return { reason: 'the package is installed already; it is left alone, because its server may be in service' };
  }
  const install = (): Promise<ProgramRun> =>
    runApt(apt, ['install', '-y', '--no-install-recommends', programName], context);
  let run = await install();
  if (run.failure !== undefined) {
    context.log(`nats-server: ${run.failure}`);
    const update = await runApt(apt, ['update'], context);
    if (update.failure !== undefined) return { reason: `apt-get update: ${update.failure}` };
    run = await install();
    if (run.failure !== undefined) return { reason: run.failure };
  }
  const systemctl = system.hasServices ? findProgram('systemctl', context.env) : undefined;
  if (systemctl !== undefined) {
    // The package starts a server of its own on the port that ours wants; we only came for the program.
    context.log('nats-server: switching off the system service that came with the package');
    await runProgram(systemctl, ['disable', '--now', programName], { ...context, limitMs: packageLimitMs });
  }
  return findInFolders([system.programFolder], context);
}

function runApt(apt: string, args: readonly string[], context: ProvisionContext): Promise<ProgramRun> {
  context.log(`nats-server: apt-get ${args.join(' ')}`);
  return withHeartbeat('still at it', context, () =>
    runProgram(apt, args, {
      clock: context.clock,
      signal: context.signal,
      limitMs: packageLimitMs,
      env: { ...context.env, DEBIAN_FRONTEND: 'noninteractive' },
    }),
  );
}

async function withHeartbeat<Result>(
  text: string,
  { clock, log }: { readonly clock: Clock; readonly log: (line: string) => void },
  work: () => Promise<Result>,
): Promise<Result> {
  const startedAt = clock.monotonic();
  const beat = every(clock, heartbeatMs, () => {
    log(`nats-server: ${text}, ${Math.round((clock.monotonic() - startedAt) / 1_000)} s`);
  });
  try {
    return await work();
  } finally {
    beat.cancel();
  }
}

function findProgram(name: string, env: Environment): string | undefined {
  return foldersOfPath(env)
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
}
