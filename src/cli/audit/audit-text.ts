/** An audit as people and programs see it. */
import type { Spread } from '../../cluster/audit/canary.ts';
import type { CacheAudit, CopyAudit, Divergence } from '../../cluster/audit/report.ts';
import { formatTable } from '../terminal/table.ts';
import { formatCount, formatSize, formatSpan, plural, showKey } from '../terminal/text.ts';

export type StalenessByCopy = ReadonlyMap<string, Spread>;

export function auditLines(audit: CacheAudit, staleness: StalenessByCopy): string[] {
  const { cache, positions, copies, unchecked, log } = audit;
  const head = [
    'copy',
    'kind',
    'keys',
    'divergent',
    'moved',
    'evicted',
    'expired',
    'requests',
    'bytes',
    'staleness p50/p99/max',
  ];
  const rows = copies.map((copy) => [
    copy.copy,
    copy.kind,
    ...[copy.compared, copy.divergent, copy.moved, copy.evicted, copy.expired, copy.requests].map(formatCount),
    formatSize(copy.bytes),
    stalenessText(staleness.get(copy.copy)),
  ]);
  const reads = [
    log.records > 0 ? `${plural(log.records, 'message')} replayed (${formatSize(log.bytes)})` : undefined,
    log.gets > 0 ? plural(log.gets, 'single read') : undefined,
  ].filter((part) => part !== undefined);
  return [
    `${cache}: at ${placeOf(positions)}, ${formatSpan(audit.elapsedMs)}; log: ${reads.join(', ') || 'nothing to read'}`,
    ...(copies.length === 0
      ? ['  no copy answers']
      : formatTable(head, rows, head.slice(2)).map((line) => `  ${line}`)),
    ...copies.flatMap(({ divergences }) => divergences.map((divergence) => `  DIVERGES ${divergenceText(divergence)}`)),
    ...copies.flatMap(moreText),
    ...unchecked.map(
      ({ copy, partition, reason }) =>
        `  NOT CHECKED ${copy}${partition === null ? '' : ` partition ${partition}`}: ${reason}`,
    ),
  ];
}

function moreText({ copy, divergent, divergences, unverified }: CopyAudit): string[] {
  const more = divergent - divergences.length;
  return [
    ...(more > 0 ? [`  DIVERGES ${copy}: ${formatCount(more)} more`] : []),
    ...(unverified > 0 ? [`  NOT CHECKED ${copy}: ${formatCount(unverified)} more differ at first sight`] : []),
  ];
}

const revisionText = (revision: number | null): string => (revision === null ? 'nothing' : `revision ${revision}`);

export function divergenceText({
  cache,
  copy,
  key,
  kind,
  partition,
  logRevision,
  copyRevision,
  at,
}: Divergence): string {
  const same = kind === 'checksum' ? ' with another content' : '';
  return `${copy}: ${cache} ${showKey(key)}: ${kind}: the log has ${revisionText(logRevision)}, the copy ${revisionText(copyRevision)}${same} (partition ${partition}, at ${at})`;
}

const placeOf = (positions: readonly number[]): string =>
  positions.length === 1
    ? `position ${positions[0]}`
    : `positions ${positions.map((position, partition) => `${partition}:${position}`).join(' ')}`;

const timeText = (ms: number): string => (Number.isFinite(ms) ? formatMs(ms) : 'not seen');
const formatMs = (ms: number): string => (ms < 10 ? `${ms.toFixed(1)} ms` : formatSpan(ms));

function stalenessText(spread: Spread | undefined): string {
  return spread === undefined ? '-' : [spread.p50Ms, spread.p99Ms, spread.maxMs].map(timeText).join(' / ');
}

/** JSON has no Infinity; null: not seen in time. */
const finite = (ms: number): number | null => (Number.isFinite(ms) ? Math.round(ms * 1000) / 1000 : null);

export function auditJson(audit: CacheAudit, staleness: StalenessByCopy): object {
  const copies = audit.copies.map((copy) => {
    const spread = staleness.get(copy.copy);
    if (spread === undefined) return copy;
    const { count, p50Ms, p99Ms, maxMs } = spread;
    return { ...copy, staleness: { count, p50Ms: finite(p50Ms), p99Ms: finite(p99Ms), maxMs: finite(maxMs) } };
  });
  return { ...audit, elapsedMs: Math.round(audit.elapsedMs), copies };
}
