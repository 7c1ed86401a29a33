/** A bare script that pulls from a stream: visible is what its callback was handed. */
import { createInbox } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import { putsStream } from '../puts/stream.ts';
import type { CreateSide } from '../side.ts';
import { createLatencyCollector, type VisibleSetup } from './load.ts';
import { storedBucket } from './stored-writer.ts';

const batch = 10_000;

export const createSide: CreateSide<VisibleSetup> = async (setup) => {
  const connection = await connect({ servers: setup.url, noAsyncTraces: true });
  const { name: stream, ...rest } = putsStream(storedBucket);
  await connection.request(`$JS.API.STREAM.CREATE.${stream}`, JSON.stringify({ name: stream, ...rest }));
  const config = { deliver_policy: 'new', ack_policy: 'none', mem_storage: true, num_replicas: 1, max_waiting: 16 };
  const created = await connection.request(
    `$JS.API.CONSUMER.CREATE.${stream}`,
    JSON.stringify({ stream_name: stream, config }),
  );
  const { name }: { name: string } = created.json();
  const collector = createLatencyCollector(setup);
  const inbox = createInbox();
  let received = 0;
  const pull = (): void =>
    connection.publish(
      `$JS.API.CONSUMER.MSG.NEXT.${stream}.${name}`,
      JSON.stringify({ batch, expires: 600_000_000_000 }),
      { reply: inbox },
    );
  connection.subscribe(inbox, {
    callback(_error, message) {
      if (message.subject === inbox) return;
      received += 1;
      if (received % batch === 0) pull();
      collector.arrived(message.data);
    },
  });
  pull();
  pull();
  return { round: collector.turn, stop: () => connection.close() };
};
