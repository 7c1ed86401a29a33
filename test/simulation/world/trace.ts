/** What happened in a run, line by line. The digest is always kept, so that two runs can be compared; the lines on request. */

export interface Trace {
  add(line: string): void;
  /** Of all lines so far, as 16 hex digits. */
  readonly digest: string;
  readonly count: number;
  readonly lines: readonly string[];
}

/** Two 32-bit FNV-1a hashes from different starting points: not for secrets, only to see a difference. */
export function createTrace(atMs: () => number, isKept: boolean): Trace {
  const lines: string[] = [];
  let one = 0x811c9dc5;
  let two = 0x2b1d4f63;
  let count = 0;
  return {
    add(text) {
      const line = `${atMs().toFixed(3)} ${text}\n`;
      for (let index = 0; index < line.length; index += 1) {
        const code = line.charCodeAt(index);
        one = Math.imul(one ^ code, 0x01000193);
        two = Math.imul(two ^ code, 0x85ebca6b) ^ (two >>> 13);
      }
      count += 1;
      if (isKept) lines.push(line.trimEnd());
    },
    get digest() {
      return [one, two].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('');
    },
    get count() {
      return count;
    },
    lines,
  };
}
