/**
 * One side of a comparison runs in a process of its own, so that neither side's compiled code, heap or garbage collection
 * weighs on the other's figures. This file is the contract of a side and the parent's handle on it; `side-process.ts` is the
 * other end.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** What a round measured, by name. */
export type Figures = Readonly<Record<string, number>>;

/** What the file of a side makes out of its setup. */
export interface Side {
  /** Measures once. Called again and again. */
  round(): Promise<Figures>;
  stop(): Promise<void>;
}

export type CreateSide<Setup> = (setup: Setup) => Promise<Side>;

export interface RunningSide {
  readonly name: string;
  round(): Promise<Figures>;
  stop(): Promise<void>;
}

export type ToSide =
  | { readonly type: 'start'; readonly name: string; readonly setup: unknown }
  | { readonly type: 'round' }
  | { readonly type: 'stop' };

export type FromSide =
  | { readonly type: 'done'; readonly figures: Figures }
  | { readonly type: 'failed'; readonly message: string };

const program = fileURLToPath(new URL('./side-process.js', import.meta.url));
const running = new Set<ChildProcess>();

// A bench that fails or is interrupted must not leave its sides behind.
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts `<name>.ts` of this folder with node flags of its own; resolves when it is ready for its first round. */
export async function startSide(name: string, setup: object, flags: readonly string[] = []): Promise<RunningSide> {
  const child = fork(program, { execArgv: [...flags], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  running.add(child);
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  void ended.then(() => running.delete(child));

  function ask(message: ToSide): Promise<Figures> {
    return new Promise((resolve, reject) => {
      const onExit = (code: number | null): void => reject(new Error(`${name}: ended with ${code} during a round`));
      child.once('exit', onExit);
      child.once('message', (answer: FromSide) => {
        child.off('exit', onExit);
        if (answer.type === 'done') resolve(answer.figures);
        else reject(new Error(`${name}: ${answer.message}`));
      });
      child.send(message);
    });
  }

  async function stop(): Promise<void> {
    if (child.connected) child.send({ type: 'stop' } satisfies ToSide);
    await ended;
  }

  try {
    await ask({ type: 'start', name, setup });
  } catch (error) {
    child.kill('SIGKILL');
    await ended;
    throw error;
  }
  return { name, round: () => ask({ type: 'round' }), stop };
}

/** Starts one side of each name, and stops them all whatever comes of it. */
export async function withSides<Result>(
  names: readonly string[],
  setup: object,
  use: (sides: readonly RunningSide[]) => Promise<Result>,
  flags: readonly string[] = [],
): Promise<Result> {
  const started = await Promise.allSettled(names.map((name) => startSide(name, setup, flags)));
  const sides = started.flatMap((side) => (side.status === 'fulfilled' ? [side.value] : []));
  try {
    for (const side of started) if (side.status === 'rejected') throw side.reason;
    return await use(sides);
  } finally {
    await Promise.all(sides.map((side) => side.stop()));
  }
}
