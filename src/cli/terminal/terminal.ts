/**
 * The two outputs of a command: results on standard output, remarks and errors on standard error, and on a terminal one
 * status line that is replaced. A reader that goes away early (`| head`) ends the command quietly, without an exception.
 */
import type { Writable } from 'node:stream';

/** What this needs of `process.stdout` and `process.stderr`. */
export type OutputStream = Writable & { readonly isTTY?: boolean; readonly columns?: number };

export interface TerminalOptions {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly isJson: boolean;
  /** Nobody reads the results any more; called once. */
  readonly onClosed?: () => void;
}

export interface Terminal {
  readonly isJson: boolean;
  /** True when a status line is shown: a terminal, and people before it. */
  readonly hasStatus: boolean;
  /** True when nobody reads the results any more. */
  readonly isClosed: boolean;
  /** A line of the result. */
  print(line: string): void;
  /** A line of JSON. */
  printJson(value: unknown): void;
  /** Bytes of the result, as they are. Resolves when they are handed over. */
  writeBytes(bytes: Uint8Array): Promise<void>;
  /** A remark for people, on standard error; in JSON mode an object. */
  note(text: string): void;
  /** The status line; undefined removes it. */
  status(text: string | undefined): void;
  /** Resolves when all that was written is handed over. */
  flush(): Promise<void>;
}

/** Also for a terminal that does not know its width. */
const defaultColumns = 80;
const clearLine = '\r\x1b[2K';

export function createTerminal({ stdout, stderr, isJson, onClosed }: TerminalOptions): Terminal {
  const hasStatus = stderr.isTTY === true && !isJson;
  let isClosed = false;
  let statusText: string | undefined;

  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (isClosed) return;
    isClosed = true;
    if (error.code !== 'EPIPE') note(`standard output: ${error.message}`);
    onClosed?.();
  });
  // Where remarks cannot be shown there is nobody to tell.
  stderr.on('error', () => undefined);

  /** Lines and the status line may share one screen. */
  function above(stream: OutputStream, text: string): void {
    if (statusText !== undefined) stderr.write(clearLine);
    stream.write(text);
    if (statusText !== undefined) stderr.write(statusText);
  }

  function print(line: string): void {
    if (!isClosed) above(stdout, `${line}\n`);
  }

  function note(text: string): void {
    above(stderr, `${isJson ? JSON.stringify({ note: text }) : text}\n`);
  }

  return {
    isJson,
    hasStatus,
    get isClosed() {
      return isClosed;
    },
    print,
    printJson: (value) => print(JSON.stringify(value)),
    async writeBytes(bytes) {
      if (isClosed) return;
      await new Promise<void>((resolve) => stdout.write(bytes, () => resolve()));
    },
    note,
    status(text) {
      if (!hasStatus || (text === undefined && statusText === undefined)) return;
      statusText = text?.slice(0, Math.max(10, (stderr.columns || defaultColumns) - 1));
      stderr.write(clearLine + (statusText ?? ''));
    },
    async flush() {
      const flushed = (stream: OutputStream): Promise<void> =>
        stream.destroyed || stream.writableLength === 0
          ? Promise.resolve()
          : new Promise((resolve) => stream.write('', () => resolve()));
      await Promise.all([flushed(stdout), flushed(stderr)]);
    },
  };
}
