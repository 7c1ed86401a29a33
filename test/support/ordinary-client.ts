/**
 * An ordinary client: one connection, one get after the other, each answer compared. It is what everybody else sees of a node
 * that is under attack.
 */
import { Agent, type IncomingMessage, request } from 'node:http';

export interface OrdinaryReport {
  readonly answered: number;
  /** What was wrong, of the first requests that were not answered as they should be. */
  readonly wrong: readonly string[];
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

const wrongMax = 10;
const answerLimitMs = 15_000;

export interface OrdinaryClient {
  /** Requests that have ended so far. */
  readonly asked: number;
  stop(): Promise<OrdinaryReport>;
}

/** Asks until it is stopped. */
export function startOrdinaryClient(url: string, expected: string): OrdinaryClient {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const timesMs: number[] = [];
  const wrong: string[] = [];
  let isOver = false;

  const get = (): Promise<string> =>
    new Promise((resolve) => {
      const req = request(url, { agent, timeout: answerLimitMs }, (response: IncomingMessage) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', (error) => resolve(`cut off: ${error.message}`));
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          resolve(
            response.statusCode === 200 && text === expected ? '' : `${response.statusCode}: ${text.slice(0, 100)}`,
          );
        });
      });
      req.on('timeout', () => req.destroy(new Error(`no answer within ${answerLimitMs} ms`)));
      req.on('error', (error) => resolve(error.message));
      req.end();
    });

  const running = (async () => {
    while (!isOver) {
      const startedMs = performance.now();
      const problem = await get();
      timesMs.push(performance.now() - startedMs);
      if (problem !== '' && wrong.length < wrongMax) wrong.push(problem);
    }
  })();

  async function stop(): Promise<OrdinaryReport> {
    isOver = true;
    await running;
    agent.destroy();
    const sorted = [...timesMs].sort((a, b) => a - b);
    const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
    return { answered: sorted.length, wrong, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
  }

  return {
    get asked() {
      return timesMs.length;
    },
    stop,
  };
}
