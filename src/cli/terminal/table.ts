/** Columns of text for people, as wide as they need to be. */

/** Lines of the table: the head, then the rows. Columns named in `right` are aligned to the right. */
export function formatTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly string[] = [],
): string[] {
  const widths = head.map((name, column) => Math.max(widthOf(name), ...rows.map((row) => widthOf(row[column] ?? ''))));
  return [head, ...rows].map((row) =>
    widths
      .map((width, column) => pad(row[column] ?? '', width, right.includes(head[column] ?? '')))
      .join('  ')
      .trimEnd(),
  );
}

// Characters beyond the basic plane count once; good enough for names and numbers.
const widthOf = (text: string): number => [...text].length;

function pad(text: string, width: number, isRight: boolean): string {
  const gap = ' '.repeat(Math.max(0, width - widthOf(text)));
  return isRight ? gap + text : text + gap;
}
