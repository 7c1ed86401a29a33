/** The work of a hit, the same for each side: which keys hold what, and in which order they are asked for. */
import type { Figures } from '../side.ts';

export interface HitSetup {
  readonly url: string;
  readonly keys: number;
  /** Of each order, per round. */
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

/** A new text each time: a caller's key is never the very text that a cache holds, so each look-up compares characters. */
export const keyOf = (index: number): string => Buffer.from(`product/${index.toString(36)}/details`).toString('latin1');

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

/** Asks for keys in this order, and returns how many were hits whose value could be looked into. */
export type Ask = (order: readonly string[]) => number | Promise<number>;

/** A round: both orders, one after the other. `share` of the gets, for a side that is slow enough to be timed with fewer. */
export function createGetTimer({ keys, gets }: HitSetup, ask: Ask, share = 1): () => Promise<Figures> {
  const asked = Array.from({ length: keys }, (_, index) => keyOf(index));
  const count = Math.max(1, Math.round(gets * share));
  let seed = 12_345;
  const random = (): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((seed / 2 ** 32) * keys);
  };
  const inTurn = Array.from({ length: count }, (_, index) => asked[index % keys] ?? '');
  const atRandom = Array.from({ length: count }, () => asked[random()] ?? '');

  async function getsPerSecond(order: readonly string[]): Promise<number> {
    const startedMs = performance.now();
    const found = await ask(order);
    const seconds = (performance.now() - startedMs) / 1_000;
    if (found !== order.length) throw new Error(`${found} of ${order.length} gets were hits`);
    return order.length / seconds;
  }

  return async () => ({ inTurn: await getsPerSecond(inTurn), atRandom: await getsPerSecond(atRandom) });
}
