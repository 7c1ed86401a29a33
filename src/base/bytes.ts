/** Bytes: seen as a Buffer, which knows how to make text of them, and compared in place. */

/** A view of the same memory; the bytes themselves when they are a Buffer already. */
export const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** True when the wanted bytes stand there. Allocates nothing. */
export function standsAt(bytes: Uint8Array, at: number, wanted: Uint8Array): boolean {
  for (let index = 0; index < wanted.length; index += 1) if (bytes[at + index] !== wanted[index]) return false;
  return true;
}
