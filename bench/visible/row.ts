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
      const turns = bench.size(10, 2);
      const leadIn = bench.size(400, 20);
      const messages = leadIn + bench.size(2_000, 100);
      const setup: VisibleSetup = { url, messages, leadIn, turns, perSecond: 2_000, valueBytes: 128 };
      return withSides(names, setup, async ([writer, reader, bareWriter, bareReader, storedWriter, storedReader]) => {
        const ours: Figures[] = [];
        const bare: Figures[] = [];
        const stored: Figures[] = [];
        for (let round = 0; round < warmUpRounds + bench.rounds; round += 1) {
          let figures: readonly Figures[] = [];
          for (let turn = 0; turn < turns; turn += 1) {
            figures = [
              await exchange(writer, reader),
              await exchange(bareWriter, bareReader),
              await exchange(storedWriter, storedReader),
            ];
          }
          if (round < warmUpRounds) continue;
          for (const [index, side] of [ours, bare, stored].entries()) side.push(figures[index] ?? {});
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
