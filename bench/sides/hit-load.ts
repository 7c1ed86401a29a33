/** The work of a hit, the same for each side: which keys hold what, and in which order they are asked for. */

export interface HitSetup {
  readonly url: string;
  readonly keys: number;
  /** Per round. */
  readonly gets: number;
}

export interface Product {
  readonly id: number;
  readonly name: string;
  readonly price: number;
  readonly stock: { readonly warehouse: string; readonly count: number };
  readonly labels: readonly string[];
}

export const lifeMs = 3_600_000;

export const keyOf = (index: number): string => `product/${index.toString(36)}/details`;

export const bytesOf = (index: number): Buffer => Buffer.from(JSON.stringify(productOf(index)));

export const decode = (bytes: Uint8Array): Product => JSON.parse(Buffer.from(bytes).toString('utf8'));

export function productOf(index: number): Product {
  return {
    id: index,
    name: `Product number ${index}`,
    price: (index % 1_000) / 10,
    stock: { warehouse: `W${index % 17}`, count: index % 97 },
    labels: ['new', `group-${index % 31}`],
  };
}

/**
 * Keys in the order of asking, evenly spread. The strings are not those that any cache was filled with, as a caller's never
 * are: each look-up compares text.
 */
export function orderOf({ keys, gets }: HitSetup): string[] {
  const asked = Array.from({ length: keys }, (_, index) => keyOf(index));
  let seed = 12_345;
  return Array.from({ length: Math.min(gets, 1_000_000) }, () => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return asked[Math.floor((seed / 2 ** 32) * keys)] ?? '';
  });
}

/** Gets per second of one round; `ask` goes through the whole order once and returns how many it found. */
export async function timeGets(
  { gets }: HitSetup,
  order: readonly string[],
  ask: (order: readonly string[]) => number | Promise<number>,
): Promise<{ getsPerSecond: number }> {
  const passes = Math.max(1, Math.round(gets / order.length));
  const startedMs = performance.now();
  for (let pass = 0; pass < passes; pass += 1) {
    const found = await ask(order);
    if (found !== order.length) throw new Error(`${found} of ${order.length} gets were hits`);
  }
  return { getsPerSecond: (passes * order.length * 1_000) / (performance.now() - startedMs) };
}
