/**
 * Parts that start in order and stop in reverse. A failed start stops what had started, so that nothing half-open is
 * left behind; a failed stop never keeps the others from stopping.
 */

export interface Lifecycle {
  start(): Promise<void>;
  stop(): Promise<void>;
}

export interface Part extends Lifecycle {
  readonly name: string;
}

export interface PartList extends Lifecycle {
  readonly started: readonly string[];
}

/** `onProblem` is told of stops that failed; they are collected, not thrown one by one. */
export function createPartList(parts: readonly Part[], onProblem: (part: string, error: unknown) => void): PartList {
  const started: Part[] = [];
  let starting: Promise<void> | undefined;
  let stopping: Promise<void> | undefined;

  async function stopAll(): Promise<void> {
    while (started.length > 0) {
      const part = started.pop();
      if (part === undefined) return;
      try {
        await part.stop();
      } catch (error) {
        onProblem(part.name, error);
      }
    }
  }

  async function startAll(): Promise<void> {
    for (const part of parts) {
      if (stopping !== undefined) return;
      try {
        await part.start();
        started.push(part);
      } catch (error) {
        await stopAll();
        throw error;
      }
    }
  }

  return {
    get started() {
      return started.map((part) => part.name);
    },
    start: () => (starting ??= startAll()),
    stop: () => (stopping ??= (starting ?? Promise.resolve()).catch(() => undefined).then(stopAll)),
  };
}
