/** A bare subscriber: its callback is when a message has arrived. */
import { connect } from '@nats-io/transport-node';
import type { CreateSide } from '../side.ts';
import { bareSubject } from './bare-writer.ts';
import { createLatencyCollector, type VisibleSetup } from './load.ts';

export const createSide: CreateSide<VisibleSetup> = async (setup) => {
  const connection = await connect({ servers: setup.url, noAsyncTraces: true });
  const collector = createLatencyCollector(setup);
  connection.subscribe(`${bareSubject}.*`, { callback: (_error, message) => collector.arrived(message.data) });
  await connection.flush();
  return { round: collector.turn, stop: () => connection.close() };
};
