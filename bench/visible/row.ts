/**
 * From a put on node A until a read on node B gives it, at a steady pace: through the log, acknowledged, stored in a file and
 * applied; against a bare publish to a bare subscriber, which is as fast as NATS carries a message from process to process.
 */
import { withNatsServer } from '../nats.ts';
import { column, compare } from '../rounds.ts';
import type { Result, Row } from '../row.ts';
import { type Figures, type RunningSide, withSides } from '../side.ts';
import type { VisibleSetup } from './load.ts';

const names = [
  'visible/sluice-writer',
  'visible/sluice-reader',
  'visible/bare-writer',
  'visible/bare-reader',
  'visible/stored-writer',
  'visible/stored-reader',
];

/** Tails are those of compiling until some 30,000 messages have passed, on all sides. */
const warmUpRounds = 2;

export const visibleRow: Row = {
  name: 'visible',
  measure: (bench) =>
    withNatsServer(bench.natsBinary, async (url) => {
      // A side is idle while the others have their turn, and V8 gives memory back meanwhile: how it takes it again is no part of
      // latency at a steady pace.
      const leadIn = bench.size(10_000, 100);
      const counted = bench.size(10_000, 200);
      const setup: VisibleSetup = { url, messages: leadIn + counted, leadIn, perSecond: 2_000, valueBytes: 128 };
      return withSides(names, setup, async ([writer, reader, bareWriter, bareReader, storedWriter, storedReader]) => {
        const ours: Figures[] = [];
        const bare: Figures[] = [];
        const stored: Figures[] = [];
        for (let round = 0; round < warmUpRounds + bench.rounds; round += 1) {
          const figures = [
            await exchange(writer, reader),
            await exchange(bareWriter, bareReader),
            await exchange(storedWriter, storedReader),
          ] as const;
          if (round < warmUpRounds) continue;
          ours.push(figures[0]);
          bare.push(figures[1]);
          stored.push(figures[2]);
        }
        const line = (
          quantile: 'p99' | 'p50',
          baselineName: string,
          base: readonly Figures[],
          isClaim: boolean,
        ): Result => ({
          what: `put on A until visible on B, ${setup.perSecond}/s, ${quantile}`,
          unit: 'ms',
          baselineName,
          target: isClaim ? { atMost: 2 } : undefined,
          ...compare(column(ours, quantile), column(base, quantile)),
        });
        return [
          line('p99', 'bare publish to subscriber', bare, true),
          line('p50', 'bare publish to subscriber', bare, false),
          line('p99', 'bare stored publish to pull', stored, false),
          line('p50', 'bare stored publish to pull', stored, false),
        ];
      });
    }),
};

async function exchange(writer: RunningSide | undefined, reader: RunningSide | undefined): Promise<Figures> {
  const [figures] = await Promise.all([reader?.round(), writer?.round()]);
  return figures ?? {};
}
