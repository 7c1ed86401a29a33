/**
 * The step that downloads an official release: the list of checksums, the archive, then the program out of it. Nothing
 * is unpacked before the checksum is right, and the program appears in the cache folder by one rename, so that neither
 * a failure nor a second process ever leaves half a server there.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { arch, platform } from 'node:os';
import { dirname, join } from 'node:path';
import { finished } from 'node:stream/promises';
import { extractFile } from './archive.ts';
import type { FoundBinary, Refusal } from './binary.ts';
import { cachedBinaryPath, moveIntoCache, programName } from './cache.ts';
import { type DownloadLimits, fetchBody } from './fetch-body.ts';
import type { ProvisionContext, ProvisionStep } from './step.ts';

export const defaultDownloadBase = 'https://github.com/nats-io/nats-server/releases/download';

const defaultLimits: DownloadLimits = {
  answerMs: 8_000,
  silenceMs: 10_000,
  wholeMs: 10 * 60_000,
  bytesMax: 256 * 1024 * 1024,
};
const sumsBytesMax = 64 * 1024;
const progressMs = 1_000;

export const downloadStep: ProvisionStep = createDownloadStep(defaultLimits);

export function createDownloadStep(limits: DownloadLimits): ProvisionStep {
  return {
    name: 'download',
    async run(context) {
      const file = releaseFile(context.version, platform(), arch());
      if (file === undefined) return { reason: `no release that we can unpack for ${platform()} on ${arch()}` };
      const target = cachedBinaryPath(context.cacheFolder, context.version);
      await mkdir(dirname(target), { recursive: true });
      const folder = await mkdtemp(join(dirname(target), 'download-'));
      try {
        return await downloadInto(folder, { file, target, limits }, context);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
  };
}

/** The archive's name in the layout of the official releases; undefined where there is none in `.tar.gz`. */
export function releaseFile(version: string, system: string, machine: string): string | undefined {
  const systems: Readonly<Record<string, string>> = { linux: 'linux', darwin: 'darwin', freebsd: 'freebsd' };
  const machines: Readonly<Record<string, string>> = {
    x64: 'amd64',
    arm64: 'arm64',
    arm: 'arm7',
    ia32: '386',
    s390x: 's390x',
  };
  const [os, cpu] = [systems[system], machines[machine]];
  return os === undefined || cpu === undefined ? undefined : `${programName}-v${version}-${os}-${cpu}.tar.gz`;
}

/** The checksum of a file in a list as `sha256sum` writes it. */
export function findChecksum(list: string, file: string): string | undefined {
  for (const line of list.split('\n')) {
    const match = /^([0-9a-f]{64}) [ *](\S+)\s*$/i.exec(line);
    if (match?.[2] === file) return match[1]?.toLowerCase();
  }
  return undefined;
}

async function downloadInto(
  folder: string,
  { file, target, limits }: { readonly file: string; readonly target: string; readonly limits: DownloadLimits },
  context: ProvisionContext,
): Promise<FoundBinary | Refusal> {
  const base = `${context.downloadBase}/v${context.version}`;
  context.log(`nats-server: download ${base}/${file}`);
  const sums: Buffer[] = [];
  await fetchBody(`${base}/SHA256SUMS`, { ...limits, bytesMax: sumsBytesMax }, context, (piece) => {
    sums.push(piece);
  });
  const expected = findChecksum(Buffer.concat(sums).toString('utf8'), file);
  if (expected === undefined) return { reason: `${base}/SHA256SUMS has no checksum of ${file}` };

  const archive = join(folder, file);
  const actual = await saveArchive(`${base}/${file}`, archive, limits, context);
  if (actual !== expected) {
    return { reason: `refused: ${base}/${file} has SHA-256 ${actual}, and SHA256SUMS says ${expected}` };
  }
  const program = join(folder, programName);
  await extractFile(archive, programName, program);
  return moveIntoCache(program, target, context);
}

/** Saves the body and returns its SHA-256 in hex. */
async function saveArchive(
  url: string,
  path: string,
  limits: DownloadLimits,
  context: ProvisionContext,
): Promise<string> {
  const hash = createHash('sha256');
  const output = createWriteStream(path);
  const isSaved = finished(output);
  // Awaited below; until then its failure must not count as unhandled.
  isSaved.catch(() => undefined);
  const progress = createProgress(context);
  try {
    await fetchBody(url, limits, context, async (piece, wholeBytes) => {
      hash.update(piece);
      progress(piece.length, wholeBytes);
      if (!output.write(piece)) await Promise.race([isSaved, once(output, 'drain')]);
    });
    output.end();
    await isSaved;
  } catch (error) {
    output.destroy();
    throw error;
  }
  return hash.digest('hex');
}

function createProgress({ clock, log }: ProvisionContext): (bytes: number, wholeBytes: number | undefined) => void {
  const mib = (bytes: number): string => (bytes / 1024 / 1024).toFixed(1);
  let saidAt = clock.monotonic();
  let bytesDone = 0;
  return (bytes, wholeBytes) => {
    bytesDone += bytes;
    const isWhole = bytesDone === wholeBytes;
    if (!isWhole && clock.monotonic() - saidAt < progressMs) return;
    saidAt = clock.monotonic();
    log(`nats-server: download: ${mib(bytesDone)}${wholeBytes === undefined ? '' : ` of ${mib(wholeBytes)}`} MiB`);
  };
}
