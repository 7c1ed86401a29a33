/** The load on either server: autocannon in a process of its own, so many connections, one request at a time on each. */
import autocannon from 'autocannon';
import type { CreateSide } from '../side.ts';

export interface HttpSetup {
  readonly nats: string;
  readonly keys: number;
  readonly valueBytes: number;
}

export interface LoadSetup {
  readonly port: number;
  readonly keys: number;
  readonly connections: number;
  /** Of each round. */
  readonly seconds: number;
}

export const httpCache = 'pages';
export const httpType = 'text/html; charset=utf-8';
export const httpKeyOf = (index: number): string => `page-${index}`;
export const httpValue = (bytes: number): Buffer => Buffer.alloc(bytes, '<p>Sluice</p>');

export const createSide: CreateSide<LoadSetup> = async ({ port, keys, connections, seconds }) => ({
  async round() {
    const result = await autocannon({
      url: `http://127.0.0.1:${port}`,
      connections,
      duration: seconds,
      sampleInt: 100,
      requests: Array.from({ length: keys }, (_, index) => ({
        path: `/v1/caches/${httpCache}/keys/${httpKeyOf(index)}`,
      })),
    });
    const failed = result.non2xx + result.errors;
    if (failed > 0 || result['2xx'] === 0) throw new Error(`${failed} failures beside ${result['2xx']} hits`);
    return { requestsPerSecond: result['2xx'] / result.duration };
  },
  stop: async () => undefined,
});
