/** A process that uses the library, seen from its parent: asked, killed, paused and started again by pid. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type ErrorCode, errorTable, SluiceError } from '../../../../src/errors.ts';
import type { ClientAnswer, ClientCall, ClientMessage } from './client-child.ts';

export interface ClientProcess {
  readonly id: string;
  readonly pid: number;
  /** What the library has said of its connection and its copies, a line each. */
  readonly notices: readonly string[];
  /** Rejects with the SluiceError of the library, and with any other error when the process has ended. */
  ask(call: ClientCall): Promise<ClientAnswer>;
  kill(): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  /** A new process under the same name; resolves when it has its copies. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export interface ClientOptions {
  readonly id: string;
  readonly servers: readonly string[];
  readonly caches: readonly string[];
  readonly onReset: (reset: { readonly cache: string; readonly partition: number }) => void;
}

const living = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

const program = fileURLToPath(new URL('./client-child.js', import.meta.url));
const startLimitMs = 60_000;

export async function startClient({ id, servers, caches, onReset }: ClientOptions): Promise<ClientProcess> {
  let child: ChildProcess;
  let calls = 0;
  const notices: string[] = [];
  const waiting = new Map<number, { resolve(answer: ClientAnswer): void; reject(error: unknown): void }>();

  /** A process that ends because it found no log is started again, as whoever runs it would do. */
  async function start(): Promise<void> {
    const deadline = performance.now() + startLimitMs;
    for (;;) {
      try {
        await startOnce();
        return;
      } catch (error) {
        if (performance.now() > deadline) throw error;
      }
    }
  }

  async function startOnce(): Promise<void> {
    const started = fork(program, [id, servers.join(','), caches.join(',')], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    child = started;
    living.add(started);
    let complaints = '';
    started.stderr?.on('data', (chunk: Buffer) => (complaints = (complaints + chunk.toString()).slice(-4_000)));
    const ended = once(started, 'exit').then(() => {
      living.delete(started);
      for (const { reject } of waiting.values()) reject(new Error(`${id} ended`));
      waiting.clear();
    });
    const ready = new Promise<void>((resolve) => {
      started.on('message', (message: ClientMessage) => {
        if ('ready' in message) resolve();
        else if ('reset' in message) onReset(message.reset);
        else if ('notice' in message) notices.push(`${new Date().toISOString()} ${message.notice}`);
        else if ('id' in message) settle(message.id, message.answer);
      });
    });
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), startLimitMs);
    await Promise.race([
      ready,
      ended.then(() => Promise.reject(new Error(`${id} ended at its start: ${complaints}`))),
      once(limit.signal, 'abort').then(() => Promise.reject(new Error(`${id} is not ready after ${startLimitMs} ms`))),
    ]).finally(() => clearTimeout(timer));
  }

  function settle(call: number, answer: ClientAnswer): void {
    const { code } = answer;
    const caller = waiting.get(call);
    waiting.delete(call);
    if (code === undefined) caller?.resolve(answer);
    else if (code in errorTable) caller?.reject(new SluiceError(code as ErrorCode, answer.message ?? code));
    else caller?.reject(new Error(answer.message));
  }

  async function kill(signal: NodeJS.Signals): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    child.kill('SIGCONT');
    await ended;
  }

  await start();
  return {
    id,
    notices,
    get pid() {
      return child.pid ?? 0;
    },
    ask(call) {
      if (!child.connected) return Promise.reject(new SluiceError('log-unavailable', `${id} is not there`));
      calls += 1;
      const number = calls;
      return new Promise((resolve, reject) => {
        waiting.set(number, { resolve, reject });
        child.send({ id: number, call }, (error) => {
          if (error !== null && waiting.delete(number)) reject(error);
        });
      });
    },
    kill: () => kill('SIGKILL'),
    signal: (signal) => void child.kill(signal),
    async restart() {
      await kill('SIGKILL');
      await start();
    },
    stop: () => kill('SIGTERM'),
  };
}
