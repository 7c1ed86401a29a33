/**
 * Replay: a new process opens a cache and has every event decoded and applied, against a script that pulls the same messages
 * into a Map. Each round is a new process on both sides, because replay happens at the start of one.
 */
import { withNatsServer } from '../nats.ts';
import { column, compare } from '../rounds.ts';
import type { Row } from '../row.ts';
import { type Figures, withSides } from '../side.ts';
import type { ReplaySetup } from './load.ts';

export const replayRow: Row = {
  name: 'replay',
  measure: (bench) =>
    withNatsServer(bench.natsBinary, async (url) => {
      const setup: ReplaySetup = { url, events: bench.size(1_000_000, 2_000), valueBytes: 128 };
      await withSides(['replay/load'], setup, async () => undefined);
      const ours: Figures[] = [];
      const bare: Figures[] = [];
      for (let round = 0; round <= bench.rounds; round += 1) {
        for (const [name, figures] of [['replay/sluice', ours] as const, ['replay/bare', bare] as const]) {
          const figure = await withSides([name], setup, async ([side]) => side?.round());
          // The first round fills the system's file cache.
          if (figure !== undefined && round > 0) figures.push(figure);
        }
      }
      return [
        {
          what: `replay of ${setup.events} events, decoded and applied`,
          unit: 'events/s',
          baselineName: 'bare pull into a Map',
          target: { atLeast: 0.75 },
          ...compare(column(ours, 'eventsPerSecond'), column(bare, 'eventsPerSecond')),
        },
      ];
    }),
};
