/**
 * The pace and the clock of both sides. A value begins with the moment of its sending; the monotonic clock is one for all
 * processes of a machine.
 */
import type { Figures } from '../side.ts';

export interface VisibleSetup {
  readonly url: string;
  readonly messages: number;
  readonly perSecond: number;
  readonly valueBytes: number;
}

export const keysInTurn = 1_000;

export function stampedValue(valueBytes: number): Buffer {
  const value = Buffer.alloc(valueBytes, 'x');
  value.writeBigUInt64LE(process.hrtime.bigint());
  return value;
}

/** Sends at an even pace, as far as timers allow; resolves when all were sent. */
export function pace({ messages, perSecond }: VisibleSetup, send: (index: number) => void): Promise<void> {
  return new Promise((resolve) => {
    const startedMs = performance.now();
    let sent = 0;
    const tick = (): void => {
      const due = Math.min(messages, Math.floor(((performance.now() - startedMs) * perSecond) / 1_000) + 1);
      for (; sent < due; sent += 1) send(sent);
      if (sent === messages) resolve();
      else setTimeout(tick, 1);
    };
    tick();
  });
}

export interface LatencyCollector {
  /** To be called when a value has arrived. */
  arrived(value: Uint8Array): void;
  /** Resolves when all of a round have arrived. */
  round(): Promise<Figures>;
}

export function createLatencyCollector({ messages }: VisibleSetup): LatencyCollector {
  let latenciesMs: number[] = [];
  let finish: (() => void) | undefined;
  return {
    arrived(value) {
      const sentNs = Buffer.from(value.buffer, value.byteOffset, 8).readBigUInt64LE();
      latenciesMs.push(Number(process.hrtime.bigint() - sentNs) / 1e6);
      if (latenciesMs.length === messages) finish?.();
    },
    async round() {
      if (latenciesMs.length < messages) {
        await new Promise<void>((resolve) => {
          finish = resolve;
        });
      }
      const sorted = latenciesMs.sort((a, b) => a - b);
      latenciesMs = [];
      const quantile = (share: number): number => sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN;
      return { p50: quantile(0.5), p99: quantile(0.99) };
    },
  };
}
