/**
 * Acknowledged puts by a bare script: one inbox for all acknowledgements, header blocks made by hand, and a count of what is in
 * flight. It cannot tell which write was acknowledged, and has neither retries nor deadlines.
 */
import { createInbox, type NatsConnection } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import type { CreateSide, Side } from '../side.ts';
import { type PutsSetup, timePuts, windowMax } from './load.ts';
import { putsStream } from './stream.ts';

const head = 'NATS/1.0\r\nSluice-Origin: client-12345678\r\nSluice-Type: application/octet-stream\r\nNats-Msg-Id: ';

export const createSide: CreateSide<PutsSetup> = async (setup) => {
  const connection = await connect({ servers: setup.url, noAsyncTraces: true });
  return createBarePuts(connection, 'puts-bare', setup);
};

export async function createBarePuts(connection: NatsConnection, bucket: string, setup: PutsSetup): Promise<Side> {
  const stream = putsStream(bucket);
  await connection.request(`$JS.API.STREAM.CREATE.${stream.name}`, JSON.stringify(stream));
  const value = Buffer.alloc(setup.valueBytes, 'x');
  const inbox = createInbox();
  const run = inbox.slice(-16);
  let count = 0;
  let acknowledge: (error?: unknown) => void = () => undefined;
  connection.subscribe(inbox, {
    callback(error, message) {
      if (error !== null) return acknowledge(error);
      const answer: { seq?: number; error?: { description: string } } = message.json();
      acknowledge(answer.seq === undefined ? new Error(answer.error?.description ?? 'no acknowledgement') : undefined);
    },
  });
  return {
    round: () =>
      timePuts(setup, windowMax, (key, done) => {
        acknowledge = done;
        count += 1;
        const block = Buffer.from(`${head}${run}.${count.toString(36)}\r\n\r\n`);
        const headers = { encode: () => block } as never;
        connection.publish(`$KV.${bucket}.${key}`, value, { reply: inbox, headers });
      }),
    stop: () => connection.close(),
  };
}
