/** Acknowledged puts by the client library as it comes: `js.publish` with a message id, 256 in flight. */
import { jetstream } from '@nats-io/jetstream';
import { headers } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import type { CreateSide } from '../side.ts';
import { type PutsSetup, timePuts } from './load.ts';
import { putsStream } from './stream.ts';

const inFlightMax = 256;

export const createSide: CreateSide<PutsSetup> = async (setup) => {
  // The library's own advice for throughput; without it each publish also makes a stack trace.
  const connection = await connect({ servers: setup.url, noAsyncTraces: true });
  const stream = putsStream('puts-js');
  await connection.request(`$JS.API.STREAM.CREATE.${stream.name}`, JSON.stringify(stream));
  const js = jetstream(connection);
  const value = Buffer.alloc(setup.valueBytes, 'x');
  const run = Math.random().toString(36).slice(2, 18);
  let count = 0;
  return {
    round: () =>
      timePuts(setup, inFlightMax, (key, done) => {
        count += 1;
        const fields = headers();
        fields.set('Sluice-Origin', 'client-12345678');
        fields.set('Sluice-Type', 'application/octet-stream');
        const msgID = `${run}.${count.toString(36)}`;
        void js.publish(`$KV.puts-js.${key}`, value, { msgID, headers: fields }).then(() => done(), done);
      }),
    stop: () => connection.close(),
  };
};
