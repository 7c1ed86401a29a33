/**
 * Conditional requests of RFC 9110 section 13, over revisions: an entity tag is a revision in quotes. A malformed condition is
 * refused, never ignored: ignoring one would turn a guarded write into an unguarded one.
 */
import { SluiceError } from '../../errors.ts';
import type { Position } from '../../events/record.ts';
import type { CacheService } from '../../service/cache-service.ts';
import { refuse } from './input.ts';

export interface EntityTag {
  readonly isWeak: boolean;
  /** Undefined for a tag that Sluice cannot have given: it matches nothing. */
  readonly revision: Position | undefined;
}

export type Condition = '*' | readonly EntityTag[];

const entityTag = /^(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"$/;
const tagCountMax = 64;

export const formatEntityTag = (revision: Position): string => `"${revision}"`;

/** The value of `If-Match` or `If-None-Match`; undefined when it is not there. Throws `bad-request`. */
export function parseCondition(field: string, text: string | undefined): Condition | undefined {
  if (text === undefined) return undefined;
  if (text.trim() === '*') return '*';
  const parts = text.split(',').map((part) => part.trim());
  const rule = 'must be * or a list of revisions in double quotes';
  if (parts.length > tagCountMax) refuse(field, text, `names more than ${tagCountMax} revisions`);
  return parts.map((part) => {
    const match = entityTag.exec(part);
    if (match === null) return refuse(field, text, rule);
    const digits = /^[1-9]\d{0,15}$/.test(match[2] ?? '') ? Number(match[2]) : Number.NaN;
    return { isWeak: match[1] !== undefined, revision: Number.isSafeInteger(digits) ? digits : undefined };
  });
}

/** `If-Match` compares strongly, `If-None-Match` weakly (RFC 9110 section 8.8.3.2). */
export function isMatch(condition: Condition, revision: Position, comparison: 'strong' | 'weak'): boolean {
  if (condition === '*') return true;
  return condition.some((tag) => tag.revision === revision && (comparison === 'weak' || !tag.isWeak));
}

/**
 * The revision that a write with `If-Match` demands. One revision is left to the log to compare; for `*` and for a list the
 * current one is read first, and the write is a compare-and-set on it. Throws `position-conflict`.
 */
export async function demandedRevision(
  cache: CacheService,
  key: string,
  condition: Condition,
  signal: AbortSignal,
): Promise<Position> {
  const [only] = condition;
  if (
    condition !== '*' &&
    condition.length === 1 &&
    typeof only === 'object' &&
    !only.isWeak &&
    only.revision !== undefined
  ) {
    return only.revision;
  }
  const { found } = await cache.get(key, { consistency: 'latest', signal });
  if (found !== undefined && isMatch(condition, found.revision, 'strong')) return found.revision;
  throw revisionConflict(found?.revision);
}

export function revisionConflict(current: Position | undefined): SluiceError {
  return new SluiceError(
    'position-conflict',
    `the key has ${current === undefined ? 'no entry' : `revision ${current}`}`,
    {
      details: { current: current ?? null },
    },
  );
}
