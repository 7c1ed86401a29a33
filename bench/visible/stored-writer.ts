/** A bare script that publishes into a stream at a steady pace, and is acknowledged. */
import { createInbox } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import { putsStream } from '../puts/stream.ts';
import type { CreateSide } from '../side.ts';
import { keysInTurn, pace, stampedValue, type VisibleSetup } from './load.ts';

export const storedBucket = 'visible-stored';

export const createSide: CreateSide<VisibleSetup> = async (setup) => {
  const connection = await connect({ servers: setup.url, noAsyncTraces: true });
  const stream = putsStream(storedBucket);
  await connection.request(`$JS.API.STREAM.CREATE.${stream.name}`, JSON.stringify(stream));
  const inbox = createInbox();
  let acknowledged = 0;
  let finish: () => void = () => undefined;
  connection.subscribe(inbox, {
    callback() {
      acknowledged += 1;
      if (acknowledged === setup.messages) finish();
    },
  });
  return {
    async round() {
      acknowledged = 0;
      const done = new Promise<void>((resolve) => {
        finish = resolve;
      });
      await pace(setup, (index) =>
        connection.publish(`$KV.${storedBucket}.key-${index % keysInTurn}`, stampedValue(setup.valueBytes), {
          reply: inbox,
        }),
      );
      await done;
      return {};
    },
    stop: () => connection.close(),
  };
};
