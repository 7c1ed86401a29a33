/** The reader of release archives, against archives of every kind of damage. */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { readFileBody } from '../../../src/broker/provision/archive.ts';
import { isSluiceError } from '../../../src/errors.ts';
import { buildTar } from '../../support/tar-archive.ts';

const program = Buffer.from(Array.from({ length: 1_500 }, (_, index) => index % 251));
const archive = buildTar([
  { name: 'nats-server-v2/', body: '', type: '5' },
  { name: 'nats-server-v2/README.md', body: 'read me' },
  { name: 'nats-server-v2/LICENSE', body: Buffer.alloc(512) },
  { name: 'nats-server-v2/nats-server', body: '', type: '2' },
  { name: 'nats-server-v2/nats-server', body: program },
  { name: 'nats-server-v2/after', body: 'never read' },
]);

/** The stream in pieces of the given sizes, then the rest. */
function* cut(bytes: Buffer, sizes: readonly number[]): Generator<Buffer> {
  let from = 0;
  for (const size of sizes) {
    if (from >= bytes.length) return;
    yield bytes.subarray(from, from + size);
    from += size;
  }
  if (from < bytes.length) yield bytes.subarray(from);
}

async function read(bytes: Buffer, name = 'nats-server', sizes: readonly number[] = []): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of readFileBody(Readable.from(cut(bytes, sizes)), name)) pieces.push(piece);
  return Buffer.concat(pieces);
}

const isRefusal = (error: unknown): boolean => isSluiceError(error, 'broker-unavailable');

describe('a release archive', () => {
  it('yields the program, passing over folders, links and other files', async () => {
    assert.deepEqual(await read(archive), program);
    assert.equal((await read(archive, 'README.md')).toString(), 'read me');
  });

  it('yields the same whatever the pieces are in which it arrives', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 700 }), { maxLength: 40 }), async (sizes) => {
        assert.deepEqual(await read(archive, 'nats-server', sizes), program);
      }),
      { numRuns: 50 },
    );
  });

  it('yields an empty file', async () => {
    assert.equal((await read(buildTar([{ name: 'x', body: '' }]), 'x')).length, 0);
  });

  it('is refused when it does not hold the file', async () => {
    await assert.rejects(read(archive, 'absent'), /holds no absent/);
    await assert.rejects(read(Buffer.alloc(0)), isRefusal);
  });

  it('is refused when it ends anywhere before the end of the program', async () => {
    const end = archive.indexOf(program) + program.length;
    for (let length = 0; length < end; length += 97) await assert.rejects(read(archive.subarray(0, length)), isRefusal);
  });

  it('is refused when any byte of a header before the program is wrong', async () => {
    const isPadding = (index: number): boolean => index === 154 || index === 155; // behind the digits of the checksum
    for (let index = 0; index < 512; index += 1) {
      if (isPadding(index)) continue;
      const damaged = Buffer.from(archive);
      damaged[index] = (damaged[index] ?? 0) ^ 0x15;
      await assert.rejects(read(damaged), isRefusal, `byte ${index}`);
    }
  });

  it('never crashes on random bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 2_000 }), async (bytes) => {
        await assert.rejects(read(Buffer.from(bytes)), isRefusal);
      }),
    );
  });
});
