/**
 * Header values that need rules of their own: tags, which are Unicode in a protocol of ASCII, and `Accept`.
 */
import { refuse } from './input.ts';

const tagRule = 'must be a comma-separated list of tags, percent-encoded where they are not plain ASCII';

/** Tags of `Sluice-Tags`. Node hands header bytes over as Latin-1; raw UTF-8 is taken as well as percent-encoding. */
export function parseTagList(text: string): readonly string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part) => decodeTag(part) ?? refuse('Sluice-Tags', part, tagRule));
}

function decodeTag(part: string): string | undefined {
  try {
    return decodeURIComponent(
      new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(part, 'latin1')),
    );
  } catch {
    return undefined;
  }
}

export function formatTagList(tags: readonly string[]): string {
  return tags.map((tag) => tag.replace(/[^\x20-\x24\x26-\x7e]/gu, encodeURIComponent)).join(',');
}

interface MediaRange {
  readonly type: string;
  readonly quality: number;
}

/** The one of `offered` that the client likes best, the first for a tie; undefined when it takes none of them. */
export function chooseType<Type extends string>(
  accept: string | undefined,
  offered: readonly Type[],
): Type | undefined {
  if (accept === undefined || accept.trim() === '') return offered[0];
  const ranges = accept.split(',').map(parseRange);
  let best: Type | undefined;
  let bestQuality = 0;
  for (const type of offered) {
    const quality = qualityOf(type, ranges);
    if (quality > bestQuality) {
      best = type;
      bestQuality = quality;
    }
  }
  return best;
}

function parseRange(text: string): MediaRange {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
  const quality = parameters.find((parameter) => parameter.startsWith('q='));
  const value = quality === undefined ? 1 : Number(quality.slice(2));
  return { type, quality: value >= 0 && value <= 1 ? value : 0 };
}

/** The most specific range that covers the type decides (RFC 9110 section 12.5.1). */
function qualityOf(type: string, ranges: readonly MediaRange[]): number {
  const covering = [type, `${type.split('/')[0]}/*`, '*/*'];
  for (const name of covering) {
    const range = ranges.find((candidate) => candidate.type === name);
    if (range !== undefined) return range.quality;
  }
  return 0;
}
