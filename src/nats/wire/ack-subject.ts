/**
 * The reply subject of a delivered message carries its place in stream and consumer.
 *
 *   $JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time ns>.<pending>
 *   $JS.ACK.<domain>.<account hash>.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time ns>.<pending>[.<random>]
 */

export interface Delivery {
  position: number;
  /** Number of the message within its consumer, from 1, gap-free. */
  ordinal: number;
  atMs: number;
  pending: number;
}

const dot = 0x2e;

/** Fills `into` and returns true; false when the subject has neither form, or a number that is not exact. Allocates nothing. */
export function parseAckSubject(reply: Uint8Array, into: Delivery): boolean {
  let dots = 0;
  // Where the stream sequence begins: after 5 tokens in the short form, after 7 in the long one.
  let short = 0;
  let long = 0;
  for (let at = 0; at < reply.length; at += 1) {
    if (reply[at] !== dot) continue;
    dots += 1;
    if (dots === 5) short = at + 1;
    else if (dots === 7) long = at + 1;
  }
  let index = dots === 8 ? short : dots === 10 || dots === 11 ? long : 0;
  if (index === 0) return false;
  let field = 0;
  let value = 0;
  let digits = 0;
  const timeEnd = reply.length;
  for (; index <= timeEnd && field < 4; index += 1) {
    const code = index === timeEnd ? dot : (reply[index] ?? 0);
    if (code === dot) {
      if (digits === 0) return false;
      if (field === 0) into.position = value;
      else if (field === 1) into.ordinal = value;
      else if (field === 2) into.atMs = value;
      else into.pending = value;
      field += 1;
      value = 0;
      digits = 0;
    } else {
      if (code < 0x30 || code > 0x39) return false;
      digits += 1;
      // Nanoseconds do not fit a double: 13 digits are milliseconds until the year 2286.
      if (field !== 2 || digits <= 13) value = value * 10 + (code - 0x30);
      if (value > Number.MAX_SAFE_INTEGER) return false;
    }
  }
  return field === 4;
}
