/** Acknowledged puts through the log alone: publisher and acknowledgements, without a cache that follows. */
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { encodePut } from '../../src/events/entry.ts';
import { bucketSubjects } from '../../src/events/subjects.ts';
import type { Appended } from '../../src/log/log.ts';
import { createLink } from '../../src/nats/link.ts';
import { createNatsLog } from '../../src/nats/nats-log.ts';
import { createPublisher } from '../../src/nats/publisher.ts';
import { createStream } from '../../src/nats/stream-api.ts';
import type { CreateSide } from '../side.ts';
import { type PutsSetup, timePuts, windowMax } from './load.ts';
import { putsCluster, putsStream } from './stream.ts';

export const createSide: CreateSide<PutsSetup> = async (setup) => {
  const { put, stop } = await createLogPuts('puts-log', setup);
  return {
    round: () => timePuts(setup, windowMax, (key, done) => void put(key).then(() => done(), done)),
    stop,
  };
};

export interface LogPuts {
  put(key: string): Promise<Appended>;
  stop(): Promise<void>;
}

export async function createLogPuts(bucket: string, { url, valueBytes }: PutsSetup): Promise<LogPuts> {
  const clock = systemClock;
  const link = await createLink({ servers: [url], name: 'bench', clock });
  const publisher = createPublisher(link, clock, systemRandom);
  const info = await createStream(link, putsStream(bucket), 5_000);
  const log = createNatsLog({ link, publisher, clock, info });
  const subjects = bucketSubjects(putsCluster, bucket);
  const value = Buffer.alloc(valueBytes, 'x');
  const fields = {
    origin: 'client-12345678',
    contentType: 'application/octet-stream',
    expiresAtMs: Number.POSITIVE_INFINITY,
    natsTtlMs: undefined,
    tags: undefined,
    basis: undefined,
  };
  return {
    put: (key) => log.append(encodePut(subjects, key, value, fields)),
    async stop() {
      publisher.close();
      await link.close();
    },
  };
}
