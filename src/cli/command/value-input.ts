/** Where a value comes from: the command line, a file, or standard input. */
import { readFile, stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { isSluiceError, SluiceError } from '../../errors.ts';
import { fileError } from '../file-error.ts';
import type { CommandContext } from './context.ts';

export interface ValueSource {
  readonly argument: string | undefined;
  readonly file: string | undefined;
  readonly bytesMax: number;
}

/**
 * The bytes of the value. `-` is standard input, as is giving nothing. Throws `bad-request` when two are given or when a
 * person would have to type it, `not-found` for a missing file, `too-large` without reading on.
 */
export async function readValue(
  { stdin }: Pick<CommandContext, 'stdin'>,
  { argument, file, bytesMax }: ValueSource,
): Promise<Uint8Array> {
  if (argument !== undefined && file !== undefined)
    throw new SluiceError('bad-request', 'value: give it as an argument or by --file, not both');
  if (argument !== undefined && argument !== '-') return Buffer.from(argument, 'utf8');
  if (file !== undefined && file !== '-') return readWhole(file, bytesMax);
  if (stdin.isTTY === true && argument === undefined && file === undefined) {
    throw new SluiceError(
      'bad-request',
      'value: none given; write it after the key, name a --file, or pipe it into this command (- to type it)',
    );
  }
  return readStream(stdin, bytesMax);
}

async function readWhole(path: string, bytesMax: number): Promise<Uint8Array> {
  try {
    const facts = await stat(path);
    if (facts.isDirectory())
      throw new SluiceError('bad-request', `--file: ${path} is a folder; sluice load takes folders`);
    if (facts.size > bytesMax) throw tooLarge(`${path} has ${facts.size} bytes`, bytesMax);
    return await readFile(path);
  } catch (error) {
    throw isSluiceError(error) ? error : fileError('--file', error);
  }
}

async function readStream(stream: Readable, bytesMax: number): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    const piece = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    bytes += piece.length;
    if (bytes > bytesMax) throw tooLarge('standard input has more', bytesMax);
    chunks.push(piece);
  }
  return Buffer.concat(chunks);
}

function tooLarge(what: string, bytesMax: number): SluiceError {
  return new SluiceError('too-large', `value: ${what}; the cache takes at most ${bytesMax} bytes`, {
    details: { field: 'value', bytesMax },
  });
}
