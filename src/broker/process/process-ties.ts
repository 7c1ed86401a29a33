/**
 * What ties us to the processes that we start.
 *
 * Children run in process groups of their own, so that Ctrl-C reaches us alone and we stop them in order. The price is
 * that nobody else ends them: `endWithUs` does it when this process exits by itself or by an uncaught error.
 */
import type { ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';
import { MessageChannel } from 'node:worker_threads';

const children = new Set<ChildProcess>();

function endChildren(): void {
  for (const { pid } of children) if (pid !== undefined) signalGroup(pid, 'SIGTERM');
}

/** Sends SIGTERM to a detached child when this process exits first. Not on SIGKILL: nothing of ours runs then. */
export function endWithUs(child: ChildProcess): void {
  if (children.size === 0) process.on('exit', endChildren);
  children.add(child);
  child.once('exit', () => {
    children.delete(child);
    if (children.size === 0) process.off('exit', endChildren);
  });
}

/** Sends a signal; false when the process has ended already. Other failures (not permitted) are thrown. */
export function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false;
    throw error;
  }
}

/** The same for the whole process group that a detached child leads: a wrapper script and what it started. */
export const signalGroup = (pid: number, signal: NodeJS.Signals): boolean => signalProcess(-pid, signal);

/**
 * Keeps this process alive until the returned function is called. Our timers never do, so whoever waits only for time
 * (a back-off, the end of a process that is not our child) needs it.
 */
export function stayAlive(): () => void {
  const { port1 } = new MessageChannel();
  port1.ref();
  return () => port1.close();
}

/** Set for children whose standard input ends with their parent. */
export const supervisedVariable = 'SLUICE_SUPERVISED';

/**
 * For the child's side: calls `onGone` once when the parent has ended, however it did. Does nothing in a process that
 * was not started by the supervisor, whose standard input may be closed from the beginning.
 */
export function onParentGone(
  { env, stdin }: { readonly env: Readonly<Record<string, string | undefined>>; readonly stdin: Readable },
  onGone: () => void,
): void {
  if (env[supervisedVariable] !== '1') return;
  let isGone = false;
  const end = (): void => {
    if (!isGone) onGone();
    isGone = true;
  };
  stdin.on('error', end).once('end', end).once('close', end);
  // Only what is read can end; but waiting for it must not keep the process alive.
  stdin.resume();
  if ('unref' in stdin && typeof stdin.unref === 'function') stdin.unref();
}
