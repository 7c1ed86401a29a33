/**
 * The pace and the clock of both sides. A value begins with the moment of its sending; the monotonic clock is one for all
 * processes of a machine.
 */
import type { Figures } from '../side.ts';

export interface VisibleSetup {
  readonly url: string;
  /** Of a round: `leadIn` of them go first and are not counted. */
  readonly messages: number;
  readonly leadIn: number;
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
export function pace(setup: VisibleSetup, send: (index: number) => void): Promise<void> {
  const { messages, perSecond } = setup;
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

export function createLatencyCollector({ messages, leadIn }: VisibleSetup): LatencyCollector {
  const latenciesMs = new Float64Array(messages);
  let arrived = 0;
  let finish: (() => void) | undefined;
  return {
    arrived(value) {
      const sentNs = Buffer.from(value.buffer, value.byteOffset, 8).readBigUInt64LE();
      latenciesMs[arrived] = Number(process.hrtime.bigint() - sentNs) / 1e6;
      arrived += 1;
      if (arrived === messages) finish?.();
    },
    async round() {
      if (arrived < messages) {
        await new Promise<void>((resolve) => {
          finish = resolve;
        });
      }
      arrived = 0;
      const sorted = latenciesMs.slice(leadIn).sort();
      const quantile = (share: number): number => sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN;
      return { p50: quantile(0.5), p99: quantile(0.99) };
    },
  };
}
