/**
 * Sets of partitions as short text: `0-340,500`.
 *
 * Used where thousands of partition numbers must fit into one small message. Reading is strict, because a number out
 * of range would become an index elsewhere: what breaks a rule is no set at all.
 */

/** Partition numbers are 0 to 1,023. */
export const partitionsMax = 1_024;
/** Longest text that a set can need. */
const textCharactersMax = partitionsMax * 5;
const rangesText = /^(?:0|[1-9]\d{0,3})(?:-[1-9]\d{0,3})?(?:,[1-9]\d{0,3}(?:-[1-9]\d{0,3})?)*$/;

/** The text of a set of partition numbers in any order; '' for the empty set. Throws RangeError for a bad number. */
export function formatRanges(partitions: Iterable<number>): string {
  const sorted = [...new Set(partitions)].sort((one, other) => one - other);
  const parts: string[] = [];
  for (let index = 0; index < sorted.length; ) {
    const first = checked(sorted[index]);
    let last = first;
    for (index += 1; index < sorted.length && sorted[index] === last + 1; index += 1) last += 1;
    checked(last);
    parts.push(first === last ? String(first) : `${first}-${last}`);
  }
  return parts.join(',');
}

function checked(partition: number | undefined): number {
  if (partition === undefined || !Number.isInteger(partition) || partition < 0 || partition >= partitionsMax) {
    throw new RangeError(`partition: ${partition} is not an integer from 0 to ${partitionsMax - 1}`);
  }
  return partition;
}

/** The partition numbers of a text in rising order, or undefined when it breaks a rule (order, overlap, range, form). */
export function parseRanges(text: string): number[] | undefined {
  if (text === '') return [];
  if (text.length > textCharactersMax || !rangesText.test(text)) return undefined;
  const partitions: number[] = [];
  let previous = -1;
  for (const part of text.split(',')) {
    const [first = Number.NaN, last = first] = part.split('-').map(Number);
    const isRange = part.includes('-');
    if (first <= previous || (isRange && last <= first) || last >= partitionsMax) return undefined;
    for (let partition = first; partition <= last; partition += 1) partitions.push(partition);
    previous = last;
  }
  return partitions;
}
