/**
 * Who acts first: a rank of each observer for each life, the same in every process.
 *
 * All observers see a node fall silent at about the same time. With the rank as a delay one of them speaks and the
 * others read its event; without an order they would all publish at once. Wrong guesses about who else observes only
 * cost a duplicate, which the log refuses.
 */
import { hashText, mix32 } from '../placement/hash.ts';

/** Nobody waits for more than this many others. */
export const rankMax = 20;

/** How many candidates come before the observer, 0 to `rankMax`. `subject` names what they all look at. */
export function rankOf(observer: string, candidates: Iterable<string>, subject: string): number {
  const own = score(observer, subject);
  let rank = 0;
  for (const candidate of candidates) {
    if (candidate === observer) continue;
    const other = score(candidate, subject);
    if (other < own || (other === own && candidate < observer)) rank += 1;
    if (rank === rankMax) break;
  }
  return rank;
}

const score = (candidate: string, subject: string): number => mix32(hashText(`${candidate} ${subject}`));
