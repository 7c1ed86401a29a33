/** Builds a `.tar.gz` as release archives are: plain POSIX headers, files in one folder. */
import { gzipSync } from 'node:zlib';

export interface TarEntry {
  readonly name: string;
  readonly body: string | Buffer;
  /** `0` is a file, `5` a folder, `2` a link. */
  readonly type?: string;
}

const blockBytes = 512;

export function buildTar(entries: readonly TarEntry[]): Buffer {
  const blocks = entries.flatMap(({ name, body, type = '0' }) => {
    const bytes = Buffer.from(body);
    const header = Buffer.alloc(blockBytes);
    header.write(name, 0, 100, 'latin1');
    header.write('0000755\0', 100);
    header.write(`${bytes.length.toString(8).padStart(11, '0')}\0`, 124);
    header.write('        ', 148);
    header.write(type, 156);
    header.write('ustar\0', 257);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    const padding = Buffer.alloc((blockBytes - (bytes.length % blockBytes)) % blockBytes);
    return [header, bytes, padding];
  });
  return Buffer.concat([...blocks, Buffer.alloc(2 * blockBytes)]);
}

export const buildTarGz = (entries: readonly TarEntry[]): Buffer => gzipSync(buildTar(entries));
