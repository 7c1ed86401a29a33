/** A bare publisher at a steady pace: nothing is stored or acknowledged. */
import { connect } from '@nats-io/transport-node';
import type { CreateSide } from '../side.ts';
import { keysInTurn, pace, stampedValue, type VisibleSetup } from './load.ts';

export const bareSubject = 'bench.visible';

export const createSide: CreateSide<VisibleSetup> = async (setup) => {
  const connection = await connect({ servers: setup.url, noAsyncTraces: true });
  return {
    async round() {
      await pace(setup, (index) =>
        connection.publish(`${bareSubject}.${index % keysInTurn}`, stampedValue(setup.valueBytes)),
      );
      await connection.flush();
      return {};
    },
    stop: () => connection.close(),
  };
};
