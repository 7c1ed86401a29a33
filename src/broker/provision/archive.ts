/**
 * Takes one file out of a `.tar.gz`, as a stream. It knows what release archives contain (plain POSIX headers and
 * files) and refuses the rest; nothing but the one wanted file is ever written.
 *
 *     header (512): name 0..99, size 124..135 octal, checksum 148..155, type 156; then the body, padded to 512
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { basename } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { SluiceError } from '../../errors.ts';

const blockBytes = 512;

interface Header {
  readonly name: string;
  readonly bytes: number;
  readonly isFile: boolean;
}

/** Writes the first file of that base name to `target`. Throws `broker-unavailable` when it is not there or damaged. */
export async function extractFile(archive: string, fileName: string, target: string): Promise<void> {
  await pipeline(
    createReadStream(archive),
    createGunzip(),
    (chunks: AsyncIterable<Buffer>) => readFileBody(chunks, fileName),
    createWriteStream(target, { mode: 0o700 }),
  );
}

/** The body of the first file of that base name in a tar stream. */
export async function* readFileBody(chunks: AsyncIterable<Buffer>, fileName: string): AsyncGenerator<Buffer> {
  let pending: Buffer = Buffer.alloc(0);
  let skipBytes = 0;
  let wantedBytes: number | undefined;
  let isDone = false;

  for await (const chunk of chunks) {
    // The rest is read all the same: a source that is left before its end counts as failed.
    if (isDone) continue;
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    for (;;) {
      if (wantedBytes !== undefined) {
        const part = pending.subarray(0, wantedBytes);
        wantedBytes -= part.length;
        pending = pending.subarray(part.length);
        if (part.length > 0) yield part;
        isDone = wantedBytes === 0;
        break;
      }
      const skipped = Math.min(skipBytes, pending.length);
      skipBytes -= skipped;
      pending = pending.subarray(skipped);
      if (pending.length < blockBytes) break;
      const header = parseHeader(pending.subarray(0, blockBytes));
      pending = pending.subarray(blockBytes);
      if (header === undefined) continue;
      if (header.isFile && basename(header.name) === fileName) wantedBytes = header.bytes;
      else skipBytes = Math.ceil(header.bytes / blockBytes) * blockBytes;
    }
  }
  if (isDone) return;
  throw new SluiceError(
    'broker-unavailable',
    wantedBytes === undefined ? `the archive holds no ${fileName}` : 'the archive ends too early',
  );
}

/** Undefined for a block of zeros, which marks the end. */
export function parseHeader(block: Buffer): Header | undefined {
  if (block.every((byte) => byte === 0)) return undefined;
  const text = (from: number, to: number): string => block.toString('latin1', from, to).replace(/\0[\s\S]*$/, '');
  // The checksum counts its own eight bytes as spaces.
  let sum = 8 * 0x20;
  for (const [index, byte] of block.entries()) if (index < 148 || index >= 156) sum += byte;
  const bytes = Number.parseInt(text(124, 136).trim() || '0', 8);
  if (Number.parseInt(text(148, 156).trim(), 8) !== sum || !Number.isSafeInteger(bytes) || bytes < 0) {
    throw new SluiceError('broker-unavailable', 'the archive is damaged: a header has a wrong checksum');
  }
  const type = text(156, 157);
  return { name: text(0, 100), bytes, isFile: type === '0' || type === '' };
}
