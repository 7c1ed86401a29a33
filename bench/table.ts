/** The one table that the bench prints. Text only; nothing here measures. */
import { isMet, type Result } from './row.ts';

const titles = ['what', 'ours', 'baseline', 'ratio (min..max)', 'must reach', 'met'] as const;

const isMetWords = new Map<boolean | undefined, string>([
  [true, 'yes'],
  [false, 'NO'],
]);

export function formatTable(results: readonly Result[]): string {
  const lines = results.map((result) => cells(result));
  const widths = titles.map((title, column) =>
    Math.max(title.length, ...lines.map((line) => line[column]?.length ?? 0)),
  );
  const format = (line: readonly string[]): string =>
    line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return [format(titles), format(widths.map((width) => '-'.repeat(width))), ...lines.map(format)].join('\n');
}

function cells(result: Result): string[] {
  const { ratio, target, unit } = result;
  return [
    result.what,
    `${formatNumber(result.ours.median)} ${unit}`,
    `${result.baselineName} ${formatNumber(result.baseline.median)} ${unit}`,
    `${formatRatio(ratio.median)} (${formatRatio(ratio.min)}..${formatRatio(ratio.max)})`,
    target === undefined ? '' : 'atLeast' in target ? `>= ${target.atLeast}` : `<= ${target.atMost}`,
    isMetWords.get(isMet(result)) ?? '',
  ];
}

/** Three significant digits, with k and M above a thousand and a million. */
export function formatNumber(value: number): string {
  if (value >= 1e6) return `${digits(value / 1e6)}M`;
  if (value >= 1e3) return `${digits(value / 1e3)}k`;
  return digits(value);
}

const formatRatio = (ratio: number): string => (ratio >= 100 ? ratio.toFixed(0) : ratio.toFixed(2));

const digits = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
