/**
 * JSON with line and block comments and trailing commas, for files that people write. Stricter than JSON.parse where
 * people err: a repeated name is refused, and a fault has a line and a column. It never quotes the text around a fault,
 * because that text may be a password.
 */

/** A fault in the text, with 1-based places. The message holds nothing from the file. */
export class JsonFault extends Error {
  override readonly name = 'JsonFault';
}

const depthMax = 32;
const literals: Readonly<Record<string, unknown>> = { true: true, false: false, null: null };

/** The value. Objects have no prototype, so every name in the file is an ordinary one. Throws JsonFault. */
export function parseCommentedJson(source: string): unknown {
  let at = source.startsWith('\uFEFF') ? 1 : 0;

  function fail(message: string): never {
    const before = source.slice(0, at).split('\n');
    throw new JsonFault(`line ${before.length}, column ${(before.at(-1) ?? '').length + 1}: ${message}`);
  }

  /** The text that `pattern` (sticky) matches here, taken; undefined without moving when it does not match. */
  function take(pattern: RegExp): string | undefined {
    pattern.lastIndex = at;
    const found = pattern.exec(source)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  }

  function skipBlank(): void {
    while (take(/[ \t\r\n]+|\/\/[^\n]*|\/\*[\s\S]*?\*\//y) !== undefined);
    if (source.startsWith('/*', at)) fail('this comment does not end');
  }

  function takeMark(mark: string): boolean {
    skipBlank();
    if (source[at] !== mark) return false;
    at += 1;
    return true;
  }

  function takeString(): string {
    const start = at;
    const found = take(/"[^"\\\n]*(?:\\.[^"\\\n]*)*"/y);
    if (found === undefined) return fail('expected a text in double quotes that ends on its line');
    try {
      return JSON.parse(found);
    } catch {
      // The parser's own message would quote the text.
      at = start;
      return fail('this text has an escape or a control character that JSON does not know');
    }
  }

  /** The parts between two marks, with commas between them and perhaps one after the last. */
  function takeParts(end: string, takePart: () => void): void {
    while (!takeMark(end)) {
      takePart();
      if (takeMark(',')) continue;
      if (takeMark(end)) return;
      fail(`expected , or ${end}`);
    }
  }

  function takeObject(depth: number): Record<string, unknown> {
    const object: Record<string, unknown> = Object.create(null);
    takeParts('}', () => {
      const start = at;
      const name = takeString();
      if (name in object) {
        at = start;
        fail('this name was given before');
      }
      if (!takeMark(':')) fail('expected :');
      object[name] = takeValue(depth + 1);
    });
    return object;
  }

  function takeArray(depth: number): unknown[] {
    const array: unknown[] = [];
    takeParts(']', () => array.push(takeValue(depth + 1)));
    return array;
  }

  function takeValue(depth: number): unknown {
    if (depth > depthMax) fail(`more than ${depthMax} levels`);
    if (takeMark('{')) return takeObject(depth);
    if (takeMark('[')) return takeArray(depth);
    if (source[at] === '"') return takeString();
    const number = take(/-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.+-])/y);
    if (number !== undefined) return Number(number);
    const word = take(/(?:true|false|null)(?!\w)/y);
    return word === undefined ? fail('expected a value') : literals[word];
  }

  const value = takeValue(0);
  skipBlank();
  if (at < source.length) fail('expected the end of the file');
  return value;
}
