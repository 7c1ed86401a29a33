/**
 * Replay by a bare script: one pull consumer, two large pulls outstanding, key and bytes of each message into a Map. It knows
 * neither gaps nor dead servers nor headers, and keeps what the driver hands it.
 */
import { createInbox } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import type { CreateSide } from '../side.ts';
import { type ReplaySetup, replayCache } from './load.ts';

const stream = `KV_${replayCache}`;
const prefixLength = `$KV.${replayCache}.`.length;
const batch = 10_000;

export const createSide: CreateSide<ReplaySetup> = async ({ url, events }) => {
  const connection = await connect({ servers: url, noAsyncTraces: true });
  const values = new Map<string, Uint8Array>();

  async function pullAll(): Promise<void> {
    const config = { deliver_policy: 'all', ack_policy: 'none', mem_storage: true, num_replicas: 1, max_waiting: 16 };
    const created = await connection.request(
      `$JS.API.CONSUMER.CREATE.${stream}`,
      JSON.stringify({ stream_name: stream, config }),
    );
    const { name }: { name: string } = created.json();
    const inbox = createInbox();
    const pull = (): void =>
      connection.publish(
        `$JS.API.CONSUMER.MSG.NEXT.${stream}.${name}`,
        JSON.stringify({ batch, expires: 30_000_000_000 }),
        { reply: inbox },
      );
    await new Promise<void>((resolve) => {
      let received = 0;
      connection.subscribe(inbox, {
        callback(_error, message) {
          const { subject } = message;
          // The status of a pull comes on the inbox itself.
          if (subject === inbox) return;
          values.set(subject.slice(prefixLength), message.data);
          received += 1;
          if (received === events) resolve();
          else if (received % batch === 0) pull();
        },
      });
      pull();
      pull();
    });
  }

  return {
    async round() {
      values.clear();
      const startedMs = performance.now();
      await pullAll();
      const seconds = (performance.now() - startedMs) / 1_000;
      if (values.size !== events) throw new Error(`${values.size} of ${events} values are there`);
      return { eventsPerSecond: events / seconds };
    },
    stop: () => connection.close(),
  };
};
