/**
 * The two hash functions of placement: FNV-1a 32 over UTF-8 bytes and the final mix of MurmurHash3. Both are chosen
 * because they are a few lines in every language; neither may ever change, because keys would change their partition.
 */

const fnvOffset = 0x811c9dc5;
const fnvPrime = 0x01000193;

/** FNV-1a 32 (Fowler, Noll, Vo) over the UTF-8 bytes of `text`, as an unsigned integer, without making those bytes. */
export function hashText(text: string): number {
  let hash = fnvOffset;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) {
      hash = Math.imul(hash ^ unit, fnvPrime);
    } else if (unit < 0x800) {
      hash = Math.imul(hash ^ (0xc0 | (unit >> 6)), fnvPrime);
      hash = Math.imul(hash ^ (0x80 | (unit & 0x3f)), fnvPrime);
    } else {
      const point = scalarAt(text, index);
      if (point > 0xffff) {
        index += 1;
        hash = Math.imul(hash ^ (0xf0 | (point >> 18)), fnvPrime);
        hash = Math.imul(hash ^ (0x80 | ((point >> 12) & 0x3f)), fnvPrime);
      } else {
        hash = Math.imul(hash ^ (0xe0 | (point >> 12)), fnvPrime);
      }
      hash = Math.imul(hash ^ (0x80 | ((point >> 6) & 0x3f)), fnvPrime);
      hash = Math.imul(hash ^ (0x80 | (point & 0x3f)), fnvPrime);
    }
  }
  return hash >>> 0;
}

/** The final mix of MurmurHash3 (`fmix32`, Appleby): a bijection on 32 bits in which every input bit moves every output bit. */
export function mix32(value: number): number {
  let hash = value ^ (value >>> 16);
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  hash ^= hash >>> 16;
  return hash >>> 0;
}

/** Maps a 32-bit hash evenly to [0, count): the upper half of hash × count. Exact in a double, as count is at most 2^21. */
export function scale32(hash: number, count: number): number {
  return Math.floor((hash * count) / 2 ** 32);
}

/** The code point at `index`; a lone surrogate counts as U+FFFD, as in every UTF-8 encoder. */
function scalarAt(text: string, index: number): number {
  const point = text.codePointAt(index) ?? 0xfffd;
  return point >= 0xd800 && point <= 0xdfff ? 0xfffd : point;
}
