/**
 * Finds a nats-server, or gets one: the steps in order, each said aloud, and one error that lists them all when none
 * worked. The steps are in `provision/`; the version that is downloaded or built is in `provision/binary.ts`.
 */
import type { Clock } from '../base/clock.ts';
import { isSluiceError, messageOf, SluiceError } from '../errors.ts';
import { type FoundBinary, isRefusal, oldestNatsVersion, preferredNatsVersion } from './provision/binary.ts';
import { aptStep, goStep } from './provision/build.ts';
import { cacheFolderOf, cacheStep } from './provision/cache.ts';
import { defaultDownloadBase, downloadStep } from './provision/download.ts';
import { namedStep, pathStep, systemFolderStep } from './provision/find.ts';
import type { Environment, ProvisionContext, ProvisionStep } from './provision/step.ts';

export { oldestNatsVersion, preferredNatsVersion } from './provision/binary.ts';

export interface ProvisionOptions {
  readonly env: Environment;
  readonly clock: Clock;
  readonly log: (line: string) => void;
  /** Sluice's folder for what can be got again; by default `sluice` in the user's cache folder. */
  readonly cacheFolder?: string;
  /** What to download or build; `preferredNatsVersion` by default. */
  readonly version?: string;
  /** Accept no other version in any step. */
  readonly exactVersion?: boolean;
  /** Where `v<version>/<files of the release>` is; by default SLUICE_NATS_DOWNLOAD_BASE, else the official releases. */
  readonly downloadBase?: string;
  readonly signal?: AbortSignal;
  readonly steps?: readonly ProvisionStep[];
}

export interface ProvisionedServer extends FoundBinary {
  /** The name of the step that had it. */
  readonly how: string;
}

export const defaultSteps: readonly ProvisionStep[] = [
  namedStep,
  pathStep,
  systemFolderStep,
  cacheStep,
  downloadStep,
  goStep,
  aptStep,
];

/** It becomes the name of a folder, and part of an address and of a command. */
const versionPattern = /^\d+\.\d+\.\d+(?:-[0-9A-Za-z.]+)?$/;

/**
 * The first server that a step yields. Throws `bad-config` when the version is none or NATS_SERVER_BIN is set but not usable,
 * `broker-unavailable` with every step and its reason when none worked, `aborted`.
 */
export async function provisionNatsServer(options: ProvisionOptions): Promise<ProvisionedServer> {
  const { env, clock, log, signal } = options;
  const context: ProvisionContext = {
    env,
    clock,
    log,
    signal,
    cacheFolder: options.cacheFolder ?? cacheFolderOf(env),
    version: options.version ?? preferredNatsVersion,
    exactVersion: options.exactVersion ?? false,
    downloadBase: (options.downloadBase ?? (env.SLUICE_NATS_DOWNLOAD_BASE || defaultDownloadBase)).replace(/\/+$/, ''),
  };
  if (!versionPattern.test(context.version)) {
    const shown = JSON.stringify(context.version);
    throw new SluiceError(
      'bad-config',
      `version: ${shown} is not a version of nats-server, such as ${preferredNatsVersion}`,
    );
  }
  const tried: string[] = [];
  for (const step of options.steps ?? defaultSteps) {
    if (signal?.aborted) throw new SluiceError('aborted', 'the search for nats-server was given up');
    const result = await runStep(step, context);
    if (!isRefusal(result)) {
      log(`nats-server: ${step.name}: ${result.path}, version ${result.version}`);
      return { ...result, how: step.name };
    }
    log(`nats-server: ${step.name}: ${result.reason}`);
    tried.push(`${step.name}: ${result.reason}`);
  }
  throw new SluiceError('broker-unavailable', describeFailure(tried, context), { details: { tried } });
}

async function runStep(step: ProvisionStep, context: ProvisionContext): ReturnType<ProvisionStep['run']> {
  try {
    return await step.run(context);
  } catch (error) {
    if (isSluiceError(error, 'bad-config') || isSluiceError(error, 'aborted')) throw error;
    return { reason: messageOf(error) };
  }
}

function describeFailure(tried: readonly string[], { version, exactVersion }: ProvisionContext): string {
  const wanted = exactVersion ? version : `${version} (or any from ${oldestNatsVersion} on)`;
  return [
    'no usable nats-server was found, and none could be had. Tried:',
    ...tried.map((line) => `  - ${line.replaceAll('\n', '\n    ')}`),
    `Install nats-server ${wanted} and put it on the PATH, or name it by NATS_SERVER_BIN=/path/to/nats-server,`,
    'or name a mirror of its releases by SLUICE_NATS_DOWNLOAD_BASE, or use a server that runs elsewhere.',
  ].join('\n');
}
