/**
 * The working example of `sluice up`: a folder of real files in a cache, and the proof that all nodes serve the same. It uses
 * the cluster as anybody would: writes through the log, reads over HTTP.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CacheHost } from '../../cluster/cache-host.ts';
import { messageOf } from '../../errors.ts';
import type { CommandContext } from '../command/context.ts';
import { loadFiles } from '../load/load-files.ts';
import { type FoundFile, type Scan, scanFolder } from '../load/scan-folder.ts';
import { packageFolder } from '../package-version.ts';
import { createProgress } from '../terminal/progress.ts';
import { formatCount, formatSize, formatSpan, plural, showKey } from '../terminal/text.ts';
import type { RunningNode, Say } from './servers.ts';

const filesMax = 4_000;
const bytesMax = 64 * 1024 * 1024;
const comparedCount = 4;
const requestLimitMs = 10_000;

/** The installed packages of the project, else the program's own files: thousands of files, or at least some. */
export function defaultExampleFolder(): string {
  const root = fileURLToPath(packageFolder);
  const packages = join(root, 'node_modules');
  return existsSync(packages) ? packages : join(root, 'dist');
}

export interface ExampleOptions {
  readonly folder: string;
  readonly host: CacheHost;
  readonly nodes: readonly RunningNode[];
  readonly say: Say;
}

/** Loads the folder unless it is there already, and compares some of it on all nodes; resolves with a key that is there. */
export async function showExample(context: CommandContext, options: ExampleOptions): Promise<string | undefined> {
  const { folder, host, nodes, say } = options;
  const limits = { matches: () => true, filesMax, bytesMax, fileBytesMax: host.settings.valueBytesMax };
  const scan = await scanFolder(folder, limits, context.signal);
  const position = await loadOnce(context, options, scan);
  if (context.signal.aborted) return undefined;
  const compared = pickSome(scan.files);
  for (const { path } of compared) {
    const copies = await Promise.all(nodes.map((node) => readCopy(node, host.name, path, position)));
    say(host.name, describeCopies(path, nodes, copies));
  }
  return compared[0]?.path;
}

/** Resolves with the position that holds everything loaded; 0 when it was there before. */
async function loadOnce(
  context: CommandContext,
  { folder, host, say }: ExampleOptions,
  { files, bytes }: Scan,
): Promise<number> {
  const { clock, signal, terminal } = context;
  const log = host.partitions[0]?.log;
  const bounds = await log?.bounds(signal);
  const facts = `${plural(files.length, 'file')}, ${formatSize(bytes)} of ${folder}`;
  if (bounds !== undefined && bounds.messages >= files.length) {
    say(host.name, `holds ${formatCount(bounds.messages)} entries already: ${facts}`);
    return 0;
  }
  say(host.name, `loading ${facts}`);
  const total = files.length;
  const progress = createProgress({
    terminal,
    clock,
    what: 'loading',
    total,
    unit: 'files',
    say: (line) => say(host.name, line),
  });
  const startedMs = clock.monotonic();
  const loaded = await loadFiles({
    cache: host.cache,
    folder,
    files,
    prefix: '',
    signal,
    onProgress: progress.update,
  }).finally(progress.end);
  const elapsedMs = clock.monotonic() - startedMs;
  const rate = formatCount(Math.round((loaded.stored / Math.max(1, elapsedMs)) * 1000));
  say(host.name, `${plural(loaded.stored, 'file')} in ${formatSpan(elapsedMs)} (${rate} acknowledged writes/s)`);
  return loaded.positions.get(0) ?? 0;
}

/** A few, from all over the folder. */
function pickSome(files: readonly FoundFile[]): FoundFile[] {
  const count = Math.min(comparedCount, files.length);
  const step = files.length / Math.max(1, count);
  return Array.from({ length: count }, (_, index) => files[Math.floor(index * step)]).filter(
    (file) => file !== undefined,
  );
}

export type Copy =
  | { readonly revision: string; readonly checksum: string; readonly bytes: number }
  | { readonly problem: string };

/** What one node serves for a key, not older than the position. */
async function readCopy(node: RunningNode, cache: string, key: string, position: number): Promise<Copy> {
  try {
    const path = `/v1/caches/${encodeURIComponent(cache)}/keys/${encodeURIComponent(key)}`;
    const response = await fetch(node.url + path, {
      headers: { 'Sluice-Min-Position': String(position) },
      signal: AbortSignal.timeout(requestLimitMs),
    });
    const body = new Uint8Array(await response.arrayBuffer());
    if (response.status !== 200) return { problem: `status ${response.status}` };
    const checksum = createHash('sha256').update(body).digest('hex');
    return { revision: (response.headers.get('etag') ?? '').replaceAll('"', ''), checksum, bytes: body.length };
  } catch (error) {
    return { problem: messageOf(error) };
  }
}

/** `a/b.js: 12.3 KiB, revision 17, sha256 3f2a9c01…: the same on node-1, node-2, node-3`, or what each one has. */
export function describeCopies(
  key: string,
  nodes: readonly Pick<RunningNode, 'name'>[],
  copies: readonly Copy[],
): string {
  const texts = copies.map((copy) =>
    'problem' in copy
      ? copy.problem
      : `${formatSize(copy.bytes)}, revision ${copy.revision}, sha256 ${copy.checksum.slice(0, 12)}`,
  );
  const names = nodes.map((node) => node.name);
  const isSame =
    copies.every((copy) => !('problem' in copy)) &&
    new Set(copies.map((copy) => ('problem' in copy ? '' : `${copy.revision} ${copy.checksum}`))).size === 1;
  if (isSame) return `${showKey(key)}: ${texts[0]}: the same on ${names.join(', ')}`;
  return `${showKey(key)}: NOT the same: ${texts.map((text, index) => `${names[index]}: ${text}`).join('; ')}`;
}
