/** A cache-node: the daemon as the program runs it, with one full cache. A round tells its port, nothing else. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { loadSettings } from '../../src/config/load.ts';
import { createDaemon } from '../../src/node/daemon.ts';
import type { CreateSide } from '../side.ts';
import { type HttpSetup, httpCache, httpKeyOf, httpType, httpValue } from './load.ts';

export const createSide: CreateSide<HttpSetup> = async ({ nats, keys, valueBytes }) => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-node-'));
  const daemon = await createDaemon({
    settings: loadSettings({
      flags: { 'nats-servers': nats, 'http-port': '0', 'node-data-folder': folder },
      env: {},
      program: 'cache-node',
    }),
    clock: systemClock,
    random: systemRandom,
    logger: pino({ level: 'silent' }),
    version: '0.0.0',
    onFatal(error) {
      throw error;
    },
  });
  await daemon.start();
  await daemon.service.declareCache(httpCache, {});
  const cache = await daemon.service.openCache(httpCache);
  const value = httpValue(valueBytes);
  const all = Array.from({ length: keys }, (_, index) => cache.put(httpKeyOf(index), value, { contentType: httpType }));
  await Promise.all(all);
  const port = Number(new URL(daemon.address).port);
  return {
    round: async () => ({ port }),
    async stop() {
      await daemon.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
};
