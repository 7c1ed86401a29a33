/**
 * Documents as tests see them: their code blocks, and a shell that runs those as a reader would, with the nats CLI, a node and
 * a server of the test in the place of the usual addresses.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { findNatsCli } from './nats-cli.ts';
import { cliFolder, projectRoot } from './project.ts';

export interface CodeBlock {
  readonly language: string;
  readonly code: string;
  /** The file that a comment right above the block names, if any. */
  readonly source: string | undefined;
  /** The last heading above it. */
  readonly section: string;
  /** Of its first line in the document, from 1. */
  readonly line: number;
}

export const loadDocument = (path: string): string => readFileSync(join(projectRoot, path), 'utf8');

/** The fenced code blocks of a document in order. */
export function codeBlocks(markdown: string): CodeBlock[] {
  const blocks: CodeBlock[] = [];
  const lines = markdown.split('\n');
  let section = '';
  for (let index = 0; index < lines.length; index += 1) {
    const heading = /^#+ (.+)$/.exec(lines[index] ?? '');
    if (heading !== null) section = heading[1] ?? '';
    const language = /^```(\w*)$/.exec(lines[index] ?? '')?.[1];
    if (language === undefined) continue;
    const end = lines.indexOf('```', index + 1);
    if (end < 0) throw new Error(`line ${index + 1}: a code block without end`);
    const source = /^<!-- (\S+) -->$/.exec(lines[index - 1] ?? '')?.[1];
    blocks.push({ language, code: lines.slice(index + 1, end).join('\n'), source, section, line: index + 2 });
    index = end;
  }
  return blocks;
}

export interface ConsoleStep {
  readonly command: string;
  /** What it prints; `…` stands for anything. */
  readonly output: string;
}

/** The steps of a `console` block: `$ ` begins a command, `> ` goes on with it, the rest is its output. */
export function consoleSteps(code: string): ConsoleStep[] {
  const steps: { command: string; output: string[] }[] = [];
  for (const line of code.split('\n')) {
    const last = steps.at(-1);
    if (line.startsWith('$ ')) steps.push({ command: line.slice(2), output: [] });
    else if (last === undefined) throw new Error(`output before any command: ${line}`);
    else if (line.startsWith('> ')) last.command += `\n${line.slice(2)}`;
    else last.output.push(line);
  }
  return steps.map(({ command, output }) => ({ command, output: output.join('\n') }));
}

/** Servers of different versions put spaces into their JSON at different places. */
const withoutJsonSpaces = (text: string): string => text.replaceAll(/([,:]) (?=["{[\d]|true|false|null)/g, '$1');

/** True when the text is the expected one, where `…` in that stands for anything, also for nothing. */
export function matchesOutput(text: string, expected: string): boolean {
  const parts = withoutJsonSpaces(expected).split('…');
  const literals = parts.map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${literals.join('[\\s\\S]*')}$`).test(withoutJsonSpaces(text.replaceAll('\r', '').trim()));
}

export interface Shell {
  /** Standard output, or standard error when that is all there is. */
  run(script: string): Promise<{ readonly code: number | null; readonly output: string }>;
  stop(): void;
}

/** A shell in which `nats` and `npx sluice` are found and know the server. */
export async function createShell(variables: Readonly<Record<string, string>>): Promise<Shell> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-shell-'));
  const programs = join(folder, 'bin');
  mkdirSync(programs);
  const sluice = `[ "$1" = sluice ] && shift && exec '${process.execPath}' '${join(cliFolder, 'sluice.js')}' "$@"`;
  for (const [name, script] of [
    ['nats', `exec '${await findNatsCli()}' "$@"`],
    ['npx', sluice],
  ] as const) {
    // The real one may be found by its name; the stand-in must not find itself.
    const path = `PATH='${process.env['PATH'] ?? ''}'`;
    writeFileSync(join(programs, name), `#!/bin/sh\n${path}\n${script}\n`, { mode: 0o755 });
  }
  const env = {
    PATH: `${programs}${delimiter}${process.env['PATH'] ?? ''}`,
    HOME: folder,
    XDG_CONFIG_HOME: folder,
    ...variables,
  };
  return {
    run: (script) =>
      new Promise((resolve, reject) => {
        const child = spawn('sh', ['-c', script], { env, cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
        const limit = setTimeout(() => child.kill('SIGKILL'), 30_000);
        let stdout = '';
        let stderr = '';
        child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
          stdout += chunk;
        });
        child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
          stderr += chunk;
        });
        child.once('error', reject);
        child.once('close', (code) => {
          clearTimeout(limit);
          resolve({ code, output: stdout.trim() === '' ? stderr : stdout });
        });
      }),
    stop: () => rmSync(folder, { recursive: true, force: true }),
  };
}
