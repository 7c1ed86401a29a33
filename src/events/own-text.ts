/**
 * Text with memory of its own. The engine keeps the whole of a text alive for a piece that was cut out of it; what a cache
 * keeps of an event (key, type) must not hold the event's subject and headers in memory.
 */

const scratch = Buffer.allocUnsafeSlow(1_024);

/** The same text; it must be well-formed, as decoded text is. */
export function ownText(text: string): string {
  const { length } = text;
  if (length > scratch.length) return Buffer.from(text, 'utf8').toString('utf8');
  for (let index = 0; index < length; index += 1) {
    const code = text.charCodeAt(index);
    if (code > 0x7f) return Buffer.from(text, 'utf8').toString('utf8');
    scratch[index] = code;
  }
  return scratch.toString('latin1', 0, length);
}
