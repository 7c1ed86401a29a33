/**
 * Who a process is, beyond its number. Numbers are reused, so whoever wants to wait for or to signal a process that it
 * did not start itself compares the identity (start time) and the command line first.
 *
 * Linux answers from /proc; other systems through `ps`. A zombie has ended: it counts as gone.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface ProcessFacts {
  /** Differs between two processes that had the same number. */
  readonly identity: string;
  /** Arguments joined by spaces, as the process was started. */
  readonly commandLine: string;
}

/** The facts of a living process, or undefined when there is none of that number. */
export function readProcess(pid: number): ProcessFacts | undefined {
  return process.platform === 'linux' ? readProcessFromProc(pid) : readProcessFromPs(pid);
}

export function readProcessFromProc(pid: number): ProcessFacts | undefined {
  try {
    // The name in parentheses may itself hold spaces and parentheses: the fields proper start behind the last one.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state, startTicks] = [fields[0], fields[19]];
    if (state === undefined || startTicks === undefined || 'ZXx'.includes(state)) return undefined;
    const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    const commandLine = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim();
    return { identity: `${bootId}/${startTicks}`, commandLine };
  } catch {
    return undefined;
  }
}

export function readProcessFromPs(pid: number): ProcessFacts | undefined {
  const ask = (...columns: string[]): string =>
    execFileSync('ps', ['-ww', '-p', String(pid), ...columns.flatMap((column) => ['-o', `${column}=`])], {
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  try {
    const [state = 'Z', ...started] = ask('stat', 'lstart').split(/\s+/);
    if (state.startsWith('Z')) return undefined;
    return { identity: started.join(' '), commandLine: ask('command') };
  } catch {
    return undefined;
  }
}
