/** A nats-server for one row: a fresh store in a temp folder, a port chosen by the system, gone afterwards. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../src/base/clock.ts';
import { createNatsServer } from '../src/broker/nats-server.ts';

export async function withNatsServer<Result>(
  binary: string,
  use: (url: string) => Promise<Result>,
  jetStreamConfig = '',
): Promise<Result> {
  const storeFolder = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
  const server = createNatsServer({ binary, storeFolder, clock: systemClock, jetStreamConfig });
  try {
    const { url } = await server.start();
    return await use(url);
  } finally {
    await server.stop();
    rmSync(storeFolder, { recursive: true, force: true });
  }
}
