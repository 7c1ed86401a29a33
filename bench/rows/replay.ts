/**
 * Replay: a new process opens a cache and has every event decoded and applied, against a script that pulls the same messages
 * into a Map. Each round is a new process on both sides, because replay happens at the start of one.
 */
import { withNatsServer } from '../nats.ts';
import { column, ratioOf, spreadOf } from '../rounds.ts';
import type { Row } from '../row.ts';
import { type Figures, startSide } from '../side.ts';
import type { ReplaySetup } from '../sides/replay-load.ts';

export const replayRow: Row = {
  name: 'replay',
  async measure(bench) {
    return withNatsServer(bench.natsBinary, async (url) => {
      const setup: ReplaySetup = { url, events: bench.size(1_000_000, 2_000), valueBytes: 128 };
      await (await startSide('replay-load', setup)).stop();
      const once = async (name: string): Promise<Figures> => {
        const side = await startSide(name, setup);
        try {
          return await side.round();
        } finally {
          await side.stop();
        }
      };
      const ours: Figures[] = [];
      const bare: Figures[] = [];
      for (let round = 0; round <= bench.rounds; round += 1) {
        const figures = [await once('replay-sluice'), await once('replay-bare')] as const;
        // The first round fills the system's file cache.
        if (round === 0) continue;
        ours.push(figures[0]);
        bare.push(figures[1]);
      }
      const [fast, base] = [column(ours, 'eventsPerSecond'), column(bare, 'eventsPerSecond')];
      return [
        {
          what: `replay of ${setup.events} events, decoded and applied`,
          unit: 'events/s',
          ours: spreadOf(fast),
          baseline: spreadOf(base),
          baselineName: 'bare pull into a Map',
          ratio: ratioOf(fast, base),
          target: { atLeast: 0.75 },
        },
      ];
    });
  },
};
