/**
 * The bare script of puts that also keeps a Map of what its stream holds, by a pull consumer of its own: as much as a process
 * with an open cache does.
 */
import { createInbox } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import type { CreateSide } from '../side.ts';
import { createBarePuts } from './bare.ts';
import type { PutsSetup } from './load.ts';

const bucket = 'puts-following';
const stream = `KV_${bucket}`;
const prefixLength = `$KV.${bucket}.`.length;
const batch = 10_000;
const timedOut = 408;

export const createSide: CreateSide<PutsSetup> = async (setup) => {
  const connection = await connect({ servers: setup.url, noAsyncTraces: true });
  const puts = await createBarePuts(connection, bucket, setup);
  const config = { deliver_policy: 'all', ack_policy: 'none', mem_storage: true, num_replicas: 1, max_waiting: 16 };
  const created = await connection.request(
    `$JS.API.CONSUMER.CREATE.${stream}`,
    JSON.stringify({ stream_name: stream, config }),
  );
  const { name }: { name: string } = created.json();
  const inbox = createInbox();
  const values = new Map<string, Uint8Array>();
  let received = 0;
  const pull = (): void =>
    connection.publish(
      `$JS.API.CONSUMER.MSG.NEXT.${stream}.${name}`,
      JSON.stringify({ batch, expires: 30_000_000_000 }),
      { reply: inbox },
    );
  connection.subscribe(inbox, {
    callback(_error, message) {
      const { subject } = message;
      // The status of a pull comes on the inbox itself.
      if (subject === inbox) {
        if (message.headers?.code === timedOut) pull();
        return;
      }
      // A copy, because what stays in this Map for long must not keep a receive buffer alive.
      values.set(subject.slice(prefixLength), new Uint8Array(message.data));
      received += 1;
      if (received % batch === 0) pull();
    },
  });
  pull();
  pull();
  return puts;
};
