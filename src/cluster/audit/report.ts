/** What an audit found: per cache and copy, in numbers, and each divergence by name. */
import type { Position } from '../../events/record.ts';
import type { DivergenceKind } from './compare.ts';
import type { Copy } from './copies.ts';
import type { LogCosts } from './log-reading.ts';

export interface Divergence {
  readonly cache: string;
  readonly copy: string;
  readonly partition: number;
  readonly key: string;
  readonly kind: DivergenceKind;
  /** null: the log has no such entry. */
  readonly logRevision: Position | null;
  /** null: the copy has no such entry. */
  readonly copyRevision: Position | null;
  /** The copy had applied everything up to here. */
  readonly at: Position;
}

export interface CopyAudit {
  readonly copy: string;
  readonly kind: Copy['kind'];
  partitions: number;
  /** Keys that the log or the copy has, and that had not changed in between. */
  compared: number;
  moved: number;
  evicted: number;
  expired: number;
  divergent: number;
  /** Keys that differed at first sight and were too many to look at again. */
  unverified: number;
  /** The first of them. */
  readonly divergences: Divergence[];
  requests: number;
  bytes: number;
}

export interface Unchecked {
  readonly copy: string;
  readonly partition: number | null;
  readonly reason: string;
}

export interface CacheAudit {
  readonly cache: string;
  /** By partition: where the log was read, or where it stood. */
  readonly positions: number[];
  readonly copies: CopyAudit[];
  readonly unchecked: Unchecked[];
  readonly log: LogCosts;
  readonly elapsedMs: number;
}

export type Outcome = 'agrees' | 'diverges' | 'unchecked';

/** A divergence weighs more than what could not be looked at. */
export function outcomeOf(audits: readonly CacheAudit[]): Outcome {
  if (audits.some(({ copies }) => copies.some(({ divergent }) => divergent > 0))) return 'diverges';
  const isOpen = ({ copies, unchecked }: CacheAudit): boolean =>
    unchecked.length > 0 || copies.some(({ unverified }) => unverified > 0);
  return audits.some(isOpen) ? 'unchecked' : 'agrees';
}
