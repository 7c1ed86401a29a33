/** Bytes as a Buffer, which knows how to make text of them. */

/** A view of the same memory; the bytes themselves when they are a Buffer already. */
export const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
