/**
 * The pace and the clock of both sides. A value begins with the moment of its sending; the monotonic clock is one for all
 * processes of a machine.
 */
import type { Figures } from '../side.ts';

export interface VisibleSetup {
  readonly url: string;
  /** Of a turn: `leadIn` of them go first and are not counted. */
  readonly messages: number;
  readonly leadIn: number;
  /** Turns of a round: the sides take them one after the other, so that what else the machine does falls on all of them. */
  readonly turns: number;
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
  /** A turn. Resolves when all of it have arrived; with the figures of the round when it is the round's last. */
  turn(): Promise<Figures>;
}

export function createLatencyCollector({ messages, leadIn, turns }: VisibleSetup): LatencyCollector {
  const counted = messages - leadIn;
  const latenciesMs = new Float64Array(turns * counted);
  let turn = 0;
  let arrived = 0;
  let finish: (() => void) | undefined;
  return {
    arrived(value) {
      const sentNs = Buffer.from(value.buffer, value.byteOffset, 8).readBigUInt64LE();
      const latencyMs = Number(process.hrtime.bigint() - sentNs) / 1e6;
      if (arrived >= leadIn) latenciesMs[turn * counted + arrived - leadIn] = latencyMs;
      arrived += 1;
      if (arrived === messages) finish?.();
    },
    async turn() {
      if (arrived < messages) {
        await new Promise<void>((resolve) => {
          finish = resolve;
        });
      }
      arrived = 0;
      turn = (turn + 1) % turns;
      if (turn > 0) return {};
      const sorted = latenciesMs.slice().sort();
      const quantile = (share: number): number => sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN;
      return { p50: quantile(0.5), p99: quantile(0.99) };
    },
  };
}
